//! `hermes doctor`: is a deployed stack well, from end to end?

mod alarms;
mod check;
mod functions;
mod queues;
mod round_trip;
mod secrets;
mod stack;
mod tables;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;
use crate::signed::Signed;
use crate::table::count;

use check::{Check, Outcome};

/// Nothing is broken, but somebody should look.
const WARNED: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  hermes doctor --stack hermes-prod
  hermes doctor --no-round-trip            # reads only
  hermes doctor --json | jq '.checks[] | select(.outcome != \"ok\")'

The round trip is a real one: a token for the user hermes-doctor in the room hermes-doctor, a socket, a
message through the queue, and the time until it arrives. Right after a deployment it takes longer, because
every function starts for the first time. What the operator may not look at is a warning.

Exit codes:
  0  everything is well
  1  something does not work (fail), or there is no such stack
  2  wrong arguments, or a setting is missing
  3  it works, but somebody should look (warn)";

/// Check a deployed stack from end to end, and say what to do
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// Send no message, open no socket, write nothing
    #[arg(long)]
    no_round_trip: bool,

    /// How long the message of the round trip may take
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// Print `{stack, outcome, checks: [{check, outcome, says, hint?, ms?}]}`
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    stack: &'a str,
    outcome: Outcome,
    checks: &'a [Check],
}

impl Doctor {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let stack = settings.deployment().await?;
        let sdk = settings.sdk().await?;
        let signed = Signed::new(sdk);
        let mut report = Report {
            json: self.json,
            checks: Vec::new(),
        };
        report.add(stack::check(&stack))?;
        report.add(secrets::check(settings).await)?;
        report.add(tables::check(settings, &stack).await)?;
        report.add(functions::check(&signed, &stack).await)?;
        report.add(functions::triggers(&signed, &stack).await)?;
        report.add(queues::check(settings, &signed).await)?;
        report.add(alarms::check(&signed, &stack).await)?;
        report.add(tables::permissions(settings).await)?;
        if !self.no_round_trip {
            report.add(round_trip::check(settings, self.timeout).await)?;
        }

        let outcome = report.outcome();
        if self.json {
            output::json(&Document {
                stack: &stack.name,
                outcome,
                checks: &report.checks,
            })?;
        }
        output::status(report.summary(&stack.name));
        Ok(match outcome {
            Outcome::Ok => ExitCode::SUCCESS,
            Outcome::Warn => WARNED.into(),
            Outcome::Fail => ExitCode::FAILURE,
        })
    }
}

/// The checks so far, each shown when it was made.
struct Report {
    json: bool,
    checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, checks: Vec<Check>) -> Result<(), Failure> {
        if !self.json {
            checks.iter().try_for_each(Check::print)?;
        }
        self.checks.extend(checks);
        Ok(())
    }

    /// The worst one.
    fn outcome(&self) -> Outcome {
        let outcomes = self.checks.iter().map(|check| check.outcome);
        outcomes.max().unwrap_or(Outcome::Ok)
    }

    fn summary(&self, stack: &str) -> String {
        let of = |outcome| {
            let same = self.checks.iter().filter(|check| check.outcome == outcome);
            same.count()
        };
        let all = count(self.checks.len(), "check");
        match (of(Outcome::Fail), of(Outcome::Warn)) {
            (0, 0) => format!("{stack} is well: {all}"),
            (0, warned) => format!("{stack} works: {all}, {}", count(warned, "warning")),
            (failed, warned) => format!(
                "{stack} does not work: {all}, {failed} failed, {}",
                count(warned, "warning")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_is_the_outcome() {
        let mut report = Report {
            json: true,
            checks: vec![Check::ok("a", "")],
        };
        assert_eq!(report.outcome(), Outcome::Ok);
        assert_eq!(report.summary("s"), "s is well: 1 check");
        report.add(vec![Check::warn("b", "", "")]).unwrap();
        assert_eq!(report.outcome(), Outcome::Warn);
        report
            .add(vec![Check::fail("c", "", ""), Check::ok("d", "")])
            .unwrap();
        assert_eq!(report.outcome(), Outcome::Fail);
        assert_eq!(
            report.summary("s"),
            "s does not work: 4 checks, 1 failed, 1 warning"
        );
    }

    #[test]
    fn what_may_not_be_looked_at_is_a_warning() {
        let error = |code: &str| {
            let error = aws_smithy_types::error::ErrorMetadata::builder();
            let error = error.code(code).message("no").build();
            Check::failed("tables", Failure::aws("reading", &error)).outcome
        };
        assert_eq!(error("AccessDeniedException"), Outcome::Warn);
        assert_eq!(error("ResourceNotFoundException"), Outcome::Fail);
    }
}
