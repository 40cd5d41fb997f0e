//! What a check found.

use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, one_line};

/// How well it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    /// It works, but somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

/// A check that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) check: &'static str,
    pub(super) outcome: Outcome,
    /// What was found.
    pub(super) says: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
    /// How long it took, where that is the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ms: Option<u64>,
}

impl Check {
    fn new(check: &'static str, outcome: Outcome, says: impl Into<String>) -> Self {
        Self {
            check,
            outcome,
            says: says.into(),
            hint: None,
            ms: None,
        }
    }

    pub(super) fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self::new(check, Outcome::Ok, says)
    }

    pub(super) fn warn(
        check: &'static str,
        says: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            hint: Some(hint.into()),
            ..Self::new(check, Outcome::Warn, says)
        }
    }

    pub(super) fn fail(
        check: &'static str,
        says: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            hint: Some(hint.into()),
            ..Self::new(check, Outcome::Fail, says)
        }
    }

    /// A call failed. Where the operator may not make it, that says nothing of the stack.
    pub(super) fn failed(check: &'static str, failure: Failure) -> Self {
        let outcome = if failure.is_denied() {
            Outcome::Warn
        } else {
            Outcome::Fail
        };
        let (says, hint) = failure.into_parts();
        Self {
            hint,
            ..Self::new(check, outcome, says)
        }
    }

    pub(super) fn took(self, ms: u64) -> Self {
        Self {
            ms: Some(ms),
            ..self
        }
    }

    /// Shows it to a person.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let check = format!("{:<12}", self.check);
        let says = one_line(&self.says);
        match self.outcome {
            Outcome::Ok => output::line(format_args!("{}   {check} {says}", "ok".green()))?,
            Outcome::Warn => output::line(format_args!("{} {check} {says}", "warn".yellow()))?,
            Outcome::Fail => output::line(format_args!("{} {check} {says}", "fail".red().bold()))?,
        }
        match &self.hint {
            Some(hint) => output::line(format_args!("     {:<12} → {}", "", one_line(hint))),
            None => Ok(()),
        }
    }
}
