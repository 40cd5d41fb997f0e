//! CloudEvents 1.0: structured, batched, binary.

use axum::http::Request;
use serde_json::json;

use crate::support::{Answer, Backend};

const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const BATCHED: &str = "application/cloudevents-batch+json";

async fn binary(backend: &Backend, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = Request::post("/rooms/demo/messages").header("ce-specversion", "1.0");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    backend.send(request.body(body.to_vec()).unwrap()).await
}

const REQUIRED: [(&str, &str); 3] = [("ce-id", "e-1"), ("ce-source", "/s"), ("ce-type", "t")];

#[tokio::test]
async fn a_structured_event_is_the_data_byte_for_byte() {
    let backend = Backend::default();
    let event = r#"{"specversion":"1.0", "id":"e-1", "source":"/backups", "type":"backup.finished", "to":"bob", "data":{"s":1.50}, "x":[1]}"#;
    let answer = backend
        .post("/rooms/demo/messages", STRUCTURED, event)
        .await;
    assert_eq!(answer.json(), json!({"ids": ["e-1"]}));
    let expected = format!(
        r#"{{"user_id":"/backups","room_id":"demo","data":{event},"id":"e-1","to":"bob"}}"#
    );
    assert_eq!(backend.0.queue.bodies(), [expected]);
}

#[tokio::test]
async fn a_batch_of_events_is_enqueued_whole_or_not_at_all() {
    let backend = Backend::default();
    let event = |id: &str| json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t"});
    let wrong = json!([event("1"), {"specversion": "1.0"}, event("")]).to_string();
    let answer = backend.post("/rooms/demo/messages", BATCHED, &wrong).await;
    let problem = answer.problem(400, "invalid_message");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
    assert!(backend.bodies().is_empty());
    let right = json!([event("1"), event("2")]).to_string();
    let answer = backend.post("/rooms/demo/messages", BATCHED, &right).await;
    assert_eq!(answer.json(), json!({"ids": ["1", "2"]}));
}

#[tokio::test]
async fn a_binary_event_takes_its_attributes_from_the_headers() {
    let backend = Backend::default();
    let headers = [
        &REQUIRED[..],
        &[
            ("content-type", "application/json"),
            ("ce-subject", "%C5%81 x"),
        ],
    ]
    .concat();
    let answer = binary(&backend, &headers, b"{\"s\": 1.50}").await;
    assert_eq!(answer.json(), json!({"ids": ["e-1"]}));
    let event = r#"{"datacontenttype":"application/json","id":"e-1","source":"/s","specversion":"1.0","subject":"Ł x","type":"t","data":{"s": 1.50}}"#;
    let expected = format!(r#"{{"user_id":"/s","room_id":"demo","data":{event},"id":"e-1"}}"#);
    assert_eq!(backend.0.queue.bodies(), [expected]);
}

#[tokio::test]
async fn data_that_is_not_json_is_text_or_base64() {
    let backend = Backend::default();
    for (media_type, body, field, expected) in [
        ("text/plain", &b"hello"[..], "data", "hello"),
        (
            "application/octet-stream",
            &[0, 255][..],
            "data_base64",
            "AP8=",
        ),
        ("text/plain", &[255][..], "data_base64", "/w=="),
    ] {
        let headers = [&REQUIRED[..], &[("content-type", media_type)]].concat();
        let answer = binary(&backend, &headers, body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(backend.bodies().last().unwrap()["data"][field], expected);
    }
    let answer = binary(&backend, &REQUIRED, b"").await;
    assert_eq!(answer.status, 202, "an event needs no data: {answer:?}");
}

#[tokio::test]
async fn what_is_no_event_is_refused_and_says_why() {
    let backend = Backend::default();
    for (event, says) in [
        (r#"["1.0","i","s","t"]"#, "a CloudEvent is a JSON object"),
        (
            r#"{"specversion":"1.0","id":"i","source":"s"}"#,
            "this is no CloudEvent: missing field `type`",
        ),
        (
            r#"{"specversion":"0.3","id":"i","source":"s","type":"t"}"#,
            "`specversion` must be 1.0",
        ),
        (
            r#"{"specversion":"1.0","id":"ü","source":"s","type":"t"}"#,
            "`id` must be",
        ),
        (
            r#"{"specversion":"1.0","id":"i","source":"","type":"t"}"#,
            "`source` must be",
        ),
        (
            r#"{"specversion":"1.0","id":"i","source":"s","type":""}"#,
            "`type` must not",
        ),
        (
            r#"{"specversion":"1.0","id":"i","source":"s","type":"t","to":""}"#,
            "`to` must be",
        ),
        (
            r#"{"specversion":"1.0","id":"i","source":"s","type":"t","data":1,"data_base64":""}"#,
            "`data` and",
        ),
        (
            r#"{"specversion":"1.0","id":"i","source":"s","type":"t","data_base64":"*"}"#,
            "`data_base64` must",
        ),
    ] {
        let answer = backend
            .post("/rooms/demo/messages", STRUCTURED, event)
            .await;
        let problem = answer.problem(400, "invalid_message");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(says), "{event}: {detail}");
    }
    backend
        .post("/rooms/demo/messages", STRUCTURED, "{")
        .await
        .problem(400, "invalid_json");
    let headers = [&REQUIRED[..], &[("content-type", "application/json")]].concat();
    binary(&backend, &headers, b"{")
        .await
        .problem(400, "invalid_json");
    let headers = [&REQUIRED[..], &[("ce-subject", "%ff")]].concat();
    binary(&backend, &headers, b"1")
        .await
        .problem(400, "invalid_request");
    assert!(backend.bodies().is_empty());
}
