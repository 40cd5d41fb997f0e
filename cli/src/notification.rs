//! A notification as `hermes listen` shows it.

use std::fmt::Write as _;

use owo_colors::{AnsiColors, OwoColorize as _};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame from the server. Fields that are not known are ignored, as every client does.
#[derive(Debug, Deserialize)]
struct Frame<'a> {
    system: Option<String>,
    user_id: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    id: Option<String>,
    sent_at: Option<String>,
    to: Option<String>,
}

/// What a frame is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A notification.
    Notification(Notification),
    /// An error frame, with its message.
    Error(String),
    /// An answer to a ping, or nothing that we know.
    Other,
}

/// A message that was delivered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    frame: String,
    sender: String,
    data: String,
    to: Option<String>,
    id: Option<String>,
    sent_at: Option<String>,
}

/// Reads a frame.
pub(crate) fn read(text: &str) -> Received {
    let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
        return Received::Other;
    };
    match frame {
        Frame {
            system: Some(system),
            data,
            ..
        } => match system.as_str() {
            "error" => Received::Error(one_line(data.map_or("without a reason", RawValue::get))),
            _ => Received::Other,
        },
        Frame {
            user_id: Some(sender),
            data,
            id,
            sent_at,
            to,
            ..
        } => Received::Notification(Notification {
            frame: one_line(text),
            sender: one_line(&sender),
            // serde reads a `null` as no data.
            data: one_line(data.map_or("null", RawValue::get)),
            to: to.as_deref().map(one_line),
            id,
            sent_at,
        }),
        Frame { .. } => Received::Other,
    }
}

impl Notification {
    /// What tells it from every other notification: sender and id.
    pub(crate) fn key(&self) -> Option<(String, String)> {
        Some((self.sender.clone(), self.id.clone()?))
    }

    /// The notification as it came, in one line.
    pub(crate) fn json(&self) -> &str {
        &self.frame
    }

    /// The notification for a person: `22:26:40.007Z alice → bob {"type":…}`.
    pub(crate) fn pretty(&self) -> String {
        let mut line = String::new();
        let sent_at = self.sent_at.as_deref().unwrap_or("");
        let time = sent_at.split_once('T').map_or(sent_at, |(_, time)| time);
        let sender = self.sender.color(color_of(&self.sender));
        // Writing to a String cannot fail.
        let _ = write!(line, "{} {}", one_line(time).dimmed(), sender.bold());
        if let Some(to) = &self.to {
            let _ = write!(line, " {} {}", "→".dimmed(), to.bold());
        }
        let _ = write!(line, " {}", self.data);
        line
    }
}

/// Always the same colour for the same sender.
fn color_of(sender: &str) -> AnsiColors {
    const COLORS: [AnsiColors; 6] = [
        AnsiColors::Cyan,
        AnsiColors::Green,
        AnsiColors::Yellow,
        AnsiColors::Magenta,
        AnsiColors::Blue,
        AnsiColors::BrightRed,
    ];
    let sum: usize = sender.bytes().map(usize::from).sum();
    COLORS[sum % COLORS.len()]
}

/// A text without line breaks and without what could steer a terminal. In JSON, line breaks can only
/// stand between tokens, and every other control character is escaped or may be.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() || is_direction(c) => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

/// Whether a character changes the direction of the text after it, so that a line could be made to
/// read as another one.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = r#"{"user_id":"alice","data":{"n": [1, 2.50]},"room_id":"demo","id":"m-1","sent_at":"2026-11-21T22:26:40.007Z","to":"bob","later":1}"#;

    fn notification(text: &str) -> Notification {
        match read(text) {
            Received::Notification(notification) => notification,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_notification_is_one_line_for_a_person_and_untouched_for_a_program() {
        let shown = notification(FRAME);
        let plain = anstream::adapter::strip_str(&shown.pretty()).to_string();
        assert_eq!(plain, r#"22:26:40.007Z alice → bob {"n": [1, 2.50]}"#);
        assert_eq!(shown.json(), FRAME);
        assert_eq!(shown.key(), Some(("alice".to_owned(), "m-1".to_owned())));
    }

    #[test]
    fn what_a_sender_writes_cannot_steer_the_terminal() {
        let shown = notification(
            "{\"user_id\":\"a\u{9b}31m\",\"data\":{\n \"x\": \"\u{9b}2J\u{202e}\u{7f}\"}}",
        );
        assert_eq!(
            shown.json(),
            r#"{"user_id":"a\u009b31m","data":{  "x": "\u009b2J\u202e\u007f"}}"#
        );
        let plain = anstream::adapter::strip_str(&shown.pretty()).to_string();
        assert_eq!(plain, r#" a\u009b31m {  "x": "\u009b2J\u202e\u007f"}"#);
    }

    #[test]
    fn frames_that_are_no_notification_are_told_apart() {
        for other in [
            r#"{"system":"pong","data":{}}"#,
            r#"{"message":"Internal server error","connectionId":"c"}"#,
            "[]",
            "hello",
            "",
        ] {
            assert_eq!(read(other), Received::Other, "{other}");
        }
        assert_eq!(
            read(r#"{"system":"error","data":{"code":"internal"}}"#),
            Received::Error(r#"{"code":"internal"}"#.to_owned())
        );
        assert_eq!(notification(r#"{"user_id":"a","data":null}"#).data, "null");
    }
}
