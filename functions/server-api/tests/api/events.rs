//! Requests as API Gateway hands them over, those that it would not send among them.

use serde_json::{Value, json};

use crate::support::Backend;

fn event(route_key: &str, path: &str, query: &str) -> Value {
    let method = route_key.split(' ').next().filter(|key| *key != "$default");
    json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example"},
        "requestContext": {"http": {"method": method.unwrap_or("GET")}, "stage": "$default"},
        "isBase64Encoded": false,
    })
}

/// The status and the problem's code.
async fn problem(backend: &Backend, event: &Value) -> (u64, String) {
    let answer = backend.event(event).await;
    assert_eq!(
        answer["headers"]["content-type"], "application/problem+json",
        "{event}: {answer}"
    );
    let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(problem["status"], answer["statusCode"]);
    let code = problem["code"].as_str().unwrap().to_owned();
    (answer["statusCode"].as_u64().unwrap(), code)
}

#[tokio::test]
async fn an_answer_is_one_that_api_gateway_takes() {
    let backend = Backend::default();
    backend.join("alice", "demo", "c1").await;
    let members = event(
        "GET /rooms/{room}/members",
        "/rooms/demo/members",
        "user=alice",
    );
    let answer = backend.event(&members).await;
    assert_eq!(
        (&answer["statusCode"], &answer["isBase64Encoded"]),
        (&json!(200), &json!(false))
    );
    assert_eq!(answer["headers"]["content-type"], "application/json");
    assert!(
        answer["body"]
            .as_str()
            .unwrap()
            .starts_with(r#"{"members":[{"user_id":"alice""#)
    );
}

/// IAM is asked about the path as it was sent. What has become another one in being decoded does nothing.
#[tokio::test]
async fn no_path_leads_to_another_room_than_iam_was_asked_about() {
    let backend = Backend::default();
    backend.join("alice", "secret", "c1").await;
    let members = "GET /rooms/{room}/members";
    for (key, path) in [
        // /rooms/mine%2F..%2Fsecret%2Fmembers%3F/members
        (members, "/rooms/mine/../secret/members?/members"),
        (members, "/rooms/mine/../secret/members"),
        (members, "/rooms/secret/members?/members"),
        (members, "/rooms/secret/members#/members"),
        (members, "/rooms/secre%74/members"),
        (members, "//rooms/secret/members"),
        (members, "/rooms/secret\\members"),
        (members, "/rooms/se\ncret/members"),
        // /rooms/secret%2Fmembers
        ("$default", "/rooms/secret/members"),
    ] {
        let problem = problem(&backend, &event(key, path, "")).await;
        assert_eq!(problem, (404, "not_found".to_owned()), "{path}");
    }
    let mut other_method = event("$default", "/rooms/secret/members", "");
    other_method["requestContext"]["http"]["method"] = json!("PUT");
    let (status, code) = problem(&backend, &other_method).await;
    assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
}

/// Nothing that is sent ends the function, which callers would see as a 500.
#[tokio::test]
async fn what_no_request_can_hold_is_a_problem() {
    let backend = Backend::default();
    let members = "GET /rooms/{room}/members";
    for query in ["after=<", "after=\u{fc}", "after=a b", "\u{0}"] {
        let asked = event(members, "/rooms/demo/members", query);
        let (status, code) = problem(&backend, &asked).await;
        assert_eq!((status, code.as_str()), (400, "invalid_request"), "{query}");
    }
    let mut asked = event(members, "/rooms/demo/members", "limit=1");
    asked["headers"] = json!({
        "host": "<>", "x-forwarded-proto": "\"", "x-note": "gr\u{fc}ezi", "a b": "", "x-line": "1\n2",
    });
    assert_eq!(backend.event(&asked).await["statusCode"], 200);
    asked["requestContext"]["http"]["method"] = json!("G T");
    let (status, _) = problem(&backend, &asked).await;
    assert_eq!(status, 405);

    let mut posted = event("POST /rooms/{room}/messages", "/rooms/demo/messages", "");
    posted["headers"] = json!({"content-type": "application/json"});
    for (body, is_base64, code) in [
        (json!("*"), true, "invalid_request"),
        (json!("/w=="), true, "invalid_json"),
        (Value::Null, false, "invalid_json"),
    ] {
        posted["body"] = body;
        posted["isBase64Encoded"] = json!(is_base64);
        let (status, is) = problem(&backend, &posted).await;
        assert_eq!((status, is.as_str()), (400, code));
    }
    posted["body"] = json!("eyJkYXRhIjoxfQ==");
    posted["isBase64Encoded"] = json!(true);
    assert_eq!(backend.event(&posted).await["statusCode"], 202);
}
