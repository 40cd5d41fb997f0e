//! A message: accepted from a socket or a queue, delivered as a notification.

use aws_lc_rs::digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::frame::{ErrorCode, Fields, Reference, Refusal};
use crate::id::{InvalidId, MessageId, RoomId, UserId};
use crate::session::Session;
use crate::time::Timestamp;

/// The largest notification, serialized: 120 KiB. API Gateway's limit is 128 KiB a message; the rest
/// is room for a frame around it.
/// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>
pub const NOTIFICATION_MAX_BYTES: usize = 120 * 1024;

/// A message that Hermes has accepted for delivery.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    /// Who sent it, as clients see it.
    #[serde(rename = "user_id")]
    pub sender: UserId,
    /// What was sent: any JSON, passed on byte for byte.
    pub data: Box<RawValue>,
    /// The room whose members receive it.
    #[serde(rename = "room_id")]
    pub room: RoomId,
    /// Unique per sender within the room.
    pub id: MessageId,
    /// When it was accepted.
    pub sent_at: Timestamp,
    /// Where given, only this user's connections in the room receive it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<UserId>,
}

impl Message {
    /// Reads a client's request to send to its own room, and the `ref` to answer it with. Its id is
    /// the client's, or a new one.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidJson`] or [`ErrorCode::InvalidMessage`], naming the field and its rule;
    /// [`ErrorCode::TokenExpired`] where the connection may not send any more.
    pub fn from_client(
        frame: &str,
        session: &Session,
        sent_at: Timestamp,
    ) -> (Option<Reference>, Result<Self, Refusal>) {
        let read = Fields::parse(frame).and_then(|fields| Ok((fields.reference()?, fields)));
        let (reference, fields) = match read {
            Ok(read) => read,
            Err(refusal) => return (None, Err(refusal)),
        };
        let message = session.may_send(sent_at).and_then(|()| {
            Ok(Self {
                sender: session.user.clone(),
                room: session.room.clone(),
                data: data(&fields)?,
                id: optional("id", fields.id, &InvalidId::Message)?
                    .unwrap_or_else(MessageId::generate),
                sent_at,
                to: optional("to", fields.to, &InvalidId::Name)?,
            })
        });
        (reference, message)
    }

    /// Reads the body of a queued message. `id` serves where the producer gave none: the queue's own
    /// id, which is stable under redelivery.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidJson`] or [`ErrorCode::InvalidMessage`]: sending it again cannot succeed.
    pub fn from_queue(
        body: &str,
        sent_at: Timestamp,
        id: impl FnOnce() -> MessageId,
    ) -> Result<Self, Refusal> {
        let fields = Fields::parse(body)?;
        let room = optional("room_id", fields.room_id, &InvalidId::Name)?
            .ok_or_else(|| Refusal::field("room_id", "is missing: name the room to deliver to"))?;
        Ok(Self {
            sender: optional("user_id", fields.user_id, &InvalidId::Name)?
                .unwrap_or_else(UserId::system),
            room,
            data: data(&fields)?,
            id: optional("id", fields.id, &InvalidId::Message)?.unwrap_or_else(id),
            sent_at,
            to: optional("to", fields.to, &InvalidId::Name)?,
        })
    }

    /// Reads a message that a backend posts to `room`. Its id is the backend's, or a new one.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidJson`] or [`ErrorCode::InvalidMessage`], naming the field and its rule.
    pub fn from_backend(text: &str, room: &RoomId, sent_at: Timestamp) -> Result<Self, Refusal> {
        let fields = Fields::parse(text)?;
        if optional("room_id", fields.room_id, &InvalidId::Name)?
            .is_some_and(|named: RoomId| named != *room)
        {
            return Err(Refusal::field(
                "room_id",
                "is another room than the one of the path: leave it out",
            ));
        }
        Ok(Self {
            sender: optional("user_id", fields.user_id, &InvalidId::Name)?
                .unwrap_or_else(UserId::system),
            room: room.clone(),
            data: data(&fields)?,
            id: optional("id", fields.id, &InvalidId::Message)?.unwrap_or_else(MessageId::generate),
            sent_at,
            to: optional("to", fields.to, &InvalidId::Name)?,
        })
    }

