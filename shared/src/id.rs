//! Identifiers: parsed once at the edge into types that cannot be wrong.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest [`UserId`] and [`RoomId`], in bytes of UTF-8.
pub const NAME_MAX_BYTES: usize = 256;

/// The longest [`MessageId`], in characters (all of them ASCII).
pub const MESSAGE_ID_MAX_BYTES: usize = 128;

/// Why a text is not the identifier it should be. The message is fit for whoever sent the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not a user or room id.
    #[error("must be a string or an integer, 1 to 256 bytes of UTF-8 without control characters")]
    Name,
    /// Not a message id.
    #[error("must be a string of 1 to 128 printable ASCII characters")]
    Message,
    /// Not a connection id.
    #[error("must be a connection id as API Gateway gives it: 1 to 128 printable ASCII characters")]
    Connection,
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_printable_ascii(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $error:expr, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(&text) { Ok(Self(text)) } else { Err($error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

identifier! {
    /// Who a connection belongs to, or who sent a message: 1 to 256 bytes of UTF-8 without control
    /// characters. In JSON a string or an integer (existing backends write numbers); always written
    /// as a string.
    UserId, InvalidId::Name, is_name
}

identifier! {
    /// Where messages are delivered: every connection is in exactly one room. Same rules as [`UserId`].
    RoomId, InvalidId::Name, is_name
}

identifier! {
    /// A WebSocket connection, as API Gateway names it (a short base64 text).
    ConnectionId, InvalidId::Connection, |text| is_printable_ascii(text, 128)
}

identifier! {
    /// Names a message among those of one sender in one room: 1 to 128 printable ASCII characters.
    MessageId, InvalidId::Message, |text| is_printable_ascii(text, MESSAGE_ID_MAX_BYTES)
}

impl UserId {
    /// The sender of a queued message that names none.
    pub fn system() -> Self {
        Self("system".to_owned())
    }
}

impl MessageId {
    /// A new id that sorts by the time of its making (`UUIDv7`, RFC 9562 §5.7).
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(NameVisitor)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for RoomId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(NameVisitor)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

/// Accepts what the JSON of existing backends holds: a string or an integer, never a float.
struct NameVisitor;

impl de::Visitor<'_> for NameVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an integer")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(json: &str) -> Result<UserId, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn integers_are_read_and_written_as_strings() {
        assert_eq!(user("42").unwrap().as_str(), "42");
        assert_eq!(user("-7").unwrap().as_str(), "-7");
        assert_eq!(
            user("18446744073709551615").unwrap().as_str(),
            "18446744073709551615"
        );
        assert_eq!(
            serde_json::to_string(&user("42").unwrap()).unwrap(),
            r#""42""#
        );
    }

    #[test]
    fn floats_and_other_types_are_refused() {
        for json in [
            "1.0",
            "1e3",
            "18446744073709551616",
            "true",
            "null",
            "[]",
            "{}",
            "[\"a\"]",
        ] {
            assert!(user(json).is_err(), "{json}");
        }
    }

    #[test]
    fn length_is_counted_in_bytes_of_utf8() {
        assert!("".parse::<UserId>().is_err());
        assert!("ü".repeat(128).parse::<UserId>().is_ok());
        assert!("ü".repeat(129).parse::<UserId>().is_err());
        assert!("a".repeat(256).parse::<RoomId>().is_ok());
        assert!("a".repeat(257).parse::<RoomId>().is_err());
    }

    #[test]
    fn the_separator_of_the_member_key_cannot_occur_in_an_id() {
        assert!("a\u{1f}b".parse::<UserId>().is_err());
        assert!(user(r#""a\u001fb""#).is_err());
    }

    #[test]
    fn message_ids_are_printable_ascii_strings() {
        assert!("order 17/ü".parse::<MessageId>().is_err());
        assert!("a".repeat(129).parse::<MessageId>().is_err());
        assert!(serde_json::from_str::<MessageId>("17").is_err());
        assert_eq!(MessageId::generate().as_str().len(), 36);
    }

    proptest! {
        #[test]
        fn parsing_accepts_exactly_the_rule_and_changes_nothing(text in ".{0,300}") {
            let rule = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
            match text.parse::<UserId>() {
                Ok(id) => { prop_assert!(rule); prop_assert_eq!(id.as_str(), &text); }
                Err(_) => prop_assert!(!rule),
            }
        }

        #[test]
        fn json_round_trips(text in "[^\\p{Cc}]{1,60}") {
            let id: RoomId = text.parse().unwrap();
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<RoomId>(&json).unwrap(), id);
        }
    }
}
