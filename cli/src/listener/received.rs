//! The frames that a listener receives, and the one question that it asks.

use hermes::log::{Position, StreamKind};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::order::{Heads, Recovered};
use crate::notification::Notification;
use crate::output::one_line;

/// What a frame is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A notification, and its place where there is a log.
    Notification(Notification, Option<(StreamKind, Position)>),
    /// The answer to the question with this number.
    Recovered(Option<u64>, Recovered<Notification>),
    /// The answer to a ping, and where the streams end.
    Pong(Heads),
    /// The connection is about to be closed, and why.
    Closing(String),
    /// An error.
    Error(Refused),
    /// Nothing that we know.
    Other,
}

/// An error frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The number of the question that it answers.
    pub(super) number: Option<u64>,
    /// The kind of error.
    pub(super) code: String,
    /// The error as it came, in one line.
    pub(super) text: String,
}

/// Asks what was missed of a stream behind `seen`. The answer has the same number.
pub(super) fn recover(number: u64, kind: StreamKind, seen: Option<&Position>) -> String {
    let mut frame =
        json!({"action": "recover", "stream": kind, "ref": format!("{REFERENCE}{number}")});
    if let Some(Position { epoch, offset }) = seen {
        frame["epoch"] = json!(epoch);
        frame["offset"] = json!(offset);
    }
    frame.to_string()
}

const REFERENCE: &str = "recover-";

/// Reads a frame.
pub(super) fn read(text: &str) -> Received {
    read_frame(text).unwrap_or(Received::Other)
}

/// A frame from the server. Fields that are not known are ignored, as every client does.
#[derive(Deserialize)]
struct Frame<'a> {
    system: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