    /// The notification frame that members receive.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`] above [`NOTIFICATION_MAX_BYTES`].
    pub fn to_notification(&self) -> Result<String, Refusal> {
        let frame = serde_json::to_string(self).expect("strings and valid JSON always serialize");
        match frame.len() {
            length if length > NOTIFICATION_MAX_BYTES => Err(Refusal::new(
                ErrorCode::PayloadTooLarge,
                format!(
                    "the notification would have {length} bytes, at most {NOTIFICATION_MAX_BYTES} can be delivered: \
                     send a reference to the data instead"
                ),
            )),
            _ => Ok(frame),
        }
    }

    /// Where the message stands among others of a FIFO queue.
    pub fn sequence(&self) -> Sequence {
        Sequence::of(&self.room, &self.sender, &self.id)
    }

    /// The body that `MessageQueue` carries. Its id is written into it, so that the message keeps it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidMessage`] where the text holds a character that SQS refuses.
    pub fn to_queue_body(&self) -> Result<String, Refusal> {
        #[derive(Serialize)]
        struct Body<'a> {
            user_id: &'a UserId,
            room_id: &'a RoomId,
            data: &'a RawValue,
            id: &'a MessageId,
            #[serde(skip_serializing_if = "Option::is_none")]
            to: Option<&'a UserId>,
        }
        let body = Body {
            user_id: &self.sender,
            room_id: &self.room,
            data: &self.data,
            id: &self.id,
            to: self.to.as_ref(),
        };
        let body = serde_json::to_string(&body).expect("strings and valid JSON always serialize");
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        if body.contains(['\u{fffe}', '\u{ffff}']) {
            return Err(Refusal::new(
                ErrorCode::InvalidMessage,
                "SQS refuses the characters U+FFFE and U+FFFF: write them as \\ufffe and \\uffff",
            ));
        }
        Ok(body)
    }
}

/// How a FIFO queue orders and deduplicates a message. A standard queue needs neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// `MessageGroupId`: messages of one room stay in order. The hexadecimal SHA-256 of the room's id.
    pub group: String,
    /// `MessageDeduplicationId`: an id is unique per sender. The hexadecimal SHA-256 over sender and
    /// id, each behind its length in bytes (four, big-endian).
    pub deduplication: String,
}

impl Sequence {
    /// Of a message with `id` that `sender` sends to `room`.
    pub fn of(room: &RoomId, sender: &UserId, id: &MessageId) -> Self {
        let mut pair = digest::Context::new(&digest::SHA256);
        for part in [sender.as_str(), id.as_str()] {
            pair.update(
                &u32::try_from(part.len())
                    .expect("ids are short")
                    .to_be_bytes(),
            );
            pair.update(part.as_bytes());
        }
        Self {
            group: hex(digest::digest(&digest::SHA256, room.as_str().as_bytes()).as_ref()),
            deduplication: hex(pair.finish().as_ref()),
        }
    }

