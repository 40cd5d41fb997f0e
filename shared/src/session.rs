//! Who is behind a connection: the authorizer's findings, which come with every later event of it.

use std::collections::HashMap;

use serde_json::Value;

use crate::frame::{ErrorCode, Refusal};
use crate::id::{RoomId, UserId};
use crate::time::{LEEWAY, Timestamp};

/// The user, the room and the token's end, as the authorizer put them into its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The user of the connection.
    pub user: UserId,
    /// The one room of the connection.
    pub room: RoomId,
    /// When the token expires that the connection was opened with.
    pub expires_at: Timestamp,
}

/// The event carries no context of our authorizer: the route was wired without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event's authorizer context has no valid `{field}`: is the authorizer attached to $connect?"
)]
pub struct NoSession {
    field: &'static str,
}

impl Session {
    /// Reads the fields of `requestContext.authorizer`.
    ///
    /// # Errors
    ///
    /// [`NoSession`] names the field that is missing or wrong.
    pub fn from_context(context: &HashMap<String, Value>) -> Result<Self, NoSession> {
        fn read<T: std::str::FromStr>(
            context: &HashMap<String, Value>,
            field: &'static str,
        ) -> Result<T, NoSession> {
            context
                .get(field)
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok())
                .ok_or(NoSession { field })
        }
        Ok(Self {
            user: read(context, "user_id")?,
            room: read(context, "room_id")?,
            expires_at: Timestamp::from_secs(read(context, "exp")?),
        })
    }

    /// Whether this connection may still send.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::TokenExpired`] after the token's `exp`, with the usual [`LEEWAY`].
    pub fn may_send(&self, now: Timestamp) -> Result<(), Refusal> {
        if now > self.expires_at.after(LEEWAY) {
            return Err(Refusal::new(
                ErrorCode::TokenExpired,
                "the token of this connection has expired: reconnect with a new one to send",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn session(context: Value) -> Result<Session, NoSession> {
        Session::from_context(&serde_json::from_value(context).unwrap())
    }

    #[test]
    fn the_context_is_read_whole_or_not_at_all() {
        assert!(
            session(json!({"user_id": "a", "room_id": "r", "exp": "17", "principalId": "a"}))
                .is_ok()
        );
        for (context, field) in [
            (json!({"room_id": "r", "exp": "17"}), "user_id"),
            (
                json!({"user_id": "a", "room_id": "", "exp": "17"}),
                "room_id",
            ),
            (
                json!({"user_id": "a", "room_id": "r", "exp": "soon"}),
                "exp",
            ),
            (json!({}), "user_id"),
        ] {
            assert_eq!(session(context).unwrap_err(), NoSession { field });
        }
    }

    #[test]
    fn sending_ends_ten_seconds_after_the_token() {
        let session = session(json!({"user_id": "a", "room_id": "r", "exp": "1000"})).unwrap();
        assert!(session.may_send(Timestamp::from_secs(1010)).is_ok());
        assert_eq!(
            session
                .may_send(Timestamp::from_millis(1_010_001))
                .unwrap_err()
                .code,
            ErrorCode::TokenExpired
        );
    }
}