fn read_frame(text: &str) -> Option<Received> {
    let frame: Frame<'_> = serde_json::from_str(text).ok()?;
    let Some(system) = frame.system else {
        return Some(Received::Notification(
            Notification::read(text)?,
            Place::read(text),
        ));
    };
    let number = frame
        .reference
        .as_deref()
        .and_then(|text| text.strip_prefix(REFERENCE)?.parse().ok());
    // serde reads a `null` as no data.
    let data = frame.data.map_or("null", RawValue::get);
    match system.as_str() {
        "recovered" => Some(Received::Recovered(number, read_recovered(data)?)),
        "pong" => Some(Received::Pong(read_heads(data))),
        "closing" => Some(Received::Closing(one_line(&read_reason(data)?))),
        "error" => Some(Received::Error(Refused {
            number,
            code: read_code(data).unwrap_or_default(),
            text: one_line(frame.data.map_or("without a reason", RawValue::get)),
        })),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Place {
    stream: String,
    #[serde(flatten)]
    position: At,
}

/// A position in a frame.
#[derive(Deserialize)]
struct At {
    epoch: String,
    offset: u64,
}

impl At {
    fn position(self) -> Option<Position> {
        Some(Position {
            epoch: self.epoch.parse().ok()?,
            offset: self.offset,
        })
    }
}

impl Place {
    fn read(text: &str) -> Option<(StreamKind, Position)> {
        let place: Self = serde_json::from_str(text).ok()?;
        let kind = match place.stream.as_str() {
            "room" => StreamKind::Room,
            "user" => StreamKind::User,
            _ => return None,
        };
        Some((kind, place.position.position()?))
    }
}

fn read_recovered(data: &str) -> Option<Recovered<Notification>> {
    #[derive(Deserialize)]
    struct Data<'a> {
        epoch: Option<String>,
        head: u64,
        #[serde(borrow)]
        messages: Vec<&'a RawValue>,
        more: bool,
        complete: bool,
    }
    let data: Data<'_> = serde_json::from_str(data).ok()?;
    let messages = data.messages.into_iter().map(|message| {
        let (_, position) = Place::read(message.get())?;
        Some((position.offset, Notification::read(message.get())?))
    });
    let head = match data.epoch {
        Some(epoch) => {
            let offset = data.head;
            Some(At { epoch, offset }.position()?)
        }
        None => None,
    };
    Some(Recovered {
        head,
        messages: messages.collect::<Option<_>>()?,
        more: data.more,
        complete: data.complete,
    })
}

fn read_heads(data: &str) -> Heads {
    #[derive(Default, Deserialize)]
    struct Data {
        heads: Option<Both>,
    }
    #[derive(Default, Deserialize)]
    struct Both {
        room: Option<At>,
        user: Option<At>,
    }
    let data: Data = serde_json::from_str(data).unwrap_or_default();
    let Both { room, user } = data.heads.unwrap_or_default();
    (room.and_then(At::position), user.and_then(At::position))
}

fn read_code(data: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Data {
        code: String,
    }
    serde_json::from_str::<Data>(data)
        .ok()
        .map(|data| data.code)
}

fn read_reason(data: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Data {
        reason: String,
    }
    serde_json::from_str::<Data>(data)
        .ok()
        .map(|data| data.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: &str, offset: u64) -> Position {
        let epoch = epoch.parse().unwrap();
        Position { epoch, offset }
    }

    #[test]
    fn a_notification_has_a_place_where_there_is_a_log() {
        let place = |fields: &str| {
            let frame = format!(r#"{{"user_id":"a","data":null{fields}}}"#);
            match read(&frame) {
                Received::Notification(notification, place) => {
                    assert_eq!(notification.json(), frame);
                    place
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(place(""), None);
        assert_eq!(
            place(r#","stream":"room","epoch":"e","offset":7"#),
            Some((StreamKind::Room, at("e", 7)))
        );
        assert_eq!(
            place(r#","stream":"user","epoch":"e","offset":1"#),
            Some((StreamKind::User, at("e", 1)))
        );
        // What a later version may mean by them.
        for odd in [
            r#","stream":"planet","epoch":"e","offset":7"#,
            r#","stream":"room","epoch":"e","offset":"7""#,
            r#","stream":"room""#,
        ] {
            assert_eq!(place(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_answer_is_read_with_its_messages() {
        let message = r#"{"user_id":"a","data":1,"stream":"room","epoch":"e","offset":7}"#;
        let frame = format!(
            r#"{{"system":"recovered","ref":"recover-3","data":{{"stream":"room","epoch":"e","head":9,"complete":true,"more":true,"messages":[{message}]}}}}"#
        );
        let Received::Recovered(Some(3), recovered) = read(&frame) else {
            panic!("{frame}")
        };
        assert_eq!(recovered.head, Some(at("e", 9)));
        assert!(recovered.more && recovered.complete);
        assert_eq!(recovered.messages[0].0, 7);
        assert_eq!(recovered.messages[0].1.json(), message);

        let empty = r#"{"system":"recovered","data":{"stream":"room","epoch":null,"head":0,"complete":true,"more":false,"messages":[]}}"#;
        let Received::Recovered(None, recovered) = read(empty) else {
            panic!("{empty}")
        };
        assert_eq!((recovered.head, recovered.messages), (None, vec![]));
        assert_eq!(read(r#"{"system":"recovered","data":{}}"#), Received::Other);
    }

    #[test]
    fn a_pong_has_heads_where_there_is_a_log() {
        assert_eq!(
            read(
                r#"{"system":"pong","data":{"heads":{"room":{"epoch":"e","offset":7},"user":null}}}"#
            ),
            Received::Pong((Some(at("e", 7)), None))
        );
        for without in [
            r#"{"system":"pong","data":{}}"#,
            r#"{"system":"pong"}"#,
            r#"{"system":"pong","data":{"heads":null}}"#,
        ] {
            assert_eq!(read(without), Received::Pong((None, None)), "{without}");
        }
    }

    #[test]
    fn a_question_is_what_hermes_reads() {
        let ask = |seen: Option<Position>| {
            let frame = recover(3, StreamKind::User, seen.as_ref());
            let fields = hermes::frame::Fields::parse(&frame).unwrap();
            assert!(fields.action_is("recover"));
            assert_eq!(fields.reference().unwrap().unwrap().as_str(), "recover-3");
            assert_eq!(fields.recover().unwrap(), (StreamKind::User, seen));
        };
        ask(None);
        ask(Some(at("e", 0)));
    }

    #[test]
    fn frames_that_are_no_notification_are_told_apart() {
        for other in [
            r#"{"system":"ack","data":{"id":"m-1"}}"#,
            r#"{"message":"Internal server error","connectionId":"c"}"#,
            r#"{"system":"closing"}"#,
            r#"{"system":"closing","data":{"reason":7}}"#,
            "[]",
            "hello",
            "",
        ] {
            assert_eq!(read(other), Received::Other, "{other}");
        }
        let closing = hermes::frame::closing("back at 10:00\u{1b}[2J");
        let reason = r"back at 10:00\u001b[2J".to_owned();
        assert_eq!(read(&closing), Received::Closing(reason));
        assert_eq!(
            read(r#"{"system":"error","ref":"recover-1","data":{"code":"internal"}}"#),
            Received::Error(Refused {
                number: Some(1),
                code: "internal".to_owned(),
                text: r#"{"code":"internal"}"#.to_owned(),
            })
        );
        assert_eq!(
            read(r#"{"system":"error"}"#),
            Received::Error(Refused {
                number: None,
                code: String::new(),
                text: "without a reason".to_owned(),
            })
        );
    }
}