    /// Of what is named `id` and waits for nothing.
    pub fn alone(id: &str) -> Self {
        let hash = hex(digest::digest(&digest::SHA256, id.as_bytes()).as_ref());
        Self {
            group: hash.clone(),
            deduplication: hash,
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn data(fields: &Fields<'_>) -> Result<Box<RawValue>, Refusal> {
    let raw = fields
        .data
        .ok_or_else(|| Refusal::field("data", "is missing: it may be any JSON, null included"))?;
    Ok(raw.to_owned())
}

fn optional<T: DeserializeOwned>(
    name: &str,
    raw: Option<&RawValue>,
    rule: &InvalidId,
) -> Result<Option<T>, Refusal> {
    raw.map(|raw| serde_json::from_str(raw.get()).map_err(|_| Refusal::field(name, rule)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SENT_AT: u64 = 1_795_300_000_007;

    fn queued(body: &str) -> Result<Message, Refusal> {
        Message::from_queue(body, Timestamp::from_millis(SENT_AT), || {
            "sqs-1".parse().unwrap()
        })
    }

    fn session() -> Session {
        Session {
            user: "alice".parse().unwrap(),
            room: "r1".parse().unwrap(),
            expires_at: Timestamp::from_secs(4_000_000_000),
        }
    }

    fn sent(frame: &str) -> Result<Message, Refusal> {
        Message::from_client(frame, &session(), Timestamp::from_millis(SENT_AT)).1
    }

    #[test]
    fn a_notification_has_this_shape() {
        let message = queued(
            r#"{"user_id":7,"room_id":42,"data":{"type":"t","data":[1, 2]},"id":"m","to":"bob"}"#,
        )
        .unwrap();
        insta::assert_snapshot!(message.to_notification().unwrap(), @r#"{"user_id":"7","data":{"type":"t","data":[1, 2]},"room_id":"42","id":"m","sent_at":"2026-11-21T22:26:40.007Z","to":"bob"}"#);
    }

    #[test]
    fn a_queued_message_needs_only_a_room_and_data() {
        let message = queued(r#"{"room_id":"r","data":null}"#).unwrap();
        insta::assert_snapshot!(message.to_notification().unwrap(), @r#"{"user_id":"system","data":null,"room_id":"r","id":"sqs-1","sent_at":"2026-11-21T22:26:40.007Z"}"#);
    }

    #[test]
    fn a_client_can_name_neither_another_room_nor_another_sender() {
        let message =
            sent(r#"{"action":"sendMessage","data":1,"room_id":"r2","user_id":"mallory"}"#)
                .unwrap();
        assert_eq!(
            (message.sender.as_str(), message.room.as_str()),
            ("alice", "r1")
        );
        assert_eq!(message.id.as_str().len(), 36, "a UUID");
    }

    #[test]
    fn a_client_message_keeps_its_id_through_the_queue() {
        let message =
            sent(r#"{"action":"sendMessageToSQS","data":{"b":1,"a":2.50},"id":"m-1","to":"bob"}"#)
                .unwrap();
        let body = message.to_queue_body().unwrap();
        insta::assert_snapshot!(body, @r#"{"user_id":"alice","room_id":"r1","data":{"b":1,"a":2.50},"id":"m-1","to":"bob"}"#);
        assert_eq!(
            queued(&body).unwrap().to_notification(),
            message.to_notification()
        );
    }

    /// Flaw: `room_id` from the queue is not checked.
    #[test]
    fn what_is_wrong_is_named() {
        for (body, says) in [
            (r#"{"data":1}"#, "`room_id` is missing"),
            (
                r#"{"room_id":"","data":1}"#,
                "`room_id` must be a string or an integer",
            ),
            (r#"{"room_id":1.5,"data":1}"#, "`room_id` must"),
            (r#"{"room_id":"r"}"#, "`data` is missing"),
            (
                r#"{"room_id":"r","data":1,"id":17}"#,
                "`id` must be a string of 1 to 128",
            ),
            (r#"{"room_id":"r","data":1,"to":null}"#, "`to` must"),
            (
                r#"{"room_id":"r","data":1,"user_id":["a"]}"#,
                "`user_id` must",
            ),
        ] {
            let refusal = queued(body).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidMessage, "{body}");
            assert!(
                refusal.message.starts_with(says),
                "{body}: {}",
                refusal.message
            );
        }
    }

    #[test]
    fn a_notification_may_have_120_kib_and_not_a_byte_more() {
        let with = |padding: usize| {
            queued(&format!(
                r#"{{"room_id":"r","data":"{}"}}"#,
                "x".repeat(padding)
            ))
            .unwrap()
        };
        let overhead = with(0).to_notification().unwrap().len();
        assert_eq!(
            with(NOTIFICATION_MAX_BYTES - overhead)
                .to_notification()
                .unwrap()
                .len(),
            NOTIFICATION_MAX_BYTES
        );
        let refusal = with(NOTIFICATION_MAX_BYTES - overhead + 1)
            .to_notification()
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::PayloadTooLarge);
    }

    #[test]
    fn a_backend_posts_to_the_room_of_the_path() {
        let posted = |text| {
            Message::from_backend(text, &"r".parse().unwrap(), Timestamp::from_millis(SENT_AT))
        };
        let message = posted(r#"{"room_id":"r","data":[1, 2],"id":"m","to":"bob"}"#).unwrap();
        insta::assert_snapshot!(message.to_notification().unwrap(), @r#"{"user_id":"system","data":[1, 2],"room_id":"r","id":"m","sent_at":"2026-11-21T22:26:40.007Z","to":"bob"}"#);
        assert_eq!(posted(r#"{"data":1}"#).unwrap().id.as_str().len(), 36);
        let refusal = posted(r#"{"room_id":"other","data":1}"#).unwrap_err();
        assert!(refusal.message.starts_with("`room_id` is another room"));
    }

    #[test]
    fn characters_that_sqs_refuses_are_refused_before() {
        assert!(
            sent("{\"data\":\"\u{ffff}\"}")
                .unwrap()
                .to_queue_body()
                .is_err()
        );
        assert!(
            sent(r#"{"data":"\uffff"}"#)
                .unwrap()
                .to_queue_body()
                .is_ok()
        );
    }

    #[test]
    fn a_refused_frame_keeps_its_reference() {
        let read =
            |frame: &str, now| Message::from_client(frame, &session(), Timestamp::from_secs(now));
        let (reference, refused) = read(r#"{"ref":"r-1","data":1,"id":7}"#, 5);
        assert_eq!(
            (reference.unwrap().as_str(), refused.unwrap_err().code),
            ("r-1", ErrorCode::InvalidMessage)
        );
        let (reference, refused) = read(r#"{"ref":"r-2","data":1}"#, 4_000_000_011);
        assert_eq!(
            (reference.unwrap().as_str(), refused.unwrap_err().code),
            ("r-2", ErrorCode::TokenExpired)
        );
        assert!(read("[]", 5).0.is_none());
    }

    #[test]
    fn the_sequence_is_pinned_and_no_two_ids_share_one() {
        let of = |room: &str, sender: &str, id: &str| {
            Sequence::of(
                &room.parse().unwrap(),
                &sender.parse().unwrap(),
                &id.parse().unwrap(),
            )
        };
        let sequence = of("demo", "alice", "m-1");
        assert_eq!(
            sequence.group,
            "2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea"
        );
        assert_eq!(
            sequence.deduplication,
            "d0e7e7a03fb1747f0f0d3e4be3ba1ce7b7d13eec8bc575fb0891ef3e0d5dc83d"
        );
        assert_ne!(
            of("demo", "ab", "c").deduplication,
            of("demo", "a", "bc").deduplication
        );
        assert_eq!(of("demo", "bob", "m-2").group, sequence.group);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn data_passes_byte_for_byte(value in json(), pretty in any::<bool>()) {
            let data = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let message = queued(&format!("{{\"room_id\":\"r\",\"data\":{data}}}")).unwrap();
            let notification = message.to_notification().unwrap();
            let needle = format!(",\"data\":{data},\"room_id\"");
            prop_assert!(notification.contains(&needle));
        }

        #[test]
        fn no_text_crashes_the_parser(text in ".{0,200}") {
            let _ = queued(&text);
            let _ = sent(&text);
        }
    }
}
