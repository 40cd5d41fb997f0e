//! `sendMessageToSQS`, with the event of `events/`.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use hermes::memory::MemoryQueue;
use hermes::message::Sequence;
use hermes::ports::{MessageQueue, PortError};
use serde_json::{Value, json};

fn event() -> Value {
    serde_json::from_str(include_str!("../../../events/send-message-to-sqs.json")).unwrap()
}

fn with_body(body: &str) -> Value {
    let mut event = event();
    event["body"] = json!(body);
    event
}

async fn answer(queue: &impl MessageQueue, event: Value) -> Value {
    let response = send_message_to_sqs::handle(queue, serde_json::from_value(event).unwrap()).await;
    let response = serde_json::to_value(response).unwrap();
    assert_eq!(response["statusCode"], 200);
    serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn the_message_is_enqueued_for_the_senders_own_room() {
    let queue = MemoryQueue::default();
    let body = r#"{"action":"sendMessageToSQS","ref":"r-1","data":{"n":1.50},"id":"m-1","to":"bob","room_id":"vault","user_id":"root"}"#;
    let ack = answer(&queue, with_body(body)).await;
    assert_eq!(
        ack,
        json!({"system": "ack", "ref": "r-1", "data": {"id": "m-1"}})
    );
    assert_eq!(
        queue.bodies(),
        [r#"{"user_id":"alice","room_id":"demo","data":{"n":1.50},"id":"m-1","to":"bob"}"#]
    );
}

#[tokio::test]
async fn a_message_without_an_id_is_given_one_that_the_ack_names() {
    let queue = MemoryQueue::default();
    let ack = answer(
        &queue,
        with_body(r#"{"action":"sendMessageToSQS","data":null}"#),
    )
    .await;
    let queued: Value = serde_json::from_str(&queue.bodies()[0]).unwrap();
    assert_eq!(ack["data"]["id"], queued["id"]);
    assert_eq!(queued["id"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn what_is_refused_is_not_enqueued() {
    let queue = MemoryQueue::default();
    let large = format!(r#"{{"data":"{}"}}"#, "x".repeat(122_880));
    for (body, code) in [
        ("{}", "invalid_message"),
        ("{\"data\":\"\u{ffff}\"}", "invalid_message"),
        ("no json", "invalid_json"),
        (large.as_str(), "payload_too_large"),
    ] {
        assert_eq!(
            answer(&queue, with_body(body)).await["data"]["code"],
            code,
            "{body:.40}"
        );
    }
    let mut expired = event();
    expired["requestContext"]["authorizer"]["exp"] = json!("1000");
    assert_eq!(
        answer(&queue, expired).await["data"]["code"],
        "token_expired"
    );
    let mut stranger = event();
    stranger["requestContext"]["authorizer"] = json!({});
    assert_eq!(answer(&queue, stranger).await["data"]["code"], "internal");
    assert!(queue.bodies().is_empty());
}

/// Flaw: error text with stack traces goes to clients.
#[tokio::test]
async fn a_failure_tells_the_client_no_internals() {
    struct Failing;
    impl MessageQueue for Failing {
        async fn enqueue(&self, _: &str, _: &Sequence) -> Result<(), PortError> {
            Err(PortError::new(
                "enqueueing the message",
                "AccessDenied: arn:aws:sqs:…",
            ))
        }
    }
    let error = answer(&Failing, with_body(r#"{"ref":"r-1","data":1}"#)).await;
    assert_eq!(
        error,
        json!({"system": "error", "ref": "r-1",
               "data": {"code": "internal", "message": "the request failed and may be sent again"}})
    );
}
