//! The frames of the wire protocol: reading what a client or a producer sent, and the system frames
//! with which every request is answered.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::id::MessageId;
use crate::log::{Epoch, Position, Recovered, StreamKind};

/// The longest `ref` of a request, in bytes of UTF-8.
pub const REFERENCE_MAX_BYTES: usize = 128;

/// The highest offset: what JavaScript can count exactly (2^53 - 1).
pub const OFFSET_MAX: u64 = (1 << 53) - 1;

/// Why a request was refused, as clients and dead letters are told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The text is no JSON object.
    InvalidJson,
    /// A JSON object, but a field is missing or wrong.
    InvalidMessage,
    /// The notification would be larger than [`crate::message::NOTIFICATION_MAX_BYTES`].
    PayloadTooLarge,
    /// The `action` is none that Hermes knows.
    UnknownAction,
    /// The token that the connection was opened with has expired: it may receive, but not send.
    TokenExpired,
    /// Hermes failed; the request may be sent again.
    Internal,
}

impl ErrorCode {
    /// The code as it stands in frames and in the `error_code` of a dead letter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidMessage => "invalid_message",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnknownAction => "unknown_action",
            Self::TokenExpired => "token_expired",
            Self::Internal => "internal",
        }
    }
}

/// A request that is refused, in words fit for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind, for programs.
    pub code: ErrorCode,
    /// What was wrong and what to do, for people.
    pub message: String,
}

impl Refusal {
    /// A refusal with `code` that says `message`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Hermes failed. What happened is for the log, never for the client.
    pub fn internal() -> Self {
        Self::new(
            ErrorCode::Internal,
            "the request failed and may be sent again",
        )
    }

    pub(crate) fn field(name: &str, rule: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidMessage, format!("`{name}` {rule}"))
    }
}

/// The `ref` of a request, echoed in its answer: a string of at most [`REFERENCE_MAX_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Reference(String);

impl Reference {
    /// The text of the reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The fields of a frame or a queue body that Hermes reads, each still the JSON text that was sent.
/// A field that Hermes does not know is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fields<'a> {
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref", deserialize_with = "present")]
    pub(crate) reference: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) room_id: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) to: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) user_id: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) action: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) stream: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) epoch: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) offset: Option<&'a RawValue>,
}

/// Keeps a `null` that was sent apart from a field that is missing: serde would read both as `None`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Fields<'a> {
    /// Reads the fields of a JSON object.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidJson`] where the text is no JSON object, [`ErrorCode::InvalidMessage`]
    /// where a field is given twice.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let is_object = text.trim_start().starts_with('{');
        match serde_json::from_str(text) {
            // serde also reads a struct from an array, field by field: that is no request.
            Ok(fields) if is_object => Ok(fields),
            Err(error) if is_object && error.is_data() => Err(Refusal::new(
                ErrorCode::InvalidMessage,
                format!(
                    "a field is given twice (line {}, column {})",
                    error.line(),
                    error.column()
                ),
            )),
            Err(error) if is_object => Err(Refusal::new(
                ErrorCode::InvalidJson,
                format!(
                    "this is not JSON (line {}, column {}): send one JSON object",
                    error.line(),
                    error.column()
                ),
            )),
            _ => Err(Refusal::new(
                ErrorCode::InvalidJson,
                "this is not a JSON object: send one, such as {\"action\":\"ping\"}",
            )),
        }
    }

    /// The `ref` to echo.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidMessage`] where it is not a string of at most [`REFERENCE_MAX_BYTES`].
    pub fn reference(&self) -> Result<Option<Reference>, Refusal> {
        let Some(raw) = self.reference else {
            return Ok(None);
        };
        match serde_json::from_str::<String>(raw.get()) {
            Ok(text) if text.len() <= REFERENCE_MAX_BYTES => Ok(Some(Reference(text))),
            _ => Err(Refusal::field(
                "ref",
                format_args!("must be a string of at most {REFERENCE_MAX_BYTES} bytes"),
            )),
        }
    }

    /// What a client asks to recover: one of its streams, and what it has seen of it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidMessage`], naming the field and its rule.
    pub fn recover(&self) -> Result<(StreamKind, Option<Position>), Refusal> {
        let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
        let kind = match self.stream.and_then(text).as_deref() {
            Some("room") => StreamKind::Room,
            Some("user") => StreamKind::User,
            _ => return Err(Refusal::field("stream", "must be \"room\" or \"user\"")),
        };
        let (epoch, offset) = match (self.epoch, self.offset) {
            (None, None) => return Ok((kind, None)),
            (Some(epoch), Some(offset)) => (epoch, offset),
            _ => {
                return Err(Refusal::field(
                    "epoch",
                    "and `offset` go together: both of the last message seen, or neither",
                ));
            }
        };
        let epoch = text(epoch).and_then(|epoch| epoch.parse().ok());
        let epoch = epoch.ok_or_else(|| {
            Refusal::field("epoch", "must be the one of a notification or an answer")
        })?;
        let offset = serde_json::from_str::<u64>(offset.get())
            .ok()
            .filter(|offset| *offset <= OFFSET_MAX);
        let offset =
            offset.ok_or_else(|| Refusal::field("offset", "must be an integer from 0 on"))?;
        Ok((kind, Some(Position { epoch, offset })))
    }

    /// Whether the request's `action` is `name`.
    pub fn action_is(&self, name: &str) -> bool {
        self.action.is_some_and(|raw| {
            serde_json::from_str::<String>(raw.get()).is_ok_and(|action| action == name)
        })
    }
}

