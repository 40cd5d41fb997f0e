//! `hermes dlq list`: what could not be handled.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Args;
use hermes::time::{Clock as _, SystemClock};

use super::table::{Document, table};
use super::{Kind, Which, messages};
use crate::dead_letters::{DeadLetter, DeadLetters, Look};
use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  hermes dlq list
  hermes dlq list --queue deliveries --json | jq -r .room_id | sort | uniq -c

It removes nothing, and hides from others what it shows only while it runs. SQS may not show all at
once: of a FIFO queue it shows the first ten of a room, or of what SQS gave up.";

/// List messages that could not be handled, and why
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,

    /// List no more than these
    #[arg(long, value_name = "N", default_value = "100")]
    limit: NonZeroUsize,

    /// Print each message whole, one JSON document `{id, sent_at, error_code, error_message,
    /// room_id, body}` per line
    #[arg(long)]
    json: bool,
}

impl List {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let queue = self.which.dead_letters(settings).await?;
        let mut look = queue.look();
        let letters = read(&mut look, self.limit.get()).await;
        look.end().await;
        let letters = letters?;
        print(&letters, self.which.queue, self.json)?;
        output::status(summary(&letters, &queue).await);
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints messages for a person or a program.
pub(super) fn print(letters: &[DeadLetter], kind: Kind, json: bool) -> Result<(), Failure> {
    if json {
        return letters
            .iter()
            .try_for_each(|letter| output::json(&Document::from(letter)));
    }
    if letters.is_empty() {
        return Ok(());
    }
    output::line(table(
        letters,
        kind,
        SystemClock.now(),
        output::terminal_width(),
    ))
}

async fn read(look: &mut Look<'_>, limit: usize) -> Result<Vec<DeadLetter>, Failure> {
    let mut letters = Vec::new();
    while letters.len() < limit {
        let next = look.next().await?;
        if next.is_empty() {
            break;
        }
        letters.extend(next);
    }
    letters.truncate(limit);
    Ok(letters)
}

async fn summary(letters: &[DeadLetter], queue: &DeadLetters) -> String {
    let shown = letters.len();
    match queue.count().await {
        Some(count) if count > shown as u64 => format!(
            "{} of about {count} in {}; SQS may not show all at once",
            messages(shown),
            queue.name()
        ),
        _ => format!("{} in {}", messages(shown), queue.name()),
    }
}
