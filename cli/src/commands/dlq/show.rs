//! `hermes dlq show`: one message that could not be handled, whole.

use std::process::ExitCode;

use clap::Args;
use hermes::time::{Clock as _, SystemClock};

use super::table::{Document, reason, room};
use super::{Kind, Which, not_found};
use crate::dead_letters::{DeadLetter, Look};
use crate::failure::Failure;
use crate::output::{self, one_line};
use crate::settings::Settings;
use crate::table::age;

const EXAMPLES: &str = "\
Examples:
  hermes dlq show 019a9f3c-7d52-7c31-9d0e-2f7a1c5b8e64
  hermes dlq show --queue deliveries --json 019a9f3c-7d52-7c31-9d0e-2f7a1c5b8e64 | jq .body";

/// Show one message that could not be handled, whole
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,

    /// The message's id, as `hermes dlq list` shows it
    #[arg(value_name = "ID")]
    id: String,

    /// Print `{id, sent_at, error_code, error_message, room_id, body}`
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let queue = self.which.dead_letters(settings).await?;
        let mut look = queue.look();
        let letter = find(&mut look, &self.id).await;
        look.end().await;
        let missing = || not_found(&[self.id.as_str()].into(), &queue);
        let letter = letter?.ok_or_else(missing)?;
        if self.json {
            output::json(&Document::from(&letter))?;
        } else {
            print(&letter, self.which.queue)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn find(look: &mut Look<'_>, id: &str) -> Result<Option<DeadLetter>, Failure> {
    loop {
        let letters = look.next().await?;
        if letters.is_empty() {
            return Ok(None);
        }
        if let Some(letter) = letters.into_iter().find(|letter| letter.id == id) {
            return Ok(Some(letter));
        }
    }
}

fn print(letter: &DeadLetter, kind: Kind) -> Result<(), Failure> {
    output::line(format_args!("id      {}", letter.id))?;
    if let Some(at) = letter.sent_at {
        let age = age(at, SystemClock.now());
        output::line(format_args!("sent    {at} ({age} ago)"))?;
    }
    if let Some(code) = &letter.error_code {
        output::line(format_args!("error   {}", one_line(code)))?;
    }
    output::line(format_args!("reason  {}", reason(letter, kind)))?;
    if let Some(room) = room(&letter.body) {
        output::line(format_args!("room    {}", one_line(room.as_str())))?;
    }
    output::line("")?;
    letter
        .body
        .lines()
        .try_for_each(|line| output::line(one_line(line)))
}
