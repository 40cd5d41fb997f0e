//! What each request to the server API costs in DynamoDB, counted by a real engine.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use hermes::RoomId;
use hermes::aws::{DynamoConnections, DynamoCredentials, DynamoLog};
use hermes::claims::TokenSigner;
use hermes::issue::Issuer;
use hermes::log::{Draft, History, Stream};
use hermes::memory::{MemoryQueue, MemorySockets};
use hermes::partition::Sharding;
use hermes::ports::{Connections, Member};
use hermes::secret::{JwtSecret, Secret};
use hermes::time::{Clock, SystemClock};
use hermes_tests::dynamo::Dynamo;
use serde_json::Value;
use server_api::{Api, Ports, router};
use tokio::time::Instant;
use tower::ServiceExt as _;

struct Engine;

impl Ports for Engine {
    type Queue = MemoryQueue;
    type Log = DynamoLog;
    type Connections = DynamoConnections;
    type Sockets = MemorySockets;
    type Credentials = DynamoCredentials;
}

/// A room of 100 members, and 150 messages in its log.
async fn room_of_100(dynamo: &Dynamo) -> Arc<Api<Engine>> {
    let secret = JwtSecret::new(Secret::new("k".repeat(64))).unwrap();
    let signer = TokenSigner::new(&secret);
    let connections = dynamo.connections();
    let room: RoomId = "demo".parse().unwrap();
    for number in 0..100 {
        let member = Member {
            user: format!("user-{number:011}").parse().unwrap(),
            connection: format!("Zk3fGd2HliACE{number:02}=").parse().unwrap(),
            connected_at: SystemClock.now(),
        };
        connections
            .join(&room.clone().into(), &member)
            .await
            .unwrap();
    }
    let history = History::new(dynamo.log(), Duration::from_secs(3600));
    let stream = Stream { room, user: None };
    for number in 0..150 {
        let draft = Draft {
            sender: &"system".parse().unwrap(),
            id: &format!("m-{number}").parse().unwrap(),
            notification: r#"{"data":1}"#,
        };
        let deadline = Instant::now() + Duration::from_secs(9);
        let now = || SystemClock.now();
        history
            .append(&stream, &[draft], now, deadline)
            .await
            .unwrap();
    }
    Arc::new(Api {
        queue: MemoryQueue::default(),
        log: Some(dynamo.log()),
        connections,
        sharding: Sharding::default(),
        sockets: MemorySockets::default(),
        issuer: Issuer::new(dynamo.credentials(), signer, Secret::new("passcode")),
    })
}

#[tokio::test]
async fn each_request_costs_what_it_must() {
    let dynamo = Dynamo::start().await;
    let api = room_of_100(&dynamo).await;
    let ask = async |method: &str, path: &str, body: &str| -> (Value, Vec<&'static str>, f64) {
        dynamo.calls();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = router(Arc::clone(&api)).oneshot(request).await.unwrap();
        assert!(
            answer.status().is_success(),
            "{method} {path}: {}",
            answer.status()
        );
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let calls = dynamo.calls();
        (
            serde_json::from_slice(&body).unwrap_or_default(),
            calls.iter().map(|call| call.operation).collect(),
            calls.iter().map(|call| call.units).sum(),
        )
    };

    let (_, calls, _) = ask("POST", "/rooms/demo/messages", r#"[{"data":1},{"data":2}]"#).await;
    assert!(calls.is_empty(), "publishing reads and writes no table");

    let (page, calls, _) = ask("GET", "/rooms/demo/messages", "").await;
    assert_eq!(
        (page["messages"].as_array().unwrap().len(), calls),
        (100, vec!["Query"])
    );
    let next = format!(
        "/rooms/demo/messages?after={}",
        page["next"].as_str().unwrap()
    );
    let (page, calls, _) = ask("GET", &next, "").await;
    assert_eq!(
        (page["messages"].as_array().unwrap().len(), calls),
        (50, vec!["Query"])
    );
    assert_eq!(page["more"], false);

    let (page, calls, units) = ask("GET", "/rooms/demo/members?limit=10", "").await;
    assert_eq!(
        (calls, units),
        (vec!["Query"], 1.0),
        "a page costs what it shows"
    );
    let next = format!(
        "/rooms/demo/members?limit=1000&after={}",
        page["next"].as_str().unwrap()
    );
    let (page, calls, units) = ask("GET", &next, "").await;
    assert_eq!(page["members"].as_array().unwrap().len(), 90);
    assert_eq!((calls, units), (vec!["Query"], 2.0));

    let close = "/rooms/demo/members/Zk3fGd2HliACE07=";
    let (_, calls, units) = ask("DELETE", close, "").await;
    assert_eq!((calls, units), (vec!["Query"], 2.0), "the whole room");
    let narrow = format!("{close}?user=user-00000000007");
    let (_, calls, units) = ask("DELETE", &narrow, "").await;
    assert_eq!((calls, units), (vec!["Query"], 1.0), "one user's rows");

    let wanted = r#"{"user_id":"alice","room_id":"demo"}"#;
    let (_, calls, _) = ask("POST", "/tokens", wanted).await;
    assert_eq!(calls, ["GetItem", "UpdateItem"]);
    let (_, calls, _) = ask("POST", "/tokens", wanted).await;
    assert_eq!(calls, ["GetItem"], "a second tab");
    let (_, calls, _) = ask("DELETE", "/tokens/alice/demo", "").await;
    assert_eq!(calls, ["UpdateItem"]);
}
