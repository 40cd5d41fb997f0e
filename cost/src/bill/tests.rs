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
