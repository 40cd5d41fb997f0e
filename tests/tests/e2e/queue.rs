//! The queue: every record of a batch is delivered, or kept with its reason.

use std::collections::BTreeSet;

use aws_sdk_sqs::types::Message;
use hermes::time::{Clock, SystemClock};
use hermes_tests::stack::Stack;
use serde_json::json;

fn attribute<'a>(letter: &'a Message, name: &str) -> &'a str {
    let value = letter
        .message_attributes()
        .and_then(|all| all.get(name)?.string_value());
    value.unwrap_or_else(|| panic!("no {name}: {letter:?}"))
}

/// Flaw: an undefined variable in the endpoint: always fails from SQS when `ENDPOINT` is not set.
/// Flaw: every SDK call is issued twice.
#[tokio::test]
async fn a_message_from_the_queue_reaches_every_member_once() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut members = Vec::new();
    for user in ["alice", "bob", "carol"] {
        members.push((user, room.join(user).await));
    }
    let before = SystemClock.now().to_string();
    let id = stack
        .enqueue(&json!({"room_id": room.id, "data": [1, {"two": 2}]}).to_string())
        .await;
    let after = SystemClock.now().to_string();
    for (user, socket) in &mut members {
        let message = socket.notification().await.json;
        assert_eq!(message["user_id"], "system");
        assert_eq!(message["data"], json!([1, {"two": 2}]));
        assert_eq!(message["room_id"], json!(room.id));
        assert_eq!(
            message["id"],
            json!(id),
            "SQS's own, which a redelivery keeps"
        );
        let sent_at = message["sent_at"].as_str().unwrap();
        assert!(
            *before <= *sent_at && *sent_at <= *after,
            "{sent_at} is when it was enqueued"
        );
        assert_eq!(message.get("to"), None);
        socket.receives_nothing_more(user).await;
    }
}

#[tokio::test]
async fn what_the_producer_gives_is_what_members_see() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    let body = json!({"user_id": 42, "room_id": room.id, "data": null, "id": "order-17", "to": "alice", "more": true});
    stack.enqueue(&body.to_string()).await;
    let mut message = alice.notification().await.json;
    for field in ["sent_at", "epoch"] {
        message.as_object_mut().unwrap().remove(field).unwrap();
    }
    assert_eq!(
        message,
        json!({"user_id": "42", "data": null, "room_id": room.id, "id": "order-17", "to": "alice",
            "stream": "user", "offset": 1}),
    );
}

/// Flaw: only the first SQS record of a batch is handled, the rest are acknowledged and lost.
/// Flaw: bad JSON throws; `room_id` from the queue is not checked.
/// Flaw: answers 500 to SQS, which means success there.
#[tokio::test]
async fn a_batch_delivers_its_good_records_and_buries_each_bad_one_with_its_reason() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    let good = |n: usize| json!({"room_id": room.id, "data": n}).to_string();
    // In bodies that are no JSON the mark has to stand somewhere too.
    let no_json = format!("{{ {}", room.id);
    let no_room = json!({"data": room.id}).to_string();
    let too_large = json!({"room_id": room.id, "data": "x".repeat(120 * 1024)}).to_string();
    let batch = [
        good(0),
        no_json.clone(),
        good(1),
        good(2),
        no_room.clone(),
        good(3),
        good(4),
        too_large.clone(),
        good(5),
        good(6),
    ];
    stack.enqueue_batch(batch).await;

    let mut delivered = BTreeSet::new();
    for _ in 0..7 {
        let message = alice.notification().await;
        assert!(
            delivered.insert(message.data().as_u64().unwrap()),
            "twice: {}",
            message.text
        );
    }
    assert!(delivered.into_iter().eq(0..7));

    // One more bad record, enqueued when the others are done, is the last letter.
    stack
        .enqueue(&json!({"room_id": 0.5, "data": "the last", "mark": room.id}).to_string())
        .await;
    let mut letters = Vec::new();
    for _ in 0..4 {
        let letter = stack.dead_letter(room.id.as_str()).await;
        letters.push((
            attribute(&letter, "error_code").to_owned(),
            attribute(&letter, "error_message").to_owned(),
            letter.body.unwrap(),
        ));
    }
    let last = letters
        .iter()
        .position(|(_, _, body)| body.contains("the last"))
        .expect("exactly three others");
    assert!(letters.remove(last).1.starts_with("`room_id` must"));
    letters.sort();
    let [
        (json, json_says, json_body),
        (room, room_says, room_body),
        (large, large_says, large_body),
    ] = &letters[..]
    else {
        panic!("exactly three: {letters:?}");
    };
    assert_eq!((json.as_str(), json_body), ("invalid_json", &no_json));
    assert!(json_says.contains("not JSON"), "{json_says}");
    assert_eq!((room.as_str(), room_body), ("invalid_message", &no_room));
    assert!(room_says.contains("`room_id` is missing"), "{room_says}");
    assert_eq!(
        (large.as_str(), large_body),
        ("payload_too_large", &too_large)
    );
    assert!(large_says.contains("at most 122880"), "{large_says}");
    alice.receives_nothing_more("alice").await;
}

#[tokio::test]
async fn a_room_without_members_is_no_error() {
    let stack = Stack::find().await;
    let (empty, room) = (stack.room(), stack.room());
    let mut alice = room.join("alice").await;
    let bodies = [&empty, &room, &empty, &room]
        .map(|room| json!({"room_id": room.id, "data": 1}).to_string());
    stack.enqueue_batch(bodies).await;
    for _ in 0..2 {
        assert_eq!(alice.notification().await.data(), 1);
    }
    alice.receives_nothing_more("alice").await;
}
