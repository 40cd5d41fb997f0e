//! A month's bill.

use serde::Serialize;

use crate::{Figures, Measured, Price, Prices};

/// Days of a month.
pub const DAYS: f64 = 30.0;

/// MB with which a function has one vCPU (Lambda, "Configure Lambda function memory").
const MB_OF_A_CPU: f64 = 1769.0;

/// Time of a call to `DynamoDB` or SQS within a region, in milliseconds. Assumed; AWS says single-digit.
const CALL_MS: f64 = 5.0;

/// Time of a post to a connection, in milliseconds. Assumed.
const POST_MS: f64 = 15.0;

/// Posts under way at once: Hermes's `FanoutConcurrency`, and the sockets of the Node.js SDK.
const HERMES_POSTS: f64 = 64.0;
const TUTORIAL_POSTS: f64 = 50.0;

/// Hermes's `MembersPerJob`.
const MEMBERS_PER_JOB: f64 = 1000.0;

/// API Gateway ends a connection after two hours, `AppSync` Events after a day.
const API_GATEWAY_HOURS: f64 = 2.0;

/// Requests with which Lambda asks a queue all month whether there is something: five at a time, of 20 s
/// (Lambda, "Using Lambda with Amazon SQS", "Polling and batching").
const POLLING: f64 = 5.0 * 3.0 * 60.0 * 24.0 * DAYS;

/// Requests for a message in a queue: sent, received, deleted.
const SQS_REQUESTS: f64 = 3.0;

/// What is done in a month.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Workload {
    /// Connections that are open at the same time.
    pub connections: f64,
    /// Hours of a day for which they are.
    pub hours: f64,
    /// Members of the room of a message.
    pub members: f64,
    /// Messages of a day, in all rooms together, from the backend through the queue.
    pub messages_per_day: f64,
    /// Size of a message, in bytes.
    pub message_bytes: f64,
    /// Days for which messages are kept; 0 keeps none. Only Hermes keeps any.
    pub history_days: f64,
    /// Pings that a client of Hermes sends in an hour; the others' send none. README says every five
    /// minutes; without any, API Gateway ends a connection after ten minutes of silence.
    pub pings_per_hour: f64,
    /// Whether the queue is a FIFO queue.
    pub fifo: bool,
}

/// An item of a bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Who sends it: `API Gateway`, `Lambda`, …
    pub service: &'static str,
    /// For what.
    pub what: &'static str,
    /// How many units in the month.
    pub quantity: f64,
    /// US dollars.
    pub usd: f64,
}

/// What one design costs in a month.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// The design.
    pub design: &'static str,
    /// Its items.
    pub lines: Vec<Line>,
    /// Their sum, in US dollars.
    pub usd: f64,
}

impl Bill {
    fn new(design: &'static str) -> Self {
        Self {
            design,
            lines: Vec::new(),
            usd: 0.0,
        }
    }

    fn add(&mut self, service: &'static str, what: &'static str, quantity: f64, price: &Price) {
        let usd = price.of(quantity);
        self.usd += usd;
        self.lines.push(Line {
            service,
            what,
            quantity,
            usd,
        });
    }

    /// What all items of a service cost together.
    pub fn of(&self, service: &str) -> f64 {
        let lines = self.lines.iter().filter(|line| line.service == service);
        lines.fold(0.0, |sum, line| sum + line.usd)
    }
}

impl Workload {
    fn messages(&self) -> f64 {
        self.messages_per_day * DAYS
    }

    /// Notifications that arrive in a month.
    pub fn deliveries(&self) -> f64 {
        self.messages() * self.members
    }

    fn minutes(&self) -> f64 {
        self.connections * self.hours * 60.0 * DAYS
    }

    /// Connects of a month, where a connection lasts at most so many hours.
    fn connects(&self, longest: f64) -> f64 {
        self.connections * (self.hours / longest).ceil() * DAYS
    }

    fn sqs<'a>(&self, prices: &'a Prices) -> &'a Price {
        if self.fifo {
            &prices.sqs_fifo
        } else {
            &prices.sqs_standard
        }
    }
}

/// The bills of Hermes, of the design that it grew from, and of `AppSync` Events.
pub fn bills(workload: &Workload, measured: &Measured, prices: &Prices) -> [Bill; 3] {
    [
        hermes(workload, &measured.hermes, prices),
        tutorial(workload, &measured.tutorial, prices),
        appsync(workload, prices),
    ]
}