/// The answer to a request, before it is a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The message `id` was accepted.
    Ack {
        /// The id that the message was given.
        id: MessageId,
        /// Where it stands in the log; none before it is there, or where the log is off.
        place: Option<(StreamKind, Position)>,
    },
    /// The connection is alive.
    Pong {
        /// Where the connection's streams end; none where the log is off.
        heads: Option<Heads>,
    },
    /// What the client has missed.
    Recovered(Recovered),
    /// The request was refused.
    Error(Refusal),
}

/// The frame that comes before the end of a connection that a backend closes.
pub fn closing(reason: &str) -> String {
    #[derive(Serialize)]
    struct Closing<'a> {
        reason: &'a str,
    }
    system("closing", None, &Closing { reason }).expect("strings serialize")
}

/// Where the two streams of a connection end: none where nothing was ever published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heads {
    /// The room's.
    pub room: Option<Position>,
    /// The user's own.
    pub user: Option<Position>,
}

#[derive(Serialize)]
struct Ack<'a> {
    id: &'a MessageId,
    #[serde(flatten)]
    place: Option<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    stream: StreamKind,
    #[serde(flatten)]
    position: &'a Position,
}

impl<'a> Place<'a> {
    fn of((stream, position): &'a (StreamKind, Position)) -> Self {
        Self {
            stream: *stream,
            position,
        }
    }
}

#[derive(Serialize)]
struct Pong<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    heads: Option<&'a Heads>,
}

#[derive(Serialize)]
struct RecoveredData<'a> {
    stream: StreamKind,
    epoch: Option<&'a Epoch>,
    head: u64,
    complete: bool,
    more: bool,
    messages: Box<RawValue>,
}

impl<'a> RecoveredData<'a> {
    fn of(recovered: &'a Recovered) -> Self {
        let messages = format!("[{}]", recovered.messages.join(","));
        Self {
            stream: recovered.kind,
            epoch: recovered.head.as_ref().map(|head| &head.epoch),
            head: recovered.head.as_ref().map_or(0, |head| head.offset),
            complete: recovered.complete,
            more: recovered.more,
            messages: RawValue::from_string(messages).expect("notifications are JSON"),
        }
    }
}

#[derive(Serialize)]
struct Error<'a> {
    code: ErrorCode,
    message: &'a str,
}

fn system<D: Serialize>(
    system: &str,
    reference: Option<&Reference>,
    data: &D,
) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct SystemFrame<'a, D> {
        system: &'a str,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a Reference>,
        data: &'a D,
    }
    serde_json::to_string(&SystemFrame {
        system,
        reference,
        data,
    })
}

