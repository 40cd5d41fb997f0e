//! `hermes doctor`: on a stack that is well, and on ones that were broken.

use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use hermes::time::{Clock as _, SystemClock};
use hermes_tests::command::{ended, hermes, text};
use hermes_tests::signed::{cloudwatch, update_event_source_mapping};
use hermes_tests::stack::Stack;
use serde_json::{Value, json};

/// What it says of a stack, and its exit code.
async fn examined(stack: &Stack, options: &[&str]) -> (i32, Value) {
    let mut command = hermes(&[&["doctor", "--json"], options].concat());
    command.env("HERMES_STACK", &stack.name);
    let output = ended(command.spawn().unwrap()).await;
    let said = text(&output.stdout);
    let document = serde_json::from_str(&said);
    let document = document.unwrap_or_else(|_| panic!("{said}{}", text(&output.stderr)));
    (output.status.code().unwrap(), document)
}

/// The checks that did not go well: `warn tables …`.
fn findings(document: &Value) -> Vec<String> {
    let checks = document["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| check["outcome"] != "ok");
    let said = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
    checks
        .map(|check| {
            let parts = ["outcome", "check", "says", "hint"];
            parts.map(|name| said(check, name)).join(" ")
        })
        .collect()
}

#[track_caller]
fn finds(document: &Value, parts: &[&str]) {
    let findings = findings(document);
    let found = findings
        .iter()
        .any(|finding| parts.iter().all(|part| finding.contains(part)));
    assert!(found, "not found: {parts:?} in {findings:#?}");
}

#[tokio::test]
async fn a_stack_that_is_well_is_said_to_be_and_what_is_broken_is_found() {
    let shared = Stack::find().await;
    let stack = shared.deploy_another(&[], |_| ()).await;

    let (code, well) = examined(&stack, &[]).await;
    let mut found = findings(&well);
    // On a busy machine: every function starts for the first time.
    found.retain(|finding| !finding.contains("longer than a second"));
    assert!(code != 1 && found.is_empty(), "{well:#}");
    let round_trip = well["checks"].as_array().unwrap().last().unwrap();
    assert_eq!(round_trip["check"], "round trip");
    assert!(round_trip["ms"].is_u64(), "{round_trip}");
    // As a person reads it, from a pipe.
    let mut command = hermes(&["doctor", "--no-round-trip"]);
    command.env("HERMES_STACK", &stack.name);
    let output = ended(command.spawn().unwrap()).await;
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(
        shown.contains("ok   secrets      the JWT secret has 88 bytes"),
        "{shown}"
    );
    assert!(!shown.contains("round trip"), "{shown}");
    assert!(said.contains("is well"), "{said}");

    // Something died, and a table keeps what is old: it works, but somebody should look.
    let dead = stack.sqs().send_message();
    let dead = dead.queue_url(stack.output("DeadLetterQueueUrl"));
    dead.message_body("{}").send().await.unwrap();
    let ttl = TimeToLiveSpecification::builder()
        .attribute_name("expires_at")
        .enabled(false);
    stack
        .dynamodb()
        .update_time_to_live()
        .table_name(stack.output("StreamsTable"))
        .time_to_live_specification(ttl.build().unwrap())
        .send()
        .await
        .unwrap();
    let (code, document) = examined(&stack, &[]).await;
    assert_eq!(code, 3, "{document:#}");
    assert_eq!(document["outcome"], "warn");
    finds(
        &document,
        &["warn dead letters", "about 1 message", "hermes dlq list"],
    );
    finds(&document, &["warn tables", "StreamsTable", "no TTL"]);

    // A message waits for longer than it should, and an alarm rings.
    let url = stack.output("MessageQueueUrl");
    let queue = url.rsplit('/').next().unwrap();
    let age = json!({
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [{"Name": "QueueName", "Value": queue}],
        "Timestamp": SystemClock.now().as_secs() - 30,
        "Unit": "Seconds",
        "Value": 301,
    });
    let data = json!({"Namespace": "AWS/SQS", "MetricData": [age]});
    cloudwatch(&stack, "PutMetricData", &data).await;
    let alarm = stack.physical("DeadLetterAlarm").await;
    let state = json!({"AlarmName": alarm, "StateValue": "ALARM", "StateReason": "a test"});
    cloudwatch(&stack, "SetAlarmState", &state).await;
    let (code, document) = examined(&stack, &["--no-round-trip"]).await;
    assert_eq!(code, 3, "{document:#}");
    finds(
        &document,
        &["warn queues", queue, "the oldest for 301 s", "send-message"],
    );
    finds(
        &document,
        &["warn alarms", &alarm, "rings", "hermes dlq list"],
    );

    // Nobody takes messages from the queue.
    update_event_source_mapping(
        &stack,
        "SendMessageFunctionMessages",
        &json!({"Enabled": false}),
    )
    .await;
    let (code, document) = examined(&stack, &["--timeout", "2s"]).await;
    assert_eq!(code, 1, "{document:#}");
    finds(
        &document,
        &[
            "fail triggers",
            "does not start",
            "Disabled",
            "update-event-source-mapping --uuid",
        ],
    );
    finds(
        &document,
        &["fail round trip", "did not arrive within 2s", "trigger"],
    );
    let (code, document) = examined(&stack, &["--no-round-trip"]).await;
    assert_eq!(code, 1, "{document:#}");
    stack.delete().await;
}

#[tokio::test]
async fn a_short_secret_is_found() {
    let shared = Stack::find().await;
    let short = |template: &mut Value| {
        let secret = &mut template["Resources"]["JwtSecret"]["Properties"];
        secret["GenerateSecretString"]["PasswordLength"] = json!(20);
    };
    let stack = shared.deploy_another(&[], short).await;
    let (code, document) = examined(&stack, &[]).await;
    assert_eq!(code, 1);
    finds(&document, &["fail secrets", "20 bytes", "at least 64"]);
    finds(&document, &["fail round trip", "20 bytes"]);
    stack.delete().await;
}
