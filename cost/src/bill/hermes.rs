//! Hermes's bill.

use super::{
    API_GATEWAY_HOURS, Bill, CALL_MS, DAYS, HERMES_POSTS, MEMBERS_PER_JOB, POLLING, SQS_REQUESTS,
    Workload, fanout_gb_seconds, gb_seconds, handshakes, units,
};
use crate::{Figures, Prices};

pub(super) fn bill(workload: &Workload, figures: &Figures, prices: &Prices) -> Bill {
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
    let handshakes = handshakes(connects, figures);
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
