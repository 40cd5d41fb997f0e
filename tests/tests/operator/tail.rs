//! `hermes tail`.

use hermes_tests::command::{documents, done, ended, failed, hermes, text};
use hermes_tests::stack::Stack;
use serde_json::json;

#[tokio::test]
async fn a_delivery_is_shown_with_its_counts_and_latency() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    let arguments = [
        "tail",
        "--room",
        name,
        "--timeout",
        "20s",
        "--count",
        "3",
        "--json",
    ];
    let following = hermes(&arguments).spawn().unwrap();
    let mut alice = room.join("alice").await;
    let id = alice.publish(&json!("one")).await;
    alice.leave().await;
    // It joined, the delivery, it left.
    let output = ended(following).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let lines: Vec<serde_json::Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let delivery = lines.iter().find(|line| line["message_id"] == id.as_str());
    let delivery = delivery.unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(delivery["function"], "send-message");
    assert_eq!(
        (&delivery["delivered"], &delivery["failed"]),
        (&json!(1), &json!(0))
    );
    assert!(delivery["latency_ms"].is_u64(), "{delivery}");

    // The same afterwards, for a person.
    let shown = done(&["tail", "--room", name, "--since", "5m", "--count", "2"]).await;
    assert!(
        shown.contains("alice") && shown.contains("connect"),
        "{shown}"
    );
    let arguments = [
        "tail",
        "--room",
        name,
        "--since",
        "5m",
        "--failures",
        "--count",
        "1",
    ];
    let (code, said) = failed(hermes(&[&arguments[..], &["--timeout", "3s"]].concat())).await;
    assert!(
        code == 1 && said.contains("0 of 1 events came in time"),
        "{said}"
    );
}

#[tokio::test]
async fn a_failure_is_told_from_what_went_well() {
    let stack = Stack::find().await;
    let room = stack.room();
    // It is buried with its reason.
    let id = stack
        .enqueue(&json!({"room_id": room.id}).to_string())
        .await;
    stack.dead_letter(room.id.as_str()).await;
    let mark = [id.as_str()];
    let arguments = [
        "tail",
        "--failures",
        "--since",
        "2m",
        "--timeout",
        "4s",
        "--json",
    ];
    let failures = documents(&arguments).await;
    let own = failures.iter().find(|one| one["sqs_message_id"] == mark[0]);
    let own = own.unwrap_or_else(|| panic!("{failures:?}"));
    assert_eq!(
        (&own["level"], &own["error_code"]),
        (&json!("WARN"), &json!("invalid_message"))
    );
}
