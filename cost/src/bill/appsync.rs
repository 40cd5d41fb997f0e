//! The bill of `AppSync` Events.

use super::{Bill, Workload, units};
use crate::Prices;

pub(super) fn bill(workload: &Workload, prices: &Prices) -> Bill {
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
