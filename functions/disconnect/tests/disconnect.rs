//! `$disconnect`, with the events of `events/`.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::num::NonZeroUsize;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use hermes::memory::MemoryConnections;
use hermes::partition::{Partition, Sharding};
use hermes::ports::{Connections, Member};
use hermes::{RoomId, Timestamp};
use serde_json::{Value, json};

const CONNECTED_AT: Timestamp = Timestamp::EPOCH;

const LIMIT: NonZeroUsize = NonZeroUsize::MAX;

fn demo() -> Partition {
    "demo".parse::<RoomId>().unwrap().into()
}

fn event() -> Value {
    serde_json::from_str(include_str!("../../../events/disconnect.json")).unwrap()
}

fn typed(event: Value) -> ApiGatewayWebsocketProxyRequest {
    serde_json::from_value(event).unwrap()
}

/// A room with the connection of the event, another one of the same user, and one of somebody else.
async fn room() -> MemoryConnections {
    let connections = MemoryConnections::default();
    let own = event()["requestContext"]["connectionId"]
        .as_str()
        .unwrap()
        .to_owned();
    for (user, connection) in [
        ("alice", own.as_str()),
        ("alice", "tab="),
        ("bob", "other="),
    ] {
        let member = Member {
            user: user.parse().unwrap(),
            connection: connection.parse().unwrap(),
            connected_at: CONNECTED_AT,
        };
        connections.join(&demo(), &member).await.unwrap();
    }
    connections
}

async fn left(connections: &MemoryConnections) -> Vec<String> {
    let page = connections
        .members(&demo(), None, None, LIMIT, CONNECTED_AT)
        .await
        .unwrap();
    page.members
        .iter()
        .map(|member| member.connection.to_string())
        .collect()
}

/// Flaw: another environment name for the same table, never defined: no row was ever removed.
#[tokio::test]
async fn the_connection_leaves_and_no_other() {
    let connections = room().await;
    let response = disconnect::handle(&connections, &Sharding::default(), typed(event()))
        .await
        .unwrap();
    assert_eq!(response.status_code, 200);
    assert_eq!(left(&connections).await, ["tab=", "other="]);
    assert!(
        disconnect::handle(&connections, &Sharding::default(), typed(event()))
            .await
            .is_ok(),
        "a second time is no error"
    );
}

#[tokio::test]
async fn a_frame_that_names_the_route_disconnects_nobody() {
    let connections = room().await;
    let mut event = event();
    event["requestContext"]["eventType"] = json!("MESSAGE");
    event["body"] = json!(r#"{"action":"$disconnect"}"#);
    let response = disconnect::handle(&connections, &Sharding::default(), typed(event))
        .await
        .unwrap();
    assert!(format!("{:?}", response.body).contains("unknown_action"));
    assert_eq!(left(&connections).await.len(), 3);
}

#[tokio::test]
async fn an_event_without_a_session_is_an_error() {
    let connections = room().await;
    let mut event = event();
    event["requestContext"]["authorizer"] = Value::Null;
    assert!(
        disconnect::handle(&connections, &Sharding::default(), typed(event))
            .await
            .is_err()
    );
    assert_eq!(left(&connections).await.len(), 3);
}
