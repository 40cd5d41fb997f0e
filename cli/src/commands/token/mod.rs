//! `hermes token`: the tokens that clients connect with.

mod checklist;
mod inspect;
mod issue;
mod revoke;

use clap::Subcommand;

pub(crate) use inspect::Inspect;
pub(crate) use issue::Issue;
pub(crate) use revoke::Revoke;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    Issue(Issue),
    Revoke(Revoke),
    Inspect(Inspect),
}
