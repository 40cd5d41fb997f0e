//! `hermes token revoke`: ends a user's tokens in a room, and the sockets that were opened with them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::{StreamExt as _, stream};
use hermes::issue;
use hermes::partition::Partition;
use hermes::ports::{Connections, Member, PortError, Sockets};
use hermes::time::{Clock, SystemClock};
use hermes::{ConnectionId, RoomId, UserId};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, quoted};
use crate::settings::Settings;

/// How many sockets are closed at the same time.
const CONCURRENCY: usize = 16;

/// How many of the user's connections are read at once.
const PAGE: NonZeroUsize = NonZeroUsize::new(100).expect("not zero");

/// How long a handshake may take that was let in just before the table was changed: until then its
/// row is not yet written, or its socket not yet open, which looks like a closed one.
const HANDSHAKE: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  hermes token revoke --user alice --room demo

Revoking ends tokens, not rights: whoever issues a new token admits the user again.
Closing looks twice, two seconds apart, for handshakes that were under way.";

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
        let Self { user, room, json } = self;
        // All settings first: a revocation that stops halfway would be mistaken for a whole one.
        let credentials = settings.credentials().await?;
        let connections = settings.connections().await?;
        let sockets = settings.sockets().await?;
        // The user's own would do, had the room always had as many partitions as now.
        let partitions: Vec<_> = settings.sharding().await?.partitions(&room).collect();

        let revoked = issue::revoke(&credentials, &user, &room).await?;
        let closing = close_all(&connections, &sockets, &SystemClock, &user, &partitions)
            .await
            .map_err(|error| {
                Failure::new(format!(
                    "the tokens are revoked, but {}",
                    Failure::from(error)
                ))
            })?;

        let failed = closing.failed.len();
        if json {
            output::json(&Document {
                revoked,
                closed: closing.closed.len(),
                failed,
            })?;
        } else {
            let closed = count(closing.closed.len(), "socket");
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
        if let Some(reason) = closing.failed.values().next() {
            return Err(Failure::new(format!(
                "{} could not be closed: {reason}",
                count(failed, "socket")
            ))
            .hint(format!(
                "the tokens are revoked; close the rest with `hermes token revoke --user {} --room {}` once more",
                quoted(user.as_str()),
                quoted(room.as_str())
            )));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// What came of closing a user's sockets.
#[derive(Debug, Default)]
struct Closing {
    closed: BTreeSet<ConnectionId>,
    failed: BTreeMap<ConnectionId, Failure>,
}

async fn close_all(
    connections: &impl Connections,
    sockets: &impl Sockets,
    clock: &impl Clock,
    user: &UserId,
    partitions: &[Partition],
) -> Result<Closing, PortError> {
    let mut closing = Closing::default();
    for round in 0..2 {
        if round > 0 {
            tokio::time::sleep(HANDSHAKE).await;
        }
        for partition in partitions {
            let mut page = None;
            loop {
                let members = connections
                    .members(partition, Some(user), page.as_ref(), PAGE, clock.now())
                    .await?;
                closing.close(sockets, members.members).await;
                page = members.next;
                if page.is_none() {
                    break;
                }
            }
        }
    }
    Ok(closing)
}

impl Closing {
    async fn close(&mut self, sockets: &impl Sockets, members: Vec<Member>) {
        let mut closes = stream::iter(members)
            .map(|member| async move {
                let result = sockets.close(&member.connection).await;
                (member.connection, result)
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((connection, result)) = closes.next().await {
            match result {
                Ok(()) => {
                    self.failed.remove(&connection);
                    self.closed.insert(connection);
                }
                Err(error) => {
                    self.failed.insert(connection, error.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hermes::memory::{ManualClock, MemoryConnections, MemorySockets};
    use hermes::time::Timestamp;

    #[tokio::test]
    async fn only_the_users_sockets_in_the_room_are_closed() {
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let (connections, sockets) = (MemoryConnections::default(), MemorySockets::default());
        let mut all = Vec::new();
        for (user, room) in [
            ("alice", "demo"),
            ("alice", "demo"),
            ("alice", "other"),
            ("bob", "demo"),
        ] {
            let connection: ConnectionId = format!("c{}", all.len()).parse().unwrap();
            let member = Member {
                user: user.parse().unwrap(),
                connection: connection.clone(),
                connected_at: clock.now(),
            };
            connections
                .join(&Partition::from(room.parse::<RoomId>().unwrap()), &member)
                .await
                .unwrap();
            sockets.open(&connection);
            all.push(connection);
        }
        let closing = close_all(
            &connections,
            &sockets,
            &clock,
            &"alice".parse().unwrap(),
            &[Partition::from("demo".parse::<RoomId>().unwrap())],
        )
        .await
        .unwrap();
        assert_eq!(closing.closed.len(), 2);
        assert!(closing.failed.is_empty());
        let open: Vec<_> = all.iter().map(|one| sockets.is_open(one)).collect();
        assert_eq!(open, [false, false, true, true]);
    }

    #[test]
    fn one_socket_is_not_two() {
        assert_eq!(count(1, "socket"), "1 socket");
        assert_eq!(count(0, "socket"), "0 sockets");
    }
}
