//! `ping` and `$default`, with the events of `events/`.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use hermes::Timestamp;
use hermes::log::{Draft, Epoch, Stream};
use hermes::memory::MemoryLog;
use hermes::ports::Log;
use serde_json::{Value, json};

async fn answer_with(log: Option<&MemoryLog>, event: &str, body: Option<&str>) -> Value {
    let mut event: Value = serde_json::from_str(event).unwrap();
    if let Some(body) = body {
        event["body"] = json!(body);
    }
    let response = default::handle(log, &serde_json::from_value(event).unwrap()).await;
    assert_eq!(
        response.status_code, 200,
        "API Gateway replaces the body of another status"
    );
    let response = serde_json::to_value(response).unwrap();
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

async fn answer(event: &str, body: Option<&str>) -> Value {
    answer_with(None, event, body).await
}

const PING: &str = include_str!("../../../events/default-ping.json");
const UNKNOWN: &str = include_str!("../../../events/default-unknown.json");
const NOT_JSON: &str = include_str!("../../../events/default-not-json.json");

#[tokio::test]
async fn ping_is_answered_by_pong() {
    assert_eq!(answer(PING, None).await["system"], "pong");
    assert_eq!(
        answer(PING, Some(r#"{"action":"ping","ref":"p-7"}"#)).await,
        json!({"system": "pong", "ref": "p-7", "data": {}})
    );
}

#[tokio::test]
async fn an_unknown_action_is_told_the_known_ones() {
    let error = answer(UNKNOWN, None).await;
    assert_eq!(error["system"], "error");
    assert_eq!(error["data"]["code"], "unknown_action");
    assert_eq!(
        error["data"]["message"],
        "`action` must be one of sendMessage, sendMessageToSQS, recover, ping"
    );
    for body in [
        r#"{"ref":"r"}"#,
        r#"{"action":7,"ref":"r"}"#,
        r#"{"action":"$default","ref":"r"}"#,
    ] {
        let error = answer(UNKNOWN, Some(body)).await;
        assert_eq!(
            (&error["data"]["code"], &error["ref"]),
            (&json!("unknown_action"), &json!("r")),
            "{body}"
        );
    }
}

/// Flaw: bad JSON throws.
#[tokio::test]
async fn text_that_is_no_json_object_is_an_error_and_no_crash() {
    assert_eq!(answer(NOT_JSON, None).await["data"]["code"], "invalid_json");
    for body in ["", "[]", "\"ping\"", "{\"action\":\"ping\""] {
        assert_eq!(
            answer(PING, Some(body)).await["data"]["code"],
            "invalid_json",
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_reference_that_cannot_be_echoed_is_refused() {
    let error = answer(PING, Some(r#"{"action":"ping","ref":7}"#)).await;
    assert_eq!(error["data"]["code"], "invalid_message");
    assert!(error.get("ref").is_none());
}

/// A client's connection stays usable without a session, for pings too.
#[tokio::test]
async fn a_missing_body_is_no_crash() {
    let mut event: Value = serde_json::from_str(PING).unwrap();
    event.as_object_mut().unwrap().remove("body");
    let response =
        default::handle(None::<&MemoryLog>, &serde_json::from_value(event).unwrap()).await;
    assert!(format!("{:?}", response.body).contains("invalid_json"));
}

/// A client in a quiet room learns within one ping that it has missed something.
#[tokio::test]
async fn a_pong_tells_where_the_streams_end() {
    let log = MemoryLog::default();
    let heads = answer_with(Some(&log), PING, None).await["data"]["heads"].clone();
    assert_eq!(heads, json!({"room": null, "user": null}));

    let event: Value = serde_json::from_str(PING).unwrap();
    let context = &event["requestContext"]["authorizer"];
    let parsed = |field: &str| context[field].as_str().unwrap().to_owned();
    let room = Stream {
        room: parsed("room_id").parse().unwrap(),
        user: None,
    };
    let user = Stream {
        user: Some(parsed("user_id").parse().unwrap()),
        ..room.clone()
    };
    let now = Timestamp::from_millis(
        event["requestContext"]["requestTimeEpoch"]
            .as_u64()
            .unwrap(),
    );
    let (sender, id) = ("backend".parse().unwrap(), "m-1".parse().unwrap());
    let draft = [Draft {
        sender: &sender,
        id: &id,
        notification: "{}",
    }];
    let epochs = [Epoch::generate(), Epoch::generate()];
    for (stream, epoch) in [&room, &user].into_iter().zip(&epochs) {
        log.append(
            stream,
            None,
            epoch,
            &draft,
            now,
            now.after(Duration::from_secs(60)),
        )
        .await
        .unwrap();
    }
    let heads = answer_with(Some(&log), PING, None).await["data"]["heads"].clone();
    let head = |epoch: &Epoch| json!({"epoch": epoch, "offset": 1});
    assert_eq!(
        heads,
        json!({"room": head(&epochs[0]), "user": head(&epochs[1])})
    );
}
