//! `hermes dlq redrive`: back to the queue that a message comes from.

use std::collections::{BTreeSet, HashMap};
use std::future::pending;
use std::process::ExitCode;

use clap::Args;
use hermes::message::Sequence;
use hermes::time::{Clock as _, SystemClock, Timestamp};
use hermes::{Message, MessageId};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::list::print;
use super::{Chosen, Kind, Which, messages, not_found};
use crate::dead_letters::{DeadLetter, Look};
use crate::failure::Failure;
use crate::output;
use crate::queue::{Entry, Queue};
use crate::settings::{Setting, Settings};

const EXAMPLES: &str = "\
Examples:
  hermes dlq redrive --all --dry-run
  hermes dlq redrive 5a1f8c0e-7c0b-4a55-9f0e-3d1f6a7b8c9d
  hermes dlq redrive --queue deliveries --all

A message is sent back as it is, and deleted here when SQS has confirmed it. One thing is added: a
message without an `id` gets the one that it had, SQS's own, because what is sent again has another
one; so a message that was published in part is still the same message. Interrupted, it can be run
again: a message that was sent and not yet deleted is sent once more, under the same id.

A message with an error_code was refused for what it is: it comes back, unless what refused it has
changed meanwhile. What arrives while the command runs is left alone.";

/// Send messages back to the queue that they come from
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Redrive {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    chosen: Chosen,

    /// Only list what would be sent back
    #[arg(long)]
    dry_run: bool,

    /// Print `{redriven, failed}`; with --dry-run as `hermes dlq list`
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document {
    redriven: usize,
    failed: usize,
}

/// What came of it.
#[derive(Default)]
struct Redriven {
    sent: usize,
    /// Of these, refused by a function.
    refused_before: usize,
    failed: usize,
    reason: Option<String>,
    would: Vec<DeadLetter>,
}

impl Redrive {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let letters = self.which.dead_letters(settings).await?;
        let target = settings.required(match self.which.queue {
            Kind::Messages => Setting::MessageQueueUrl,
            Kind::Deliveries => Setting::DeliveryQueueUrl,
        });
        let target = Queue::new(settings.sdk().await?, target.await?);

        let mut missing: BTreeSet<&str> = self.chosen.ids.iter().map(String::as_str).collect();
        let mut look = letters.look();
        let mut redriven = Redriven::default();
        let end = self
            .redrive(&mut look, &target, &mut missing, &mut redriven)
            .await;
        look.end().await;

        if self.dry_run {
            print(&redriven.would, self.which.queue, self.json)?;
            let count = messages(redriven.would.len());
            output::status(format_args!(
                "{count} would be sent back to {}",
                target.name()
            ));
        } else {
            self.report(&redriven, &target)?;
        }
        end?;
        if let Some(reason) = redriven.reason {
            return Err(Failure::new(format!(
                "{} could not be sent back: {reason}",
                messages(redriven.failed)
            )));
        }
        if !missing.is_empty() {
            return Err(not_found(&missing, &letters));
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn redrive(
        &self,
        look: &mut Look<'_>,
        target: &Queue,
        missing: &mut BTreeSet<&str>,
        redriven: &mut Redriven,
    ) -> Result<(), Failure> {
        let began = SystemClock.now();
        loop {
            let mut letters = look.next().await?;
            if letters.is_empty() {
                return Ok(());
            }
            letters.retain(|letter| {
                if self.chosen.all {
                    // What was sent back and refused again is here again: once is enough.
                    letter.sent_at.is_none_or(|at| at <= began)
                } else {
                    missing.remove(letter.id.as_str())
                }
            });
            if self.dry_run {
                redriven.would.extend(letters);
            } else {
                self.send(letters, look, target, redriven).await?;
            }
            if !self.chosen.all && missing.is_empty() {
                return Ok(());
            }
        }
    }

    async fn send(
        &self,
        letters: Vec<DeadLetter>,
        look: &mut Look<'_>,
        target: &Queue,
        redriven: &mut Redriven,
    ) -> Result<(), Failure> {
        let entries: Vec<Entry> = letters
            .iter()
            .map(|letter| entry(letter, self.which.queue, SystemClock.now()))
            .collect();
        let sent = target.send(&entries, pending(), |_| {}).await;
        let confirmed: Vec<&DeadLetter> = sent.confirmed.iter().map(|&i| &letters[i]).collect();
        redriven.sent += confirmed.len();
        redriven.refused_before += confirmed
            .iter()
            .filter(|letter| letter.error_code.is_some())
            .count();
        if let Some((_, reason)) = sent.refused.into_iter().next() {
            redriven.failed += letters.len() - confirmed.len();
            redriven.reason.get_or_insert(reason);
        }
        let ids: Vec<&str> = confirmed.iter().map(|letter| letter.id.as_str()).collect();
        look.delete(&ids).await?;
        sent.failure.map_or(Ok(()), Err)
    }

    fn report(&self, redriven: &Redriven, target: &Queue) -> Result<(), Failure> {
        if self.json {
            output::json(&Document {
                redriven: redriven.sent,
                failed: redriven.failed,
            })?;
        } else {
            let count = messages(redriven.sent);
            output::line(format_args!("sent {count} back to {}", target.name()))?;
        }
        if redriven.refused_before > 0 {
            output::status(format_args!(
                "{} had been refused (error_code) and will be again, unless what refused it has changed",
                messages(redriven.refused_before)
            ));
        }
        Ok(())
    }
}

/// What is sent back.
///
/// A FIFO queue drops what has the deduplication id of a message that it took within five minutes: the
/// message's own would make it vanish where it is sent back soon. The dead letter's id serves instead,
/// which is new each time that a message dies, and the same where sending it back is repeated.
fn entry(letter: &DeadLetter, kind: Kind, now: Timestamp) -> Entry {
    let own = letter.id.parse().ok();
    let id = own.clone().unwrap_or_else(MessageId::generate);
    let alone = Sequence::alone(&letter.id);
    let message = match kind {
        Kind::Messages => Message::from_queue(&letter.body, now, || id.clone()).ok(),
        Kind::Deliveries => None,
    };
    Entry {
        line: 0,
        body: match (&message, own) {
            (Some(_), Some(own)) => with_id(&letter.body, &own),
            _ => letter.body.clone(),
        },
        sequence: Sequence {
            group: message.map_or(alone.group, |message| message.sequence().group),
            deduplication: alone.deduplication,
        },
        id,
    }
}

/// The body of a message with its id in it. Nothing else is changed.
fn with_id(body: &str, id: &MessageId) -> String {
    let fields: HashMap<String, IgnoredAny> = serde_json::from_str(body).unwrap_or_default();
    match body.split_once('{') {
        // A message has a room and data, so there is a field to put it before.
        Some((before, after)) if !fields.contains_key("id") => {
            format!("{before}{{{}:{},{after}", json!("id"), json!(id))
        }
        _ => body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5a1f8c0e-7c0b-4a55-9f0e-3d1f6a7b8c9d";

    fn sent_back(body: &str, kind: Kind) -> Entry {
        let letter = DeadLetter {
            id: ID.to_owned(),
            sent_at: None,
            error_code: None,
            error_message: None,
            body: body.to_owned(),
        };
        entry(&letter, kind, SystemClock.now())
    }

    #[test]
    fn a_message_keeps_its_bytes_and_its_identity() {
        let given = r#" {"room_id": 7, "data":{"n": 2.50}}"#;
        let body = sent_back(given, Kind::Messages).body;
        assert_eq!(
            body,
            format!(r#" {{"id":"{ID}","room_id": 7, "data":{{"n": 2.50}}}}"#)
        );
        let read = |body: &str, sqs_id: &str| {
            Message::from_queue(body, SystemClock.now(), || sqs_id.parse().unwrap()).unwrap()
        };
        let (before, after) = (read(given, ID), read(&body, "another"));
        assert_eq!(before.id, after.id);
        assert_eq!(before.data.get(), after.data.get());

        for unchanged in [
            r#"{"room_id":"r","data":1,"id":"m-1"}"#,
            r#"{"room_id":"r","data":1,"\u0069d":"m-1"}"#,
            r#"{"room_id":"r"}"#,
            "{}",
            "no JSON {",
        ] {
            assert_eq!(sent_back(unchanged, Kind::Messages).body, unchanged);
        }
        let job = r#"{"room_id":"r","shard":0,"data":1}"#;
        assert_eq!(sent_back(job, Kind::Deliveries).body, job);
    }

    #[test]
    fn a_room_stays_in_order_and_what_dies_again_is_not_taken_for_the_same() {
        let one = sent_back(r#"{"room_id":"demo","data":1,"id":"m-1"}"#, Kind::Messages);
        let message = Sequence::of(
            &"demo".parse().unwrap(),
            &hermes::UserId::system(),
            &"m-1".parse().unwrap(),
        );
        assert_eq!(one.sequence.group, message.group);
        assert_ne!(one.sequence.deduplication, message.deduplication);
        assert_eq!(sent_back("?", Kind::Messages).sequence, Sequence::alone(ID));
    }
}
