//! `hermes cost` needs no stack and no AWS.

use serde_json::Value;

use crate::support::{hermes, run};

fn bills(arguments: &str) -> Value {
    let done = run(&mut hermes(&format!("cost {arguments} --json")), "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

fn quantity(answer: &Value, design: usize, what: &str) -> f64 {
    let lines = answer["bills"][design]["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| line["what"] == what).expect(what);
    line["quantity"].as_f64().unwrap()
}

#[test]
fn three_designs_side_by_side() {
    let done = run(
        &mut hermes("cost --connections 200 --hours 8 --members 20 --messages 5000"),
        "",
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in [
        "Hermes",
        "Tutorial (Node.js)",
        "AppSync Events",
        "API Gateway, notifications",
        "3.00 million",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert!(
        done.stderr.contains("3.00 million delivered messages"),
        "{}",
        done.stderr
    );
}

#[test]
fn rooms_and_members_are_two_ways_to_say_the_same() {
    let by_rooms = bills("--connections 1000 --rooms 10 --messages 50");
    let by_members = bills("--connections 1000 --members 100 --messages 50");
    assert_eq!(by_rooms, by_members);
    assert_eq!(by_rooms["deliveries"], 150_000.0);
    // Without either, everybody is in one room.
    assert_eq!(
        bills("--connections 1000 --messages 50")["deliveries"],
        1_500_000.0
    );
}

#[test]
fn history_is_a_choice() {
    let arguments = "--connections 1000 --members 100 --messages 1000";
    let with = bills(arguments);
    assert!(quantity(&with, 0, "write units: history") > 0.0);
    let without = bills(&format!("{arguments} --no-history"));
    assert_eq!(without, bills(&format!("{arguments} --history-days 0")));
    let usd = |answer: &Value| answer["bills"][0]["usd"].as_f64().unwrap();
    assert!(usd(&without) < usd(&with));
}

#[test]
fn what_cannot_be_is_refused() {
    for (arguments, says) in [
        ("--messages 5", "--connections"),
        ("--connections 0 --messages 5", "at least 1"),
        ("--connections 10 --messages -5", "--messages"),
        ("--connections 10 --messages 5 --hours 25", "24 hours"),
        (
            "--connections 10 --messages 5 --rooms 2 --members 3",
            "cannot be used with",
        ),
    ] {
        let done = run(&mut hermes(&format!("cost {arguments}")), "");
        assert_eq!(done.code, 2, "{arguments}: {}", done.stderr);
        assert!(done.stderr.contains(says), "{arguments}: {}", done.stderr);
    }
}
