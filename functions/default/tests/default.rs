//! `ping` and `$default`, with the events of `events/`.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use serde_json::{Value, json};

fn answer(event: &str, body: Option<&str>) -> Value {
    let mut event: Value = serde_json::from_str(event).unwrap();
    if let Some(body) = body {
        event["body"] = json!(body);
    }
    let response = default::handle(&serde_json::from_value(event).unwrap());
    assert_eq!(
        response.status_code, 200,
        "API Gateway replaces the body of another status"
    );
    let response = serde_json::to_value(response).unwrap();
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

const PING: &str = include_str!("../../../events/default-ping.json");
const UNKNOWN: &str = include_str!("../../../events/default-unknown.json");
const NOT_JSON: &str = include_str!("../../../events/default-not-json.json");

#[test]
fn ping_is_answered_by_pong() {
    assert_eq!(answer(PING, None)["system"], "pong");
    assert_eq!(
        answer(PING, Some(r#"{"action":"ping","ref":"p-7"}"#)),
        json!({"system": "pong", "ref": "p-7", "data": {}})
    );
}

#[test]
fn an_unknown_action_is_told_the_known_ones() {
    let error = answer(UNKNOWN, None);
    assert_eq!(error["system"], "error");
    assert_eq!(error["data"]["code"], "unknown_action");
    assert_eq!(
        error["data"]["message"],
        "`action` must be one of sendMessage, sendMessageToSQS, ping"
    );
    for body in [
        r#"{"ref":"r"}"#,
        r#"{"action":7,"ref":"r"}"#,
        r#"{"action":"$default","ref":"r"}"#,
    ] {
        let error = answer(UNKNOWN, Some(body));
        assert_eq!(
            (&error["data"]["code"], &error["ref"]),
            (&json!("unknown_action"), &json!("r")),
            "{body}"
        );
    }
}

/// Flaw: bad JSON throws.
#[test]
fn text_that_is_no_json_object_is_an_error_and_no_crash() {
    assert_eq!(answer(NOT_JSON, None)["data"]["code"], "invalid_json");
    for body in ["", "[]", "\"ping\"", "{\"action\":\"ping\""] {
        assert_eq!(
            answer(PING, Some(body))["data"]["code"],
            "invalid_json",
            "{body}"
        );
    }
}

#[test]
fn a_reference_that_cannot_be_echoed_is_refused() {
    let error = answer(PING, Some(r#"{"action":"ping","ref":7}"#));
    assert_eq!(error["data"]["code"], "invalid_message");
    assert!(error.get("ref").is_none());
}

/// A client's connection stays usable without a session, for pings too.
#[test]
fn a_missing_body_is_no_crash() {
    let mut event: Value = serde_json::from_str(PING).unwrap();
    event.as_object_mut().unwrap().remove("body");
    let response = default::handle(&serde_json::from_value(event).unwrap());
    assert!(format!("{:?}", response.body).contains("invalid_json"));
}
