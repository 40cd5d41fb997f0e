//! `hermes publish`: messages to the members of a room, through the queue.

mod input;
mod report;

use std::io::BufReader;
use std::process::ExitCode;

use clap::Args;
use hermes::time::{Clock as _, SystemClock};
use hermes::{Message, MessageId, RoomId, UserId};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::output;
use crate::queue::{Entry, Queue};
use crate::settings::{Setting, Settings};

use input::{read_file, read_lines};
use report::report;

/// How many wrong lines are named before the rest is only counted.
const WRONG_LINES: usize = 5;

/// Up to how many bytes DATA is shown when it is no JSON.
const LONGEST_WORD: usize = 200;

/// From how many messages on a progress bar is worth looking at.
const WORTH_A_BAR: usize = 50;

const EXAMPLES: &str = "\
Examples:
  hermes publish --room demo '{\"type\":\"order\",\"data\":{\"id\":17}}'
  hermes publish --room demo --text 'back at noon' --to alice
  hermes publish --room demo @order.json
  seq 1000 | hermes publish --room demo -
  hermes publish --room demo --id order-17 '{\"type\":\"order\"}' # again with the same id: once

Everything is checked before anything is sent. Each message has an id, so that one that is
delivered twice (queues may do that) can be recognized; where the stack keeps a log, it is stored
once. To a FIFO queue (QueueType Fifo) the messages go one batch after the other, and nothing is
sent behind one that SQS refused: they arrive in the order of the lines.";

/// Send messages to the members of a room, through the queue
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Publish {
    /// The room to deliver to
    #[arg(long, value_name = "ROOM")]
    room: RoomId,

    /// JSON; @FILE for a file that holds one JSON document; - for one document per line of the
    /// standard input
    #[arg(value_name = "DATA", allow_negative_numbers = true)]
    data: String,

    /// DATA (or each line) is plain text, sent as a JSON string; @ has no meaning then
    #[arg(long)]
    text: bool,

    /// Who is shown as the sender
    #[arg(long, value_name = "USER", default_value = "system")]
    user: UserId,

    /// Deliver to this user only
    #[arg(long, value_name = "USER")]
    to: Option<UserId>,

    /// Id of the message, unique per sender in the room, so that publishing it again changes nothing;
    /// otherwise a new one [not with several lines]
    #[arg(long, value_name = "ID")]
    id: Option<MessageId>,

    /// Print `{line, id}` for each message that was enqueued
    #[arg(long)]
    json: bool,
}

impl Publish {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let lines = self.read()?;
        let entries = self.entries(&lines)?;
        let url = settings.required(Setting::MessageQueueUrl).await?;
        let queue = Queue::new(settings.sdk().await?, url);

        let bar = progress_bar(entries.len());
        let stop = async {
            // Where Ctrl-C cannot be heard, it ends the process, as it would anyway.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let sent = queue
            .send(&entries, stop, |done| bar.inc(done as u64))
            .await;
        bar.finish_and_clear();

        if self.json {
            for index in &sent.confirmed {
                let entry = &entries[*index];
                output::json(&json!({"line": entry.line, "id": entry.id}))?;
            }
        }
        report(&entries, sent, &self.room)
    }

    /// The inputs with their line numbers.
    fn read(&self) -> Result<Vec<(usize, String)>, Failure> {
        if self.data == "-" {
            return read_lines(BufReader::new(std::io::stdin()));
        }
        let text = match self.data.strip_prefix('@') {
            Some(path) if !self.text => read_file(path)?,
            _ => self.data.clone(),
        };
        Ok(vec![(1, text)])
    }

    /// Makes a message of each input, and refuses all of them where one is wrong.
    fn entries(&self, lines: &[(usize, String)]) -> Result<Vec<Entry>, Failure> {
        if lines.is_empty() {
            return Err(Failure::usage(
                "the standard input is empty: there is nothing to send",
            ));
        }
        if self.id.is_some() && lines.len() > 1 {
            return Err(Failure::usage(format!(
                "--id names one message, and there are {}",
                lines.len()
            ))
            .hint("leave --id out: each gets its own id"));
        }
        let mut entries = Vec::with_capacity(lines.len());
        let mut wrong = Vec::new();
        for (line, text) in lines {
            match self.entry(*line, text) {
                Ok(entry) => entries.push(entry),
                Err(reason) => wrong.push((*line, reason)),
            }
        }
        if wrong.is_empty() {
            return Ok(entries);
        }
        Err(self.refuse(&wrong))
    }