/// Billed time of an invocation with so much memory that computes `cpu_us` (of one full core) and makes
/// `calls` calls to other services, in milliseconds. Lambda bills whole ones.
pub fn billed_ms(memory_mb: f64, cpu_us: f64, calls: f64) -> f64 {
    billed(memory_mb, cpu_us, calls * CALL_MS)
}

fn billed(memory_mb: f64, cpu_us: f64, waits_ms: f64) -> f64 {
    let slower = (MB_OF_A_CPU / memory_mb).max(1.0);
    (cpu_us / 1000.0 * slower + waits_ms).ceil()
}

/// GB-seconds of `calls` invocations with so much memory that compute `cpu_us` and wait `waits_ms`.
fn gb_seconds(calls: f64, memory_mb: f64, cpu_us: f64, waits_ms: f64) -> f64 {
    calls * memory_mb / 1024.0 * billed(memory_mb, cpu_us, waits_ms) / 1000.0
}

/// The same of invocations that post to `members`, so many at once.
fn fanout_gb_seconds(
    calls: f64,
    memory_mb: f64,
    figures: &Figures,
    members: f64,
    at_once: f64,
    calls_each: f64,
) -> f64 {
    let waits_ms = CALL_MS * calls_each + posting_ms(memory_mb, figures, members, at_once);
    gb_seconds(calls, memory_mb, figures.message_us, waits_ms)
}

/// The time of posts to `members`, so many at once, in milliseconds: they are computed while others wait.
fn posting_ms(memory_mb: f64, figures: &Figures, members: f64, at_once: f64) -> f64 {
    let slower = (MB_OF_A_CPU / memory_mb).max(1.0);
    let computing = figures.post_us / 1000.0 * slower * members;
    let waiting = POST_MS * (members / at_once).ceil();
    computing.max(waiting)
}

/// Billed time of an invocation of Hermes that posts to `members`, and makes `calls` other calls, in milliseconds.
pub fn fanout_ms(memory_mb: f64, figures: &Figures, members: f64, calls: f64) -> f64 {
    let waits_ms = CALL_MS * calls + posting_ms(memory_mb, figures, members, HERMES_POSTS);
    billed(memory_mb, figures.message_us, waits_ms)
}

fn units(bytes: f64, unit: f64) -> f64 {
    (bytes / unit).ceil()
}

