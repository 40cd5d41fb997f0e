//! The bill of the design that Hermes grew from.

use super::{
    API_GATEWAY_HOURS, Bill, POLLING, SQS_REQUESTS, TUTORIAL_POSTS, Workload, fanout_gb_seconds,
    handshakes, units,
};
use crate::{Figures, Prices};

pub(super) fn bill(workload: &Workload, figures: &Figures, prices: &Prices) -> Bill {
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
    let handshakes = handshakes(connects, figures);
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