    fn entry(&self, line: usize, text: &str) -> Result<Entry, String> {
        let data = if self.text {
            serde_json::value::to_raw_value(text).expect("a text is JSON")
        } else {
            RawValue::from_string(text.trim().to_owned())
                .map_err(|error| format!("this is not JSON: {error}"))?
        };
        let message = Message {
            sender: self.user.clone(),
            data,
            room: self.room.clone(),
            id: self.id.clone().unwrap_or_else(MessageId::generate),
            sent_at: SystemClock.now(),
            to: self.to.clone(),
        };
        message
            .to_notification()
            .map_err(|refusal| refusal.message)?;
        let body = message.to_queue_body().map_err(|refusal| refusal.message)?;
        Ok(Entry {
            line,
            sequence: message.sequence(),
            id: message.id,
            body,
        })
    }

    fn refuse(&self, wrong: &[(usize, String)]) -> Failure {
        if self.data != "-" {
            return self.refuse_one(&wrong[0].1);
        }
        let mut text = String::from("nothing was sent, because the input is wrong:");
        for (line, reason) in wrong.iter().take(WRONG_LINES) {
            text.push_str(&format!("\n  line {line}: {reason}"));
        }
        if wrong.len() > WRONG_LINES {
            text.push_str(&format!("\n  and {} more", wrong.len() - WRONG_LINES));
        }
        let failure = Failure::usage(text);
        if self.text {
            failure
        } else {
            failure.hint("one JSON document per line; --text sends each line as a text")
        }
    }

    fn refuse_one(&self, reason: &str) -> Failure {
        if let Some(path) = self.data.strip_prefix('@').filter(|_| !self.text) {
            return Failure::usage(format!("{path}: {reason}"));
        }
        let looks_like_json = self.data.trim_start().starts_with(['{', '[', '"']);
        if self.text || looks_like_json || self.data.len() > LONGEST_WORD {
            return Failure::usage(reason);
        }
        let word = &self.data;
        Failure::usage(format!("{word:?} is no JSON")).hint(format!(
            "for a text, quote it for JSON and for the shell ('\"{word}\"'), or use --text {word:?}"
        ))
    }
}

fn progress_bar(messages: usize) -> ProgressBar {
    if messages < WORTH_A_BAR {
        return ProgressBar::hidden();
    }
    // On standard error, and only where that is a terminal.
    ProgressBar::new(messages as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} messages, {eta} left")
            .expect("the template is valid"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(data: &str, text: bool) -> Publish {
        Publish {
            room: "demo".parse().unwrap(),
            data: data.to_owned(),
            text,
            user: UserId::system(),
            to: None,
            id: None,
            json: false,
        }
    }

    #[test]
    fn data_passes_byte_for_byte_and_has_an_id() {
        let publish = Publish {
            id: Some("m-1".parse().unwrap()),
            to: Some("bob".parse().unwrap()),
            ..publish(r#" {"b":1, "a":2.50} "#, false)
        };
        let entries = publish.entries(&publish.read().unwrap()).unwrap();
        assert_eq!(
            entries[0].body,
            r#"{"user_id":"system","room_id":"demo","data":{"b":1, "a":2.50},"id":"m-1","to":"bob"}"#
        );
    }

    #[test]
    fn a_text_is_sent_as_a_json_string() {
        let publish = publish("@alice said \"hi\"", true);
        let entries = publish.entries(&publish.read().unwrap()).unwrap();
        assert!(entries[0].body.contains(r#""data":"@alice said \"hi\"""#));
    }

    #[test]
    fn a_word_that_is_no_json_says_what_to_do() {
        let publish = publish("hello", false);
        let failure = publish.entries(&publish.read().unwrap()).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "\"hello\" is no JSON\n  for a text, quote it for JSON and for the shell ('\"hello\"'), \
             or use --text \"hello\""
        );
    }

    #[test]
    fn wrong_lines_are_named_and_nothing_is_sent() {
        let publish = publish("-", false);
        let mut input = "1\n\n{\"a\":\n\"ok\"\nhello\n".to_owned();
        input.push_str(&format!("\"{}\"\n", "x".repeat(130_000)));
        let lines = read_lines(input.as_bytes()).unwrap();
        assert_eq!(lines.len(), 5);
        let text = publish.entries(&lines).unwrap_err().to_string();
        assert!(text.starts_with("nothing was sent"), "{text}");
        for says in [
            "line 3: this is not JSON",
            "line 5: ",
            "line 6: the notification would have",
        ] {
            assert!(text.contains(says), "{text}");
        }
        assert!(
            !text.contains("line 1:") && !text.contains("line 4:"),
            "{text}"
        );
    }

    #[test]
    fn an_id_is_for_one_message() {
        let publish = Publish {
            id: Some("m-1".parse().unwrap()),
            ..publish("-", false)
        };
        let lines = read_lines(&b"1\n2\n"[..]).unwrap();
        assert!(publish.entries(&lines).is_err());
        assert!(publish.entries(&lines[..1]).is_ok());
        assert!(publish.entries(&[]).is_err());
    }
}
