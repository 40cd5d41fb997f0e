//! `hermes dlq`: the dead-letter queues, and what to do with what is in them.

mod list;
mod purge;
mod redrive;
mod show;
mod table;

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};

use crate::dead_letters::DeadLetters;
use crate::failure::Failure;
use crate::settings::{Setting, Settings};

pub(crate) use list::List;
pub(crate) use purge::Purge;
pub(crate) use redrive::Redrive;
pub(crate) use show::Show;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    List(List),
    Show(Show),
    Redrive(Redrive),
    Purge(Purge),
}

/// Which of the queues is meant.
#[derive(Debug, Args)]
struct Which {
    /// Messages that could not be published, or delivery jobs (parts of large rooms, and what an
    /// invocation had no time for)
    #[arg(long, value_enum, default_value_t = Kind::Messages)]
    queue: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[value(help = None)]
    Messages,
    #[value(help = None)]
    Deliveries,
}

impl Which {
    async fn dead_letters(&self, settings: &Settings) -> Result<DeadLetters, Failure> {
        let url = settings.required(match self.queue {
            Kind::Messages => Setting::DeadLetterQueueUrl,
            Kind::Deliveries => Setting::DeliveryDeadLetterQueueUrl,
        });
        let url = url.await?;
        Ok(DeadLetters::new(settings.sdk().await?, url))
    }
}

impl Kind {
    /// The function whose log says what happened.
    fn function(self) -> &'static str {
        match self {
            Self::Messages => "send-message",
            Self::Deliveries => "deliver",
        }
    }
}

/// Which messages are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Chosen {
    /// The messages' ids, as `hermes dlq list` shows them
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// All of them
    #[arg(long)]
    all: bool,
}

/// `1 message`, `2 messages`.
fn messages(count: usize) -> String {
    match count {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    }
}

/// That some ids were not found.
fn not_found(missing: &BTreeSet<&str>, queue: &DeadLetters) -> Failure {
    let missing: Vec<_> = missing.iter().copied().collect();
    Failure::new(format!(
        "SQS shows no message {} in {}",
        missing.join(", "),
        queue.name()
    ))
    .hint(
        "it may not show all at once, and none that somebody else looks at: try again in a minute",
    )
}
