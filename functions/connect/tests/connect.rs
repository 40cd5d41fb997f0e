//! `$connect`, with the events of `events/`.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::num::NonZeroUsize;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use hermes::memory::MemoryConnections;
use hermes::partition::{Partition, Sharding};
use hermes::ports::{Connections, Member, MemberPage, PageToken, PortError};
use hermes::{ConnectionId, RoomId, Timestamp, UserId};
use serde_json::{Value, json};

const LIMIT: NonZeroUsize = NonZeroUsize::MAX;

fn demo() -> Partition {
    "demo".parse::<RoomId>().unwrap().into()
}

fn event() -> Value {
    serde_json::from_str(include_str!("../../../events/connect.json")).unwrap()
}

fn typed(event: Value) -> ApiGatewayWebsocketProxyRequest {
    serde_json::from_value(event).unwrap()
}

async fn members(connections: &MemoryConnections) -> Vec<Member> {
    let now = Timestamp::from_millis(1_795_255_200_123);
    connections
        .members(&demo(), None, None, LIMIT, now)
        .await
        .unwrap()
        .members
}

/// Flaw: the table name is read from a field that does not exist.
#[tokio::test]
async fn the_connection_joins_the_room_of_its_token() {
    let connections = MemoryConnections::default();
    let response = connect::handle(&connections, &Sharding::default(), typed(event()))
        .await
        .unwrap();
    assert_eq!(response.status_code, 200);
    let expected = Member {
        user: "alice".parse().unwrap(),
        connection: "L0SM9cOFvHcCIhw=".parse().unwrap(),
        connected_at: Timestamp::from_secs(1_795_255_200),
    };
    assert_eq!(members(&connections).await, [expected]);
}

#[tokio::test]
async fn the_subprotocol_is_chosen_and_the_token_never_echoed() {
    let response = connect::handle(
        &MemoryConnections::default(),
        &Sharding::default(),
        typed(event()),
    )
    .await
    .unwrap();
    assert_eq!(response.headers["sec-websocket-protocol"], "bearer");
    assert!(!serde_json::to_string(&response).unwrap().contains("eyJ"));
}

#[tokio::test]
async fn without_a_subprotocol_none_is_chosen() {
    let mut event = event();
    event["headers"]
        .as_object_mut()
        .unwrap()
        .remove("Sec-WebSocket-Protocol");
    let response = connect::handle(
        &MemoryConnections::default(),
        &Sharding::default(),
        typed(event),
    )
    .await
    .unwrap();
    assert!(response.headers.is_empty());
}

#[tokio::test]
async fn a_frame_that_names_the_route_is_no_handshake() {
    let connections = MemoryConnections::default();
    let mut event = event();
    event["requestContext"]["eventType"] = json!("MESSAGE");
    event["body"] = json!(r#"{"action":"$connect"}"#);
    let response = connect::handle(&connections, &Sharding::default(), typed(event))
        .await
        .unwrap();
    assert!(format!("{:?}", response.body).contains("unknown_action"));
    assert!(members(&connections).await.is_empty());
}

#[tokio::test]
async fn a_route_without_the_authorizer_admits_nobody() {
    let connections = MemoryConnections::default();
    let mut event = event();
    event["requestContext"]["authorizer"] = json!({"principalId": "alice"});
    assert!(
        connect::handle(&connections, &Sharding::default(), typed(event))
            .await
            .is_err()
    );
    assert!(members(&connections).await.is_empty());
}

/// Flaw: raw error text is returned.
#[tokio::test]
async fn a_failure_is_an_error_without_internals() {
    let error = connect::handle(&Failing, &Sharding::default(), typed(event()))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the connection could not be put into its room"
    );
}

struct Failing;

impl Connections for Failing {
    async fn join(&self, _: &Partition, _: &Member) -> Result<(), PortError> {
        Err(PortError::new(
            "joining the room",
            "AccessDenied: arn:aws:dynamodb:…:table/Connections",
        ))
    }
    async fn leave(&self, _: &Partition, _: &UserId, _: &ConnectionId) -> Result<(), PortError> {
        unreachable!("connect leaves no room")
    }
    async fn members(
        &self,
        _: &Partition,
        _: Option<&UserId>,
        _: Option<&PageToken>,
        _: NonZeroUsize,
        _: Timestamp,
    ) -> Result<MemberPage, PortError> {
        unreachable!("connect reads no room")
    }
}