impl Answer {
    /// The system frame that carries this answer to the request with `reference`.
    pub fn to_frame(&self, reference: Option<&Reference>) -> String {
        let json = match self {
            Self::Ack { id, place } => system(
                "ack",
                reference,
                &Ack {
                    id,
                    place: place.as_ref().map(Place::of),
                },
            ),
            Self::Pong { heads } => system(
                "pong",
                reference,
                &Pong {
                    heads: heads.as_ref(),
                },
            ),
            Self::Recovered(recovered) => {
                system("recovered", reference, &RecoveredData::of(recovered))
            }
            Self::Error(Refusal { code, message }) => system(
                "error",
                reference,
                &Error {
                    code: *code,
                    message,
                },
            ),
        };
        json.expect("strings and enums always serialize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> ErrorCode {
        Fields::parse(text).unwrap_err().code
    }

    /// Flaw: bad JSON throws.
    #[test]
    fn only_a_json_object_is_read() {
        for text in [
            "",
            "hello",
            "{",
            "{\"a\":}",
            "[]",
            "[{}]",
            "\"x\"",
            "1",
            "null",
            "{} {}",
            "{\"a\":1,}",
            "\u{feff}{}",
        ] {
            assert_eq!(refused(text), ErrorCode::InvalidJson, "{text}");
        }
        assert!(Fields::parse(" \n{\"anything\": {\"goes\": [1]}}\t").is_ok());
    }

    #[test]
    fn an_array_is_not_read_as_a_struct_by_position() {
        assert_eq!(
            refused(r#"[1,2,"r","room","to","user","sendMessage"]"#),
            ErrorCode::InvalidJson
        );
    }

    #[test]
    fn a_field_given_twice_is_refused() {
        assert_eq!(
            refused(r#"{"to":"alice","to":"bob"}"#),
            ErrorCode::InvalidMessage
        );
    }

    #[test]
    fn deep_nesting_neither_crashes_nor_is_refused() {
        let deep = format!("{{\"data\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(Fields::parse(&deep).is_ok());
    }

    #[test]
    fn null_is_present() {
        let fields = Fields::parse(r#"{"data":null}"#).unwrap();
        assert_eq!(fields.data.unwrap().get(), "null");
        assert!(fields.id.is_none());
    }

    #[test]
    fn a_reference_is_a_short_string() {
        let reference = |text: &str| Fields::parse(text).unwrap().reference();
        assert_eq!(
            reference(r#"{"ref":"r\u00fc1"}"#)
                .unwrap()
                .unwrap()
                .as_str(),
            "rü1"
        );
        assert_eq!(reference("{}").unwrap(), None);
        for bad in [
            r#"{"ref":1}"#.to_owned(),
            r#"{"ref":null}"#.to_owned(),
            format!(r#"{{"ref":"{}"}}"#, "a".repeat(129)),
        ] {
            assert_eq!(reference(&bad).unwrap_err().code, ErrorCode::InvalidMessage);
        }
    }

    #[test]
    fn system_frames_have_this_shape() {
        let reference = Reference("r-1".to_owned());
        let id: MessageId = "m-1".parse().unwrap();
        let position = Position {
            epoch: "e-1".parse().unwrap(),
            offset: 7,
        };
        let ack = Answer::Ack {
            id: id.clone(),
            place: None,
        };
        insta::assert_snapshot!(ack.to_frame(Some(&reference)), @r#"{"system":"ack","ref":"r-1","data":{"id":"m-1"}}"#);
        let ack = Answer::Ack {
            id,
            place: Some((StreamKind::User, position.clone())),
        };
        insta::assert_snapshot!(ack.to_frame(None), @r#"{"system":"ack","data":{"id":"m-1","stream":"user","epoch":"e-1","offset":7}}"#);
        insta::assert_snapshot!(Answer::Pong { heads: None }.to_frame(None), @r#"{"system":"pong","data":{}}"#);
        let heads = Some(Heads {
            room: Some(position),
            user: None,
        });
        insta::assert_snapshot!(Answer::Pong { heads }.to_frame(None), @r#"{"system":"pong","data":{"heads":{"room":{"epoch":"e-1","offset":7},"user":null}}}"#);
        let error = Answer::Error(Refusal::new(ErrorCode::TokenExpired, "reconnect"));
        insta::assert_snapshot!(error.to_frame(None), @r#"{"system":"error","data":{"code":"token_expired","message":"reconnect"}}"#);
    }

    #[test]
    fn codes_are_written_alike_everywhere() {
        use ErrorCode::*;
        for code in [
            InvalidJson,
            InvalidMessage,
            PayloadTooLarge,
            UnknownAction,
            TokenExpired,
            Internal,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
