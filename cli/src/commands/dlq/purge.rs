//! `hermes dlq purge`: messages that nobody wants any more.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Chosen, Which, messages, not_found};
use crate::dead_letters::Look;
use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  hermes dlq purge 5a1f8c0e-7c0b-4a55-9f0e-3d1f6a7b8c9d
  hermes dlq purge --all --yes

With --all, SQS empties the whole queue, also of what it does not show now. That takes up to a
minute, and is possible once a minute.";

/// Delete messages for good
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Purge {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    chosen: Chosen,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Print `{purged}`: how many, or null with --all, because SQS does not count them
    #[arg(long)]
    json: bool,
}

impl Purge {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let queue = self.which.dead_letters(settings).await?;
        let ids: BTreeSet<&str> = self.chosen.ids.iter().map(String::as_str).collect();
        let what = if self.chosen.all {
            match queue.count().await {
                Some(count) => format!("all messages (about {count})"),
                None => "all messages".to_owned(),
            }
        } else {
            messages(ids.len())
        };
        if !self.yes {
            confirm(&format!("delete {what} in {} for good?", queue.name()))?;
        }
        if self.chosen.all {
            queue.purge().await?;
            self.report(&format!("SQS empties {}", queue.name()), None)?;
            return Ok(ExitCode::SUCCESS);
        }

        let mut missing = ids.clone();
        let mut look = queue.look();
        let purged = purge(&mut look, &mut missing).await;
        look.end().await;
        let purged = purged?;
        self.report(
            &format!("deleted {} in {}", messages(purged), queue.name()),
            Some(purged),
        )?;
        if missing.is_empty() {
            Ok(ExitCode::SUCCESS)
        } else {
            Err(not_found(&missing, &queue))
        }
    }

    fn report(&self, text: &str, purged: Option<usize>) -> Result<(), Failure> {
        if self.json {
            output::json(&json!({"purged": purged}))
        } else {
            output::line(text)
        }
    }
}

async fn purge(look: &mut Look<'_>, missing: &mut BTreeSet<&str>) -> Result<usize, Failure> {
    let mut purged = 0;
    while !missing.is_empty() {
        let letters = look.next().await?;
        if letters.is_empty() {
            break;
        }
        let found: Vec<&str> = letters
            .iter()
            .map(|letter| letter.id.as_str())
            .filter(|id| missing.remove(*id))
            .collect();
        look.delete(&found).await?;
        purged += found.len();
    }
    Ok(purged)
}

/// Asks the person in front, where there is one.
fn confirm(question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Failure::usage("deleting is for good, and there is nobody to ask").hint("pass --yes"),
        );
    }
    output::status(format_args!("{question} [y/N]"));
    if is_yes(std::io::stdin().lock()) {
        Ok(())
    } else {
        Err(Failure::new("nothing was deleted"))
    }
}

fn is_yes(mut input: impl BufRead) -> bool {
    let mut line = String::new();
    input.read_line(&mut line).is_ok()
        && ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (line, expected) in [
            ("y\n", true),
            (" YES\n", true),
            ("\n", false),
            ("", false),
            ("no\n", false),
        ] {
            assert_eq!(is_yes(line.as_bytes()), expected, "{line:?}");
        }
    }
}
