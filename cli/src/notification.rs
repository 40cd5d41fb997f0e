//! A notification as `hermes listen` shows it.

use std::fmt::Write as _;

use owo_colors::{AnsiColors, OwoColorize as _};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::output::one_line;

/// The fields that are shown. Others are ignored, as every client does.
#[derive(Debug, Deserialize)]
struct Fields<'a> {
    user_id: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    id: Option<String>,
    sent_at: Option<String>,
    to: Option<String>,
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

impl Notification {
    /// Reads a frame; none where it is no notification.
    pub(crate) fn read(frame: &str) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_str(frame).ok()?;
        Some(Self {
            frame: one_line(frame),
            sender: one_line(&fields.user_id),
            // serde reads a `null` as no data.
            data: one_line(fields.data.map_or("null", RawValue::get)),
            to: fields.to.as_deref().map(one_line),
            id: fields.id,
            sent_at: fields.sent_at,
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = r#"{"user_id":"alice","data":{"n": [1, 2.50]},"room_id":"demo","id":"m-1","sent_at":"2026-11-21T22:26:40.007Z","to":"bob","later":1}"#;

    fn notification(text: &str) -> Notification {
        Notification::read(text).unwrap()
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
    fn data_may_be_null() {
        assert_eq!(notification(r#"{"user_id":"a","data":null}"#).data, "null");
    }
}
