//! The wire protocol: every request has exactly one answer, and nothing that a client sends breaks
//! its socket.

use hermes_tests::socket::Socket;
use hermes_tests::stack::Stack;
use serde_json::{Value, json};

/// Sends a frame and waits for its answer; there is exactly one, because the next is that of a ping.
async fn exactly_one_answer(socket: &mut Socket, frame: &str) -> Value {
    socket.send(frame).await;
    let answer = socket.answer().await;
    socket.ping().await;
    answer
}

fn error_code(answer: &Value) -> &str {
    assert_eq!(answer["system"], "error", "{answer}");
    let keys: Vec<_> = answer["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "message"], "{answer}");
    answer["data"]["code"].as_str().unwrap()
}

#[tokio::test]
async fn every_request_has_exactly_one_answer() {
    let stack = Stack::find().await;
    let mut alice = stack.room().join("alice").await;
    for (frame, system) in [
        (r#"{"action":"ping"}"#, "pong"),
        (r#"{"action":"ping","unknown":[1]}"#, "pong"),
        (r#"{"action":"sendMessage","data":null}"#, "ack"),
        (
            r#"{"action":"sendMessageToSQS","data":null,"to":"nobody"}"#,
            "ack",
        ),
        (r#"{"action":"sendMessage"}"#, "error"),
        (r#"{"action":"dance"}"#, "error"),
        ("hello", "error"),
    ] {
        let answer = exactly_one_answer(&mut alice, frame).await;
        assert_eq!(answer["system"], system, "{frame}: {answer}");
        assert_eq!(answer.get("ref"), None, "none was given");
        assert_eq!(
            answer["data"].get("type"),
            None,
            "existing clients ignore what has no type"
        );
    }
    assert_eq!(alice.notification().await.data(), &Value::Null);
    alice.receives_nothing_more("alice").await;
}

#[tokio::test]
async fn a_reference_is_echoed_with_every_kind_of_answer() {
    let stack = Stack::find().await;
    let mut alice = stack.room().join("alice").await;
    let longest = "r".repeat(128);
    for reference in ["", "1", "ré\"f\\🦀", longest.as_str()] {
        for (mut request, system) in [
            (json!({"action": "ping"}), "pong"),
            (
                json!({"action": "sendMessage", "data": 1, "to": "nobody"}),
                "ack",
            ),
            (
                json!({"action": "sendMessageToSQS", "data": 1, "to": "nobody"}),
                "ack",
            ),
            (json!({"action": "sendMessage", "to": "nobody"}), "error"),
            (
                json!({"action": "sendMessageToSQS", "to": "nobody"}),
                "error",
            ),
            (json!({"action": "dance"}), "error"),
            (json!({"no": "action"}), "error"),
        ] {
            request["ref"] = json!(reference);
            let answer = exactly_one_answer(&mut alice, &request.to_string()).await;
            assert_eq!(
                (&answer["system"], &answer["ref"]),
                (&json!(system), &json!(reference))
            );
        }
    }
    for wrong in [json!(1), json!(null), json!("r".repeat(129))] {
        for action in ["ping", "sendMessage", "sendMessageToSQS"] {
            let request = json!({"action": action, "data": 1, "to": "nobody", "ref": wrong});
            let answer = exactly_one_answer(&mut alice, &request.to_string()).await;
            assert_eq!(
                (error_code(&answer), answer.get("ref")),
                ("invalid_message", None)
            );
        }
    }
}

/// Flaw: bad JSON throws.
/// Flaw: error text with stack traces goes to clients.
#[tokio::test]
async fn what_is_wrong_is_named_and_the_socket_stays_open() {
    let stack = Stack::find().await;
    let mut alice = stack.room().join("alice").await;
    for (frame, code, says) in [
        ("", "invalid_json", "not a JSON object"),
        ("hello", "invalid_json", "not a JSON object"),
        ("{", "invalid_json", "not JSON"),
        (
            r#"{"action":"sendMessage","data":}"#,
            "invalid_json",
            "not JSON",
        ),
        (r#"["sendMessage",1]"#, "invalid_json", "not a JSON object"),
        ("null", "invalid_json", "not a JSON object"),
        ("\"ping\"", "invalid_json", "not a JSON object"),
        (
            "{}",
            "unknown_action",
            "sendMessage, sendMessageToSQS, recover, ping",
        ),
        (
            r#"{"action":"dance"}"#,
            "unknown_action",
            "sendMessage, sendMessageToSQS, recover, ping",
        ),
        (r#"{"action":"PING"}"#, "unknown_action", "ping"),
        (r#"{"action":["ping"]}"#, "unknown_action", "ping"),
        (r#"{"action":null}"#, "unknown_action", "ping"),
        (
            r#"{"action":"sendMessage"}"#,
            "invalid_message",
            "`data` is missing",
        ),
        (
            r#"{"action":"sendMessage","data":1,"id":7}"#,
            "invalid_message",
            "`id` must",
        ),
        (
            r#"{"action":"sendMessage","data":1,"id":""}"#,
            "invalid_message",
            "`id` must",
        ),
        (
            r#"{"action":"sendMessage","data":1,"to":null}"#,
            "invalid_message",
            "`to` must",
        ),
        (
            r#"{"action":"sendMessage","data":1,"to":1.5}"#,
            "invalid_message",
            "`to` must",
        ),
        (
            r#"{"action":"sendMessage","data":1,"data":2}"#,
            "invalid_message",
            "given twice",
        ),
        (
            r#"{"action":"sendMessageToSQS"}"#,
            "invalid_message",
            "`data` is missing",
        ),
        (
            r#"{"action":"sendMessageToSQS","data":1,"id":7}"#,
            "invalid_message",
            "`id` must",
        ),
    ] {
        let answer = exactly_one_answer(&mut alice, frame).await;
        assert_eq!(error_code(&answer), code, "{frame}: {answer}");
        let message = answer["data"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{frame}: {message}");
        for internal in ["::", ".rs", "panicked", "Error", "arn:", "AWS"] {
            assert!(!message.contains(internal), "{frame}: {message}");
        }
    }
    alice.receives_nothing_more("alice").await;
}

/// 120 KiB is the largest notification; what is larger is refused where the client still learns of it.
#[tokio::test]
async fn a_payload_that_is_too_large_is_refused_on_either_way() {
    let stack = Stack::find().await;
    let mut alice = stack.room().join("alice").await;
    for action in ["sendMessage", "sendMessageToSQS"] {
        let with = |length: usize| json!({"action": action, "data": "x".repeat(length)});
        let answer = alice.request(with(120 * 1024)).await;
        assert_eq!(error_code(&answer), "payload_too_large");
        let answer = alice.request(with(119 * 1024)).await;
        assert_eq!(answer["system"], "ack", "{answer}");
        assert_eq!(
            alice.notification().await.data().as_str().unwrap().len(),
            119 * 1024
        );
    }
    alice.receives_nothing_more("alice").await;
}

/// Only API Gateway can connect and disconnect: a client that sends these actions joins nothing,
/// leaves nothing, and keeps its socket.
#[tokio::test]
async fn the_names_of_the_other_routes_are_no_actions() {
    let stack = Stack::find().await;
    let room = stack.room();
    let (mut alice, mut bob) = (room.join("alice").await, room.join("bob").await);
    let before = room.members().await;
    for action in ["$disconnect", "$connect", "$default"] {
        alice.send(json!({"action": action}).to_string()).await;
        // On these routes no answer is wired, except $default.
        if action == "$default" {
            assert_eq!(error_code(&alice.answer().await), "unknown_action");
        }
        alice.ping().await;
        assert_eq!(room.members().await, before, "{action}");
    }
    bob.publish(&json!("still there?")).await;
    assert_eq!(alice.notification().await.data(), "still there?");
    alice.receives_nothing_more("alice").await;
}
