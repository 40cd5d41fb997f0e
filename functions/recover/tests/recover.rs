//! `recover`, with the shape of the other routes' events. (What is recovered: `shared/tests/recover.rs`.)
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use hermes::Timestamp;
use hermes::log::{Draft, History, Position, Stream};
use hermes::memory::MemoryLog;
use serde_json::{Value, json};
use tokio::time::Instant;

fn event(body: &str) -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../events/send-message-socket.json")).unwrap();
    event["requestContext"]["routeKey"] = json!("recover");
    event["body"] = json!(body);
    event
}

async fn answer(history: Option<&History<MemoryLog>>, event: Value) -> Value {
    let response = recover::handle(history, &serde_json::from_value(event).unwrap()).await;
    assert_eq!(response.status_code, 200);
    let response = serde_json::to_value(response).unwrap();
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

/// Three messages to the room of the event, two to Alice alone.
async fn history() -> (History<MemoryLog>, Position) {
    let history = History::new(MemoryLog::default(), Duration::from_secs(3600));
    let room = Stream {
        room: "demo".parse().unwrap(),
        user: None,
    };
    let alice = Stream {
        user: Some("alice".parse().unwrap()),
        ..room.clone()
    };
    let bob = Stream {
        user: Some("bob".parse().unwrap()),
        ..room.clone()
    };
    let now = Timestamp::from_millis(
        event("")["requestContext"]["requestTimeEpoch"]
            .as_u64()
            .unwrap(),
    );
    let sender = "backend".parse().unwrap();
    let mut first = None;
    for (stream, count) in [(&room, 3), (&alice, 2), (&bob, 1)] {
        for i in 0..count {
            let (id, notification) = (
                format!("m-{i}").parse().unwrap(),
                format!(r#"{{"data":{i}}}"#),
            );
            let drafts = [Draft {
                sender: &sender,
                id: &id,
                notification: &notification,
            }];
            let deadline = Instant::now() + Duration::from_secs(1);
            let placed = history
                .append(stream, &drafts, || now, deadline)
                .await
                .unwrap();
            first.get_or_insert(placed[0].position.clone());
        }
    }
    (history, first.unwrap())
}

#[tokio::test]
async fn what_was_missed_comes_in_one_answer() {
    let (history, first) = history().await;
    let asked = json!({"action": "recover", "ref": "r-1", "stream": "room", "epoch": first.epoch, "offset": 1});
    let recovered = answer(Some(&history), event(&asked.to_string())).await;
    let epoch = first.epoch;
    let message = |n: u64| json!({"data": n, "stream": "room", "epoch": epoch, "offset": n + 1});
    assert_eq!(
        recovered,
        json!({"system": "recovered", "ref": "r-1", "data": {
            "stream": "room", "epoch": epoch, "head": 3, "complete": true, "more": false,
            "messages": [message(1), message(2)],
        }})
    );
}

#[tokio::test]
async fn a_user_recovers_its_own_stream_and_nobody_elses() {
    let (history, _) = history().await;
    let mut event =
        event(r#"{"action":"recover","stream":"user","user_id":"bob","room_id":"other"}"#);
    let recovered = answer(Some(&history), event.clone()).await["data"].clone();
    assert_eq!(
        (&recovered["stream"], &recovered["head"]),
        (&json!("user"), &json!(2))
    );
    event["requestContext"]["authorizer"]["user_id"] = json!("carol");
    let recovered = answer(Some(&history), event.clone()).await["data"].clone();
    assert_eq!(
        (&recovered["head"], &recovered["messages"]),
        (&json!(0), &json!([]))
    );
    assert!(
        recovered["epoch"].is_string(),
        "a position to come back with"
    );
    event["requestContext"]["authorizer"]["room_id"] = json!("other");
    event["body"] = json!(r#"{"action":"recover","stream":"room"}"#);
    assert_eq!(
        answer(Some(&history), event).await["data"]["messages"],
        json!([])
    );
}

#[tokio::test]
async fn another_epoch_is_incomplete() {
    let (history, _) = history().await;
    let asked = r#"{"action":"recover","stream":"room","epoch":"another","offset":1}"#;
    let recovered = answer(Some(&history), event(asked)).await["data"].clone();
    assert_eq!(
        (&recovered["complete"], &recovered["head"]),
        (&json!(false), &json!(3))
    );
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (history, _) = history().await;
    for (body, says) in [
        (r#"{"action":"recover"}"#, "`stream` must be"),
        (r#"{"stream":"lobby"}"#, "`stream` must be"),
        (r#"{"stream":7}"#, "`stream` must be"),
        (
            r#"{"stream":"room","epoch":"e"}"#,
            "`epoch` and `offset` go together",
        ),
        (
            r#"{"stream":"room","offset":1}"#,
            "`epoch` and `offset` go together",
        ),
        (
            r#"{"stream":"room","epoch":"","offset":1}"#,
            "`epoch` must be",
        ),
        (
            r#"{"stream":"room","epoch":"e\u001f","offset":1}"#,
            "`epoch` must be",
        ),
        (
            r#"{"stream":"room","epoch":"e","offset":-1}"#,
            "`offset` must be",
        ),
        (
            r#"{"stream":"room","epoch":"e","offset":1.5}"#,
            "`offset` must be",
        ),
        (
            r#"{"stream":"room","epoch":"e","offset":9007199254740992}"#,
            "`offset` must be",
        ),
        (
            r#"{"stream":"room","epoch":"e","offset":18446744073709551615}"#,
            "`offset` must be",
        ),
    ] {
        let error = answer(Some(&history), event(body)).await["data"].clone();
        assert_eq!(error["code"], "invalid_message", "{body}");
        assert!(
            error["message"].as_str().unwrap().starts_with(says),
            "{body}: {error}"
        );
    }
    assert_eq!(
        answer(Some(&history), event("no json")).await["data"]["code"],
        "invalid_json"
    );
}

#[tokio::test]
async fn without_a_log_the_client_is_told_to_reload() {
    let error = answer(None, event(r#"{"ref":"r","stream":"room"}"#)).await;
    assert_eq!(
        (&error["ref"], &error["data"]["code"]),
        (&json!("r"), &json!("unknown_action"))
    );
}
