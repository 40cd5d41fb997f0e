//! A line of a function's log.

use std::fmt::Write as _;

use hermes::Timestamp;
use owo_colors::OwoColorize as _;
use serde_json::{Map, Value};

use crate::output::one_line;

/// What every line has, or what says nothing to an operator.
const NOT_SHOWN: [&str; 5] = ["timestamp", "level", "message", "target", "span"];

/// What Lambda itself writes about an invocation that went wrong.
const PLATFORM_FAILURES: [&str; 4] = [
    "Task timed out",
    "Runtime exited",
    "Runtime.ExitError",
    "Status: timeout",
];

/// Something that a function did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    function: String,
    at: Timestamp,
    fields: Map<String, Value>,
}

impl Event {
    /// Reads a line; none where it is a batch of metrics, or Lambda's own about an invocation that went well.
    pub(super) fn read(function: &str, at_ms: u64, line: &str) -> Option<Self> {
        let line = line.trim_end();
        let fields = match serde_json::from_str(line) {
            Ok(Value::Object(fields)) => fields,
            _ if PLATFORM_FAILURES.iter().any(|part| line.contains(part)) => {
                let mut fields = Map::new();
                fields.insert("level".to_owned(), "ERROR".into());
                fields.insert("message".to_owned(), line.into());
                fields
            }
            _ => return None,
        };
        if fields.contains_key("_aws") {
            return None;
        }
        Some(Self {
            function: function.to_owned(),
            at: Timestamp::from_millis(at_ms),
            fields,
        })
    }

    /// When it was written.
    pub(super) fn at_ms(&self) -> u64 {
        self.at.as_millis()
    }

    /// The room that it is about.
    pub(super) fn room(&self) -> Option<&str> {
        self.fields.get("room_id")?.as_str()
    }

    /// Whether something did not work, or somebody was left out.
    pub(super) fn is_failure(&self) -> bool {
        let count = |name: &str| self.fields.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.level() == "WARN" || self.level() == "ERROR" || count("failed") + count("untried") > 0
    }

    /// For a program: what was logged, and by which function.
    pub(super) fn document(&self) -> Map<String, Value> {
        let mut document = self.fields.clone();
        document.insert("function".to_owned(), self.function.as_str().into());
        document
            .entry("timestamp")
            .or_insert_with(|| self.at.to_string().into());
        document
    }

    /// For a person: `10:00:00.123Z send-message delivered m-1  room_id=demo delivered=2 latency_ms=41`.
    pub(super) fn pretty(&self) -> String {
        let at = self.at.to_string();
        let time = at.split_once('T').map_or(at.as_str(), |(_, time)| time);
        let message = self.fields.get("message").and_then(Value::as_str);
        let message = one_line(message.unwrap_or_default());
        let mut line = format!("{} {:<12} ", time.dimmed(), self.function.bold());
        // Writing to a String cannot fail.
        let _ = match self.level() {
            "ERROR" => write!(line, "{}", message.red()),
            "WARN" => write!(line, "{}", message.yellow()),
            _ if self.is_failure() => write!(line, "{}", message.yellow()),
            _ => write!(line, "{message}"),
        };
        for (name, value) in &self.fields {
            if NOT_SHOWN.contains(&name.as_str()) {
                continue;
            }
            let value = match value {
                Value::String(text) => one_line(text),
                other => one_line(&other.to_string()),
            };
            let _ = write!(line, " {}{value}", format_args!("{name}=").dimmed());
        }
        line
    }

    fn level(&self) -> &str {
        let level = self.fields.get("level").and_then(Value::as_str);
        level.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERED: &str = r#"{"timestamp":"2026-11-21T10:00:00.122Z","level":"INFO","room_id":"demo","message_id":"m-1","delivered":2,"gone":0,"failed":0,"untried":0,"latency_ms":41,"message":"delivered m-1","target":"hermes::fanout"}"#;

    fn event(line: &str) -> Event {
        Event::read("send-message", 1_795_255_200_123, line).unwrap()
    }

    fn plain(event: &Event) -> String {
        anstream::adapter::strip_str(&event.pretty()).to_string()
    }

    #[test]
    fn a_delivery_is_one_line_with_its_counts() {
        let event = event(DELIVERED);
        let line = plain(&event);
        assert!(
            line.starts_with("10:00:00.123Z send-message delivered m-1 "),
            "{line}"
        );
        for part in ["room_id=demo", "delivered=2", "latency_ms=41"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("hermes::fanout"), "{line}");
        assert!(!event.is_failure());
        assert_eq!(event.room(), Some("demo"));
        assert_eq!(event.document()["function"], "send-message");
    }

    #[test]
    fn a_failure_is_told_from_what_went_well() {
        let failed = DELIVERED.replace(r#""failed":0"#, r#""failed":1"#);
        assert!(event(&failed).is_failure());
        assert!(event(r#"{"level":"WARN","message":"could not post"}"#).is_failure());
        let timed_out = "2026-11-21T10:00:00Z 8f… Task timed out after 25.00 seconds\n";
        let timed_out = event(timed_out);
        assert!(timed_out.is_failure());
        assert!(plain(&timed_out).contains("Task timed out after 25.00"));
    }

    #[test]
    fn metrics_and_what_lambda_says_of_each_invocation_are_left_out() {
        for line in [
            r#"{"Delivered":1,"Stack":"dev","_aws":{"Timestamp":7}}"#,
            "START RequestId: 1 Version: $LATEST",
            "REPORT RequestId: 1\tDuration: 2 ms",
        ] {
            assert_eq!(Event::read("deliver", 0, line), None, "{line}");
        }
    }

    #[test]
    fn what_a_client_sent_cannot_steer_the_terminal() {
        let line = plain(&event(
            "{\"level\":\"INFO\",\"message\":\"m\",\"room_id\":\"\u{9b}2J\\n\"}",
        ));
        assert!(line.contains("room_id=\\u009b2J "), "{line}");
        assert!(!line.contains('\u{9b}') && !line.contains('\n'));
    }
}
