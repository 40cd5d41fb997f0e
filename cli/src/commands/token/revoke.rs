//! `hermes token revoke`: ends a user's tokens in a room, and the sockets that were opened with them.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hermes::closing::{Closed, Reason, close_all};
use hermes::issue;
use hermes::time::SystemClock;
use hermes::{RoomId, UserId};
use serde::Serialize;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::output::{self, quoted};
use crate::settings::Settings;
use crate::table::count;

const EXAMPLES: &str = "\
Examples:
  hermes token revoke --user alice --room demo

Revoking ends tokens, not rights: whoever issues a new token admits the user again.
Closing looks twice, two seconds apart, for handshakes that were under way.";

/// How long closing a user's sockets may take: some thousands can be closed in it.
const CLOSING_MAX: Duration = Duration::from_secs(300);

/// Revoke every token of a user in a room, and close the user's sockets there
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Revoke {
    /// Whose tokens
    #[arg(long, value_name = "USER")]
    user: UserId,

    /// In which room
    #[arg(long, value_name = "ROOM")]
    room: RoomId,

    /// What the clients are told whose sockets are closed, at most 256 bytes
    #[arg(long, value_name = "TEXT", default_value = Reason::DEFAULT)]
    reason: Reason,

    /// Print `{revoked, closed, failed}`: whether there was a token, and how many sockets
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document {
    revoked: bool,
    closed: usize,
    failed: usize,
}

impl Revoke {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let Self {
            user,
            room,
            reason,
            json,
        } = self;
        // All settings first: a revocation that stops halfway would be mistaken for a whole one.
        let credentials = settings.credentials().await?;
        let connections = settings.connections().await?;
        let sockets = settings.sockets().await?;
        // The user's own would do, had the room always had as many partitions as now.
        let partitions: Vec<_> = settings.sharding().await?.partitions(&room).collect();

        let revoked = issue::revoke(&credentials, &user, &room).await?;
        let Closed { closed, failed } = close_all(
            &connections,
            &sockets,
            &SystemClock,
            &user,
            &partitions,
            reason.as_str(),
            Instant::now() + CLOSING_MAX,
        )
        .await
        .map_err(|error| {
            Failure::new(format!(
                "the tokens are revoked, but {}",
                Failure::from(error)
            ))
        })?;

        if json {
            output::json(&Document {
                revoked,
                closed,
                failed: failed.len(),
            })?;
        } else {
            let closed = count(closed, "socket");
            if revoked {
                output::line(format_args!(
                    "revoked the tokens of {user} in {room}; closed {closed}"
                ))?;
            } else {
                output::line(format_args!(
                    "{user} had no token in {room} to revoke; closed {closed}"
                ))?;
            }
        }
        let left = count(failed.len(), "socket");
        if let Some(error) = failed.into_iter().next() {
            let reason = Failure::from(error);
            return Err(Failure::new(format!("{left} could not be closed: {reason}"))
            .hint(format!(
                "the tokens are revoked; close the rest with `hermes token revoke --user {} --room {}` once more",
                quoted(user.as_str()),
                quoted(room.as_str())
            )));
        }
        Ok(ExitCode::SUCCESS)
    }
}
