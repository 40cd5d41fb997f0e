//! The events that the functions are handed, made from those of the folder `events`, and the rows they find.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use hermes::Timestamp;
use hermes::claims::{Claims, TokenSigner};
use hermes::secret::{JwtSecret, Secret};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::aws::JWT_SECRET;

/// Who is in the rooms: 16 bytes, as many as a longer user name has.
pub(crate) fn user(i: usize) -> String {
    format!("user-{i:011}")
}

/// The same, or a UUID.
pub(crate) fn user_id(i: usize, uuid: bool) -> String {
    if uuid {
        Uuid::from_u128(i as u128).to_string()
    } else {
        user(i)
    }
}

/// A connection, as long as API Gateway's ids. The endpoint reads the number back.
pub(crate) fn connection(i: usize) -> String {
    format!("{i:08x}HermesB=")
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The row of a member in Hermes's table, and in the improved peer's.
pub(crate) fn member(room: &str, i: usize) -> Value {
    member_named(room, &user(i), i)
}

/// The same with another name.
pub(crate) fn member_named(room: &str, user: &str, i: usize) -> Value {
    let member = format!("{user}\u{1f}{}", connection(i));
    let expires_at = (now() + 7500).to_string();
    json!({"room_id": {"S": room}, "member": {"S": member}, "expires_at": {"N": expires_at}})
}

/// The same in the tutorial's.
pub(crate) fn tutorial_member(room: &str, i: usize) -> Value {
    json!({"connection_id": {"S": connection(i)}, "user_id": {"S": user(i)}, "room_id": {"S": room}})
}

/// The handshake of a client that has `token`.
pub(crate) fn authorizer(token: &str) -> Result<String> {
    let mut event: Value =
        serde_json::from_str(include_str!("../../events/authorizer-query-token.json"))?;
    event["queryStringParameters"]["token"] = json!(token);
    event["multiValueQueryStringParameters"]["token"] = json!([token]);
    Ok(event.to_string())
}

/// A client that was let in.
pub(crate) fn connect(room: &str, i: usize) -> Result<String> {
    of_connection(include_str!("../../events/connect.json"), room, i)
}

/// A client that is gone.
pub(crate) fn disconnect(room: &str, i: usize) -> Result<String> {
    of_connection(include_str!("../../events/disconnect.json"), room, i)
}

/// A client's message to its room.
pub(crate) fn send_message(room: &str, i: usize) -> Result<String> {
    of_connection(
        include_str!("../../events/send-message-socket.json"),
        room,
        i,
    )
}

/// A client's message to the queue.
pub(crate) fn send_message_to_sqs(room: &str, i: usize) -> Result<String> {
    of_connection(
        include_str!("../../events/send-message-to-sqs.json"),
        room,
        i,
    )
}

/// A client's ping.
pub(crate) fn ping(room: &str, i: usize) -> Result<String> {
    of_connection(include_str!("../../events/default-ping.json"), room, i)
}

/// A client that asks what it missed.
pub(crate) fn recover(room: &str, i: usize) -> Result<String> {
    of_connection(include_str!("../../events/recover.json"), room, i)
}

fn of_connection(event: &str, room: &str, i: usize) -> Result<String> {
    let mut event: Value = serde_json::from_str(event)?;
    let context = &mut event["requestContext"];
    context["connectionId"] = json!(connection(i));
    context["connectedAt"] = json!(now() * 1000);
    context["requestTimeEpoch"] = json!(now() * 1000);
    context["authorizer"]["room_id"] = json!(room);
    context["authorizer"]["user_id"] = json!(user(i));
    context["authorizer"]["principalId"] = json!(user(i));
    Ok(event.to_string())
}

/// A backend's message to a room, from the queue.
pub(crate) fn queued(room: &str) -> String {
    let body = json!({
        "user_id": "shop", "room_id": room,
        "data": {"type": "order", "data": {"text": "Your order is on its way", "number": 4711}},
    });
    record(&body.to_string())
}

/// A batch of one message from a queue.
pub(crate) fn record(body: &str) -> String {
    let event = json!({"Records": [{
        "messageId": Uuid::now_v7().to_string(), "receiptHandle": "handle", "body": body,
        "attributes": {"SentTimestamp": (now() * 1000).to_string(), "ApproximateReceiveCount": "1"},
        "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs", "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:queue",
    }]});
    event.to_string()
}

/// A client with its token, and the row that its token is compared with.
pub(crate) struct Client {
    /// The JWT.
    pub(crate) token: String,
    /// The row of Credentials.
    pub(crate) row: Value,
}

impl Client {
    /// The client `i` of `room`, with a bcrypt hash of the cost that Hermes issues with.
    pub(crate) fn new(room: &str, i: usize) -> Result<Self> {
        const COST: u32 = 10;
        let inner = format!("{i:064x}");
        let claims = Claims {
            user: user(i).parse()?,
            room: room.parse()?,
            token: Secret::new(inner.clone()),
            expires_at: Timestamp::from_secs(
                (SystemTime::now() + Duration::from_secs(86_400))
                    .duration_since(UNIX_EPOCH)?
                    .as_secs(),
            ),
        };
        let signer = TokenSigner::new(&JwtSecret::new(Secret::new(JWT_SECRET))?);
        let hash = bcrypt::hash(&inner, COST).context("bcrypt")?;
        Ok(Self {
            token: signer.sign(&claims).expose().to_owned(),
            row: json!({"user_id": {"S": user(i)}, "room_id": {"S": room}, "token": {"S": hash}}),
        })
    }

    /// A token of the same shape with a wrong signature.
    pub(crate) fn forged(&self) -> String {
        let (payload, _) = self.token.rsplit_once('.').unwrap_or_default();
        format!("{payload}.{}", "A".repeat(86))
    }
}