fn hermes(workload: &Workload, figures: &Figures, prices: &Prices) -> Bill {
    let mut bill = Bill::new("Hermes");
    let keeps = workload.history_days > 0.0;
    let (messages, connects) = (workload.messages(), workload.connects(API_GATEWAY_HOURS));
    let pings = workload.connections * workload.hours * workload.pings_per_hour * DAYS;
    let pages = (workload.members / MEMBERS_PER_JOB).ceil().max(1.0);
    let jobs = messages * (pages - 1.0);
    let page = workload.members / pages;

    let pieces = units(workload.message_bytes, 32.0 * 1024.0);
    bill.add(
        "API Gateway",
        "notifications",
        workload.deliveries() * pieces,
        &prices.api_gateway_messages,
    );
    bill.add(
        "API Gateway",
        "pings and pongs",
        pings * 2.0,
        &prices.api_gateway_messages,
    );
    bill.add(
        "API Gateway",
        "connection minutes",
        workload.minutes(),
        &prices.api_gateway_minutes,
    );

    let requests = connects * 3.0 + pings + messages + jobs;
    bill.add("Lambda", "requests", requests, &prices.lambda_requests);
    let handshakes = gb_seconds(connects, 1769.0, figures.authorizer_us, CALL_MS)
        + gb_seconds(connects, 256.0, figures.connect_us, CALL_MS)
        + gb_seconds(connects, 256.0, figures.disconnect_us, CALL_MS);
    let pinged = gb_seconds(
        pings,
        256.0,
        figures.ping_us,
        if keeps { CALL_MS } else { 0.0 },
    );
    let calls_each = if keeps { 3.0 } else { 1.0 };
    let published = fanout_gb_seconds(messages, 256.0, figures, page, HERMES_POSTS, calls_each)
        + fanout_gb_seconds(jobs, 256.0, figures, page, HERMES_POSTS, 2.0);
    bill.add(
        "Lambda",
        "GB-seconds: handshakes",
        handshakes,
        &prices.lambda_arm_gb_seconds,
    );
    bill.add(
        "Lambda",
        "GB-seconds: pings",
        pinged,
        &prices.lambda_arm_gb_seconds,
    );
    bill.add(
        "Lambda",
        "GB-seconds: messages",
        published,
        &prices.lambda_arm_gb_seconds,
    );

    let room_reads = pages * units(page * figures.row_bytes, 4096.0);
    bill.add(
        "DynamoDB",
        "read units: handshakes",
        connects,
        &prices.dynamodb_reads,
    );
    bill.add(
        "DynamoDB",
        "read units: rooms",
        messages * room_reads,
        &prices.dynamodb_reads,
    );
    bill.add(
        "DynamoDB",
        "write units: connections",
        connects * 2.0,
        &prices.dynamodb_writes,
    );
    if keeps {
        // What the bench measured is for a message of less than 1 KB; each more is written in a transaction.
        let more = (units(workload.message_bytes, 1024.0) - 1.0).max(0.0) * 2.0;
        let reads = messages * figures.history_reads + pings * figures.ping_reads;
        bill.add(
            "DynamoDB",
            "read units: history",
            reads,
            &prices.dynamodb_reads,
        );
        bill.add(
            "DynamoDB",
            "write units: history",
            messages * (figures.history_writes + more),
            &prices.dynamodb_writes,
        );
        let kept =
            workload.messages_per_day * workload.history_days * (workload.message_bytes + 400.0)
                / 1e9;
        bill.add(
            "DynamoDB",
            "GB-months: history",
            kept,
            &prices.dynamodb_storage,
        );
    }

    bill.add(
        "SQS",
        "requests: messages",
        messages * SQS_REQUESTS,
        workload.sqs(prices),
    );
    bill.add(
        "SQS",
        "requests: delivery jobs",
        jobs * SQS_REQUESTS,
        &prices.sqs_standard,
    );
    bill.add(
        "SQS",
        "requests: polling, idle too",
        2.0 * POLLING,
        &prices.sqs_standard,
    );
    bill
}

fn tutorial(workload: &Workload, figures: &Figures, prices: &Prices) -> Bill {
    const MEMORY_MB: f64 = 256.0;
    let mut bill = Bill::new("Tutorial (Node.js)");
    let (messages, connects) = (workload.messages(), workload.connects(API_GATEWAY_HOURS));
    let pieces = units(workload.message_bytes, 32.0 * 1024.0);
    bill.add(
        "API Gateway",
        "notifications",
        workload.deliveries() * pieces,
        &prices.api_gateway_messages,
    );
    bill.add(
        "API Gateway",
        "connection minutes",
        workload.minutes(),
        &prices.api_gateway_minutes,
    );

    // A scan reads the table in pages of 1 MB, one after another.
    let table = workload.connections * figures.row_bytes;
    let scans = (table / 1e6).ceil().max(1.0);
    bill.add(
        "Lambda",
        "requests",
        connects * 3.0 + messages,
        &prices.lambda_requests,
    );
    let handshakes = gb_seconds(connects, 1769.0, figures.authorizer_us, CALL_MS)
        + gb_seconds(connects, MEMORY_MB, figures.connect_us, CALL_MS)
        + gb_seconds(connects, MEMORY_MB, figures.disconnect_us, CALL_MS);
    let published = fanout_gb_seconds(
        messages,
        512.0,
        figures,
        workload.members,
        TUTORIAL_POSTS,
        scans,
    );
    bill.add(
        "Lambda",
        "GB-seconds: handshakes",
        handshakes,
        &prices.lambda_arm_gb_seconds,
    );
    bill.add(
        "Lambda",
        "GB-seconds: messages",
        published,
        &prices.lambda_arm_gb_seconds,
    );

    // An eventually consistent read costs half.
    bill.add(
        "DynamoDB",
        "read units: handshakes",
        connects * 0.5,
        &prices.dynamodb_reads,
    );
    bill.add(
        "DynamoDB",
        "read units: scans of the table",
        messages * units(table, 4096.0) / 2.0,
        &prices.dynamodb_reads,
    );
    bill.add(
        "DynamoDB",
        "write units: connections",
        connects * 2.0,
        &prices.dynamodb_writes,
    );

    bill.add(
        "SQS",
        "requests: messages",
        messages * SQS_REQUESTS,
        workload.sqs(prices),
    );
    bill.add(
        "SQS",
        "requests: polling, idle too",
        POLLING,
        &prices.sqs_standard,
    );
    bill
}

