//! `POST /rooms/{room}/messages`.

use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{Backend, in_path};

const JSON: &str = "application/json";

#[tokio::test]
async fn a_message_is_enqueued_as_it_was_sent() {
    let backend = Backend::default();
    let body = r#"{"data": {"b": 1, "a": 2.50}, "id": "m-1", "user_id": 7, "to": "bob"}"#;
    let answer = backend.post("/rooms/demo/messages", JSON, body).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json(), json!({"ids": ["m-1"]}));
    assert_eq!(
        backend.0.queue.bodies(),
        [r#"{"user_id":"7","room_id":"demo","data":{"b": 1, "a": 2.50},"id":"m-1","to":"bob"}"#]
    );
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_each_message_gets_an_id() {
    let backend = Backend::default();
    let body = json!([{"data": 1}, {"data": 2, "id": "two"}, {"data": null}]).to_string();
    let answer = backend
        .post(
            "/rooms/demo/messages",
            "Application/JSON; charset=utf-8",
            &body,
        )
        .await;
    let ids = answer.json()["ids"].as_array().unwrap().clone();
    assert_eq!((answer.status.as_u16(), &ids[1]), (202, &json!("two")));
    let bodies = backend.bodies();
    let enqueued: Vec<_> = bodies.iter().map(|body| &body["id"]).collect();
    assert_eq!(enqueued, ids.iter().collect::<Vec<_>>());
    assert_eq!(bodies[2]["data"], Value::Null);
    assert_eq!(bodies[0]["user_id"], "system");
}

/// Sent again with the same id, it goes to the same place of a FIFO queue, and the log takes it once.
#[tokio::test]
async fn the_same_id_is_the_same_message() {
    let backend = Backend::default();
    for _ in 0..2 {
        let body = r#"{"data":1,"id":"m-1"}"#;
        let answer = backend.post("/rooms/demo/messages", JSON, body).await;
        assert_eq!(answer.json(), json!({"ids": ["m-1"]}));
    }
    let [first, second] = backend.0.queue.bodies().try_into().unwrap();
    assert_eq!(first, second);
}

#[tokio::test]
async fn ids_with_any_character_reach_the_room() {
    let backend = Backend::default();
    for room in [
        "a/b",
        "a?b#c",
        "100%",
        "..",
        "=",
        "~",
        "Łukasz 🦀",
        "plain-1_.~:@=",
    ] {
        let path = format!("/rooms/{}/messages", in_path(room));
        let answer = backend.post(&path, JSON, r#"{"data":1}"#).await;
        assert_eq!(answer.status, 202, "{room}: {answer:?}");
        assert_eq!(backend.bodies().last().unwrap()["room_id"], room);
    }
    let answer = backend
        .post("/rooms/plain-1_.~:@=/messages", JSON, r#"{"data":1}"#)
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(backend.bodies().last().unwrap()["room_id"], "plain-1_.~:@=");
    for room in ["~", "~*", "~gA", "%1F", &"x".repeat(257)] {
        let path = format!("/rooms/{room}/messages");
        backend
            .post(&path, JSON, r#"{"data":1}"#)
            .await
            .problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_enqueued() {
    let backend = Backend::default();
    for (body, code, says) in [
        ("", "invalid_json", "this is not a JSON object"),
        ("{", "invalid_json", "this is not JSON"),
        ("7", "invalid_json", "this is not a JSON object"),
        ("[{]", "invalid_json", "this is not a JSON array"),
        ("[]", "invalid_request", "a batch has 1 to 100 messages"),
        ("{}", "invalid_message", "`data` is missing"),
        (r#"{"data":1,"id":7}"#, "invalid_message", "`id` must be"),
        (r#"{"data":1,"to":null}"#, "invalid_message", "`to` must be"),
        (
            r#"{"data":1,"user_id":1.5}"#,
            "invalid_message",
            "`user_id` must be",
        ),
        (
            r#"{"data":1,"room_id":"other"}"#,
            "invalid_message",
            "`room_id` is another",
        ),
        (
            r#"{"data":1,"data":2}"#,
            "invalid_message",
            "a field is given twice",
        ),
        ("{\"data\":\"\u{ffff}\"}", "invalid_message", "SQS refuses"),
    ] {
        let answer = backend.post("/rooms/demo/messages", JSON, body).await;
        let problem = answer.problem(400, code);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(says), "{body}: {detail}");
    }
    let request = Request::post("/rooms/demo/messages").header("content-type", JSON);
    let answer = backend
        .send(request.body(vec![b'"', 0xff, b'"']).unwrap())
        .await;
    answer.problem(400, "invalid_json");
    assert!(backend.bodies().is_empty());
}

#[tokio::test]
async fn every_wrong_message_of_a_batch_is_named_and_none_is_enqueued() {
    let backend = Backend::default();
    let large = "x".repeat(120 * 1024);
    let body = json!([{"data": 1}, {"id": "no-data"}, {"data": large}, 7]).to_string();
    let answer = backend.post("/rooms/demo/messages", JSON, &body).await;
    let problem = answer.problem(400, "invalid_message");
    let pointers: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["#/1", "#/2", "#/3"]);
    assert!(backend.bodies().is_empty());
}

#[tokio::test]
async fn limits_are_kept() {
    let backend = Backend::default();
    let batch = |messages: usize| json!(vec![json!({"data": 1}); messages]).to_string();
    let answer = backend
        .post("/rooms/demo/messages", JSON, &batch(100))
        .await;
    assert_eq!(answer.json()["ids"].as_array().unwrap().len(), 100);
    let answer = backend
        .post("/rooms/demo/messages", JSON, &batch(101))
        .await;
    answer.problem(400, "invalid_request");

    let large = json!({"data": "x".repeat(120 * 1024)}).to_string();
    let answer = backend.post("/rooms/demo/messages", JSON, &large).await;
    let problem = answer.problem(413, "payload_too_large");
    assert_eq!(problem["errors"][0]["pointer"], "#");

    let body = |bytes: usize| format!("[{}]", " ".repeat(bytes - 2));
    let largest = server_api::BODY_MAX_BYTES;
    let answer = backend
        .post("/rooms/demo/messages", JSON, &body(largest))
        .await;
    answer.problem(400, "invalid_request");
    let answer = backend
        .post("/rooms/demo/messages", JSON, &body(largest + 1))
        .await;
    answer.problem(413, "payload_too_large");
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let backend = Backend::default();
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "json",
    ] {
        let answer = backend
            .post("/rooms/demo/messages", media_type, r#"{"data":1}"#)
            .await;
        answer.problem(415, "unsupported_media_type");
    }
}

/// The queue fails in the middle: the backend learns what it has, and sends the same again.
#[tokio::test]
async fn a_failure_names_what_was_enqueued_before() {
    let backend = Backend::default();
    backend.0.queue.fail_after(1);
    let body = r#"[{"data":1,"id":"a"},{"data":2,"id":"b"},{"data":3}]"#;
    let answer = backend.post("/rooms/demo/messages", JSON, body).await;
    let problem = answer.problem(503, "unavailable");
    assert_eq!(problem["accepted"], json!(["a"]));
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(
        !answer.text.contains("not reachable"),
        "internals are for the log"
    );
    assert_eq!(backend.bodies().len(), 1);
}

#[tokio::test]
async fn other_paths_and_methods_are_problems_too() {
    let backend = Backend::default();
    for path in [
        "/",
        "/rooms",
        "/rooms/a/b/messages",
        "/rooms/demo/messages/",
        "/tokens/alice",
    ] {
        let problem = backend.ask("GET", path).await.problem(404, "not_found");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("digits and -_.~:@= is"), "{detail}");
    }
    let answer = backend.ask("PUT", "/rooms/demo/messages").await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "POST,GET,HEAD");
}

/// Of two messages of one sender with one id the log takes the first: the second would be lost without a word.
#[tokio::test]
async fn an_id_stands_once_in_a_batch() {
    let backend = Backend::default();
    let twice = r#"[{"data":1,"id":"a"},{"data":2,"id":"b"},{"data":3,"id":"a"},{"data":4,"id":"a","to":"bob"}]"#;
    let answer = backend.post("/rooms/demo/messages", JSON, twice).await;
    let problem = answer.problem(400, "invalid_message");
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().collect();
    assert_eq!(pointers.len(), 2, "{problem}");
    assert_eq!(pointers[0]["pointer"], "#/2");
    assert!(backend.bodies().is_empty());
    let of_two_senders = r#"[{"data":1,"id":"a"},{"data":2,"id":"a","user_id":"billing"}]"#;
    let answer = backend
        .post("/rooms/demo/messages", JSON, of_two_senders)
        .await;
    assert_eq!(answer.json(), json!({"ids": ["a", "a"]}));
}

/// JSON that is nested so deeply that a careless reader's stack would end, and a body of 1000 messages.
#[tokio::test]
async fn what_is_meant_to_hurt_is_refused() {
    let backend = Backend::default();
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for body in [
        deep(500_000),
        format!(r#"{{"data":{}}}"#, "{\"a\":".repeat(200_000)),
        format!(r#"{{"data":1,"id":{}}}"#, deep(100_000)),
    ] {
        let answer = backend.post("/rooms/demo/messages", JSON, &body).await;
        assert_eq!(answer.status, 400, "{}", &answer.text);
        let answer = backend.post("/tokens", JSON, &body).await;
        assert_eq!(answer.status, 400, "{}", &answer.text);
    }
    let many = json!(vec![json!({"data": 1}); 1000]).to_string();
    let answer = backend.post("/rooms/demo/messages", JSON, &many).await;
    let problem = answer.problem(400, "invalid_request");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .ends_with("this one 1000")
    );
    assert!(backend.bodies().is_empty());
}

/// As Lambda gives it to the function.
#[tokio::test]
async fn the_events_of_api_gateway_are_read() {
    let backend = Backend::default();
    for event in [
        include_str!("../../../../events/server-api-publish.json"),
        include_str!("../../../../events/server-api-cloud-event.json"),
    ] {
        let answer = backend.event(&serde_json::from_str(event).unwrap()).await;
        assert_eq!(answer["statusCode"], 202, "{answer:?}");
    }
    let bodies = backend.bodies();
    let ids: Vec<_> = bodies.iter().map(|body| &body["user_id"]).collect();
    assert_eq!(ids, ["system", "billing", "/backups/nightly"]);
    assert_eq!(bodies[2]["data"]["data"], json!({"seconds": 17}));
}
