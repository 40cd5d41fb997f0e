//! `/tokens`.

use std::time::Duration;

use hermes::claims::TokenVerifier;
use hermes::credential::CredentialCheck;
use hermes::ports::Credentials;
use hermes::time::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Backend, in_path, jwt_secret};

async fn issue(backend: &Backend, body: &Value) -> Value {
    let answer = backend
        .post("/tokens", "application/json", &body.to_string())
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.json()
}

/// Whether the authorizer would let the token in.
async fn admits(backend: &Backend, token: &str) -> bool {
    let claims = TokenVerifier::new(&jwt_secret()).verify(token).unwrap();
    let credentials = backend.0.issuer.credentials();
    let row = credentials
        .find(&claims.user, &claims.room)
        .await
        .unwrap()
        .unwrap();
    row.token_hash
        .is_some_and(|hash| CredentialCheck::default().matches(&claims.token, &hash))
}

#[tokio::test]
async fn a_token_admits_its_user_to_its_room_until_it_is_revoked() {
    let backend = Backend::default();
    let issued = issue(
        &backend,
        &json!({"user_id": 7, "room_id": "a/b", "ttl_seconds": 60}),
    )
    .await;
    let token = issued["token"].as_str().unwrap();
    let claims = TokenVerifier::new(&jwt_secret()).verify(token).unwrap();
    assert_eq!((claims.user.as_str(), claims.room.as_str()), ("7", "a/b"));
    assert_eq!(issued["expires_at"], claims.expires_at.to_string());
    let left = claims.expires_at.since(SystemClock.now()).as_secs();
    assert!((58..=60).contains(&left), "{left}");
    assert!(admits(&backend, token).await);

    let again = issue(&backend, &json!({"user_id": "7", "room_id": "a/b"})).await;
    assert!(admits(&backend, token).await, "a second tab works");
    let again = TokenVerifier::new(&jwt_secret())
        .verify(again["token"].as_str().unwrap())
        .unwrap();
    let left = again.expires_at.since(SystemClock.now()).as_secs();
    assert!((3595..=3600).contains(&left), "{left}");

    let path = format!("/tokens/7/{}", in_path("a/b"));
    let answer = backend.ask("DELETE", &path).await;
    assert_eq!(
        answer.json(),
        json!({"revoked": true, "closed": 0, "failed": 0})
    );
    assert!(!admits(&backend, token).await);
    let answer = backend.ask("DELETE", &path).await;
    assert_eq!(answer.json()["revoked"], false);
}

#[tokio::test(start_paused = true)]
async fn revoking_closes_the_users_sockets_in_the_room_where_it_is_asked_to() {
    let backend = Backend::with(r#"{"demo":4}"#.parse().unwrap(), None);
    let mut sockets = Vec::new();
    for (user, room) in [
        ("alice", "demo"),
        ("alice", "demo"),
        ("alice", "other"),
        ("bob", "demo"),
    ] {
        sockets.push(
            backend
                .join(user, room, &format!("c{}", sockets.len()))
                .await,
        );
    }
    let open = || {
        sockets
            .iter()
            .map(|socket| backend.0.sockets.is_open(socket))
            .collect::<Vec<_>>()
    };
    let answer = backend.ask("DELETE", "/tokens/alice/demo").await;
    assert_eq!(
        answer.json(),
        json!({"revoked": false, "closed": 0, "failed": 0})
    );
    assert_eq!(open(), [true; 4]);
    let answer = backend
        .ask("DELETE", "/tokens/alice/demo?close=true&reason=banned")
        .await;
    assert_eq!(
        answer.json(),
        json!({"revoked": false, "closed": 2, "failed": 0})
    );
    assert_eq!(open(), [false, false, true, true]);
    assert_eq!(
        backend.0.sockets.received(&sockets[0])[0],
        r#"{"system":"closing","data":{"reason":"banned"}}"#
    );
}

/// Sockets that API Gateway does not answer for: the backend learns in time that some may be open still.
#[tokio::test(start_paused = true)]
async fn revoking_ends_in_time_whatever_the_sockets_do() {
    let backend = Backend::default();
    for number in 0..5000 {
        let connection = backend.join("alice", "demo", &format!("c{number}")).await;
        if number % 100 == 0 {
            backend.0.sockets.silence(&connection);
        }
    }
    let begun = Instant::now();
    let revoked = backend
        .ask("DELETE", "/tokens/alice/demo?close=true")
        .await
        .json();
    assert!(begun.elapsed() < Duration::from_secs(21), "{revoked}");
    let [closed, failed] = ["closed", "failed"].map(|name| revoked[name].as_u64().unwrap());
    assert!(closed + failed == 5000 && failed >= 50, "{revoked}");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_issued() {
    let backend = Backend::default();
    for (body, code, says) in [
        ("", "invalid_json", "send one JSON object"),
        ("{", "invalid_json", "send one JSON object"),
        (
            r#"["alice","demo",60]"#,
            "invalid_json",
            "send one JSON object",
        ),
        ("{}", "invalid_request", "missing field `user_id`"),
        (
            r#"{"user_id":"a"}"#,
            "invalid_request",
            "missing field `room_id`",
        ),
        (
            r#"{"user_id":"","room_id":"r"}"#,
            "invalid_request",
            "must be a string or an integer",
        ),
        (
            r#"{"user_id":"a","room_id":1.5}"#,
            "invalid_request",
            "invalid type: floating point",
        ),
        (
            r#"{"user_id":"a","room_id":"r","ttl_seconds":0}"#,
            "invalid_request",
            "`ttl_seconds` must be 1 to 86400",
        ),
        (
            r#"{"user_id":"a","room_id":"r","ttl_seconds":86401}"#,
            "invalid_request",
            "`ttl_seconds` must be",
        ),
        (
            r#"{"user_id":"a","room_id":"r","ttl_seconds":-1}"#,
            "invalid_request",
            "invalid value",
        ),
    ] {
        let answer = backend.post("/tokens", "application/json", body).await;
        let problem = answer.problem(400, code);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(says), "{body}: {detail}");
    }
    let answer = backend.post("/tokens", "text/plain", "{}").await;
    answer.problem(415, "unsupported_media_type");
    assert_eq!(backend.0.issuer.credentials().reads(), 0);
    backend
        .ask("DELETE", "/tokens/%1F/demo")
        .await
        .problem(400, "invalid_request");
    backend
        .ask("DELETE", "/tokens/a/b?close=maybe")
        .await
        .problem(400, "invalid_request");
}
