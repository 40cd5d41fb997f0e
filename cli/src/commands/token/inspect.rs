//! `hermes token inspect`: why would this token be refused?

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hermes::ports::Credentials as _;
use hermes::secret::Secret;
use hermes::time::{Clock as _, SystemClock};
use hermes::{RoomId, Timestamp, UserId};
use owo_colors::OwoColorize as _;
use serde_json::json;

use super::checklist::{Checklist, Outcome};
use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;
use crate::tokens::Unverified;

const EXAMPLES: &str = "\
Examples:
  hermes token inspect eyJhbGciOi…
  hermes token issue --user alice --room demo | hermes token inspect

The checks are the authorizer's, in its order; the first that fails decides. Exit code 1: it would
be refused. Neither the inner token nor a secret is ever shown.";

/// Say why a token would be refused, or that it would not
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// The JWT; `-` reads it from standard input
    #[arg(env = "HERMES_TOKEN", hide_env_values = true, default_value = "-")]
    token: String,

    /// Print `{accepted, status, says, checks, advice}`
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let token = Secret::new(match self.token.as_str() {
            "-" | "" => read_token()?,
            token => token.trim().to_owned(),
        });
        let mut checklist = Checklist::default();
        let unverified = Unverified::parse(token.expose());
        // Also where a later step cannot be taken, what is known is shown first.
        let complete = examine(&mut checklist, &token, &unverified, settings).await;
        let said = unverified.as_ref().ok().map(Said::from);
        if self.json {
            print_json(&checklist, said.as_ref())?;
        } else {
            print(&checklist, said.as_ref())?;
        }
        complete?;
        Ok(match checklist.status() {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        })
    }
}

fn read_token() -> Result<String, Failure> {
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        output::status("paste the token, then Enter and Ctrl-D:");
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
    Ok(text.trim().to_owned())
}

/// Goes as far as the authorizer would: what fails before the signature needs no secret, and what
/// fails before the row no table.
async fn examine(
    checklist: &mut Checklist,
    token: &Secret,
    unverified: &Result<Unverified, String>,
    settings: &Settings,
) -> Result<(), Failure> {
    if !checklist.look_at(unverified) {
        return Ok(());
    }
    let verifier = settings.verifier().await?;
    let Some(claims) = checklist.verify(&verifier, token, SystemClock.now()) else {
        return Ok(());
    };
    let row = settings
        .credentials()
        .await?
        .find(&claims.user, &claims.room)
        .await?;
    checklist.compare(&claims, row);
    Ok(())
}

/// What the token says of itself.
struct Said {
    user: Option<UserId>,
    room: Option<RoomId>,
    expires_at: Option<Timestamp>,
}

impl From<&Unverified> for Said {
    fn from(unverified: &Unverified) -> Self {
        Self {
            user: unverified.id("user_id"),
            room: unverified.id("room_id"),
            expires_at: unverified.id("exp").map(Timestamp::from_secs),
        }
    }
}

fn print_json(checklist: &Checklist, said: Option<&Said>) -> Result<(), Failure> {
    let checks: Vec<_> = checklist
        .iter()
        .map(|(step, check)| json!({"check": step, "outcome": check.outcome, "detail": check.detail}))
        .collect();
    let says = said.map(
        |said| json!({"user_id": said.user, "room_id": said.room, "expires_at": said.expires_at}),
    );
    output::json(&json!({
        "accepted": checklist.is_complete() && checklist.status().is_none(),
        "status": checklist.status(),
        "says": says,
        "checks": checks,
        "advice": checklist.advice(),
    }))
}

fn print(checklist: &Checklist, said: Option<&Said>) -> Result<(), Failure> {
    if let Some(said) = said {
        let shown = |text: Option<String>| text.unwrap_or_else(|| "(none)".to_owned());
        output::line(format_args!(
            "user {}, room {}, expires {}",
            shown(said.user.as_ref().map(ToString::to_string)).bold(),
            shown(said.room.as_ref().map(ToString::to_string)).bold(),
            said.expires_at
                .map_or_else(|| "(never)".to_owned(), |at| expiry(at, SystemClock.now())),
        ))?;
    }
    let mut not_reached = Vec::new();
    for (step, check) in checklist.iter() {
        let detail = &check.detail;
        match check.outcome {
            Outcome::Passed => {
                output::line(format_args!("  {} {step:<10} {detail}", "✓".green()))?;
            }
            Outcome::Failed => output::line(format_args!(
                "  {} {step:<10} {}",
                "✗".red().bold(),
                detail.red()
            ))?,
            Outcome::NotReached => not_reached.push(step.to_string()),
        }
    }
    if !not_reached.is_empty() {
        let text = format!("· not reached: {}", not_reached.join(", "));
        output::line(format_args!("  {}", text.dimmed()))?;
    }
    match checklist.status() {
        Some(status) => output::line(format_args!("{} with {status}", "refused".red().bold()))?,
        None if checklist.is_complete() => output::line("accepted".green().bold())?,
        None => {}
    }
    if let Some(advice) = checklist.advice() {
        output::line(format_args!("  {advice}"))?;
    }
    Ok(())
}

/// A time and how far it is from now, in whole seconds.
pub(super) fn expiry(at: Timestamp, now: Timestamp) -> String {
    let seconds = |span: Duration| humantime::format_duration(Duration::from_secs(span.as_secs()));
    if at >= now {
        format!("{at} (in {})", seconds(at.since(now)))
    } else {
        format!("{at} ({} ago)", seconds(now.since(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_says_how_far_it_is() {
        let now = Timestamp::from_secs(1_795_300_000);
        assert_eq!(
            expiry(Timestamp::from_secs(1_795_303_661), now),
            "2026-11-21T23:27:41.000Z (in 1h 1m 1s)"
        );
        assert_eq!(
            expiry(Timestamp::from_secs(1_795_299_940), now),
            "2026-11-21T22:25:40.000Z (1m ago)"
        );
    }
}
