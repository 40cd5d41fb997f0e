//! A month's bill.

mod appsync;
mod hermes;
#[cfg(test)]
mod tests;
mod tutorial;

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
        hermes::bill(workload, &measured.hermes, prices),
        tutorial::bill(workload, &measured.tutorial, prices),
        appsync::bill(workload, prices),
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

/// GB-seconds of the handshakes: authorizer, connect, disconnect.
fn handshakes(connects: f64, figures: &Figures) -> f64 {
    gb_seconds(connects, 1769.0, figures.authorizer_us, CALL_MS)
        + gb_seconds(connects, 256.0, figures.connect_us, CALL_MS)
        + gb_seconds(connects, 256.0, figures.disconnect_us, CALL_MS)
}

fn units(bytes: f64, unit: f64) -> f64 {
    (bytes / unit).ceil()
}