fn appsync(workload: &Workload, prices: &Prices) -> Bill {
    let mut bill = Bill::new("AppSync Events");
    let pieces = units(workload.message_bytes, 5.0 * 1024.0);
    // A connection and its subscription are an operation each.
    let handshakes = workload.connects(24.0) * 2.0;
    bill.add(
        "AppSync",
        "published",
        workload.messages() * pieces,
        &prices.appsync_operations,
    );
    bill.add(
        "AppSync",
        "notifications",
        workload.deliveries() * pieces,
        &prices.appsync_operations,
    );
    bill.add(
        "AppSync",
        "connects and subscriptions",
        handshakes,
        &prices.appsync_operations,
    );
    bill.add(
        "AppSync",
        "connection minutes",
        workload.minutes(),
        &prices.appsync_minutes,
    );
    bill
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> Workload {
        Workload {
            connections: 1000.0,
            hours: 8.0,
            members: 100.0,
            messages_per_day: 1000.0,
            message_bytes: 500.0,
            history_days: 7.0,
            pings_per_hour: 12.0,
            fifo: false,
        }
    }

    fn all(workload: &Workload) -> [Bill; 3] {
        bills(workload, &Measured::last(), &Prices::list())
    }

    fn line<'a>(bill: &'a Bill, what: &str) -> &'a Line {
        bill.lines
            .iter()
            .find(|line| line.what == what)
            .expect(what)
    }

    #[test]
    fn a_bill_is_the_sum_of_its_lines() {
        for bill in all(&workload()) {
            let sum: f64 = bill.lines.iter().map(|line| line.usd).sum();
            assert!((bill.usd - sum).abs() < 1e-9, "{}", bill.design);
        }
    }

    #[test]
    fn what_is_counted_is_what_aws_counts() {
        let [hermes, tutorial, appsync] = all(&workload());
        // 1,000 connections for 8 hours on 30 days, and 30,000 messages to 100 members.
        for bill in [&hermes, &tutorial, &appsync] {
            assert_eq!(line(bill, "connection minutes").quantity, 14_400_000.0);
            assert_eq!(line(bill, "notifications").quantity, 3_000_000.0);
        }
        assert!((line(&hermes, "notifications").usd - 3.0).abs() < 1e-9);
        assert!((line(&hermes, "connection minutes").usd - 3.6).abs() < 1e-9);
        assert!((line(&appsync, "connection minutes").usd - 1.152).abs() < 1e-9);
        // Four connections of two hours a day, a read each.
        assert_eq!(line(&hermes, "read units: handshakes").quantity, 120_000.0);
    }

    #[test]
    fn the_room_is_read_by_hermes_and_the_table_by_the_tutorial() {
        let small = all(&workload());
        let large = all(&Workload {
            connections: 100_000.0,
            ..workload()
        });
        let reads = |bills: &[Bill; 3]| {
            (
                line(&bills[0], "read units: rooms").quantity,
                line(&bills[1], "read units: scans of the table").quantity,
            )
        };
        assert_eq!(reads(&small).0, reads(&large).0);
        assert!(reads(&large).1 > 50.0 * reads(&small).1);
    }

    #[test]
    fn a_large_message_is_several() {
        let large = Workload {
            message_bytes: 33.0 * 1024.0,
            ..workload()
        };
        let [hermes, _, appsync] = all(&large);
        assert_eq!(line(&hermes, "notifications").quantity, 6_000_000.0);
        assert_eq!(line(&appsync, "notifications").quantity, 21_000_000.0);
    }

    #[test]
    fn history_is_paid_for_where_it_is_kept() {
        let [with, ..] = all(&workload());
        let [without, ..] = all(&Workload {
            history_days: 0.0,
            ..workload()
        });
        assert!(with.of("DynamoDB") > without.of("DynamoDB"));
        assert!(
            !without
                .lines
                .iter()
                .any(|line| line.what.contains("history"))
        );
    }
}
