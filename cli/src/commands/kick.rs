//! `hermes kick`: closes sockets, after it has told them why.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::{StreamExt as _, stream};
use hermes::aws::{ApiGatewaySockets, DynamoConnections};
use hermes::closing::{self, Reason};
use hermes::fanout::OPENING_GRACE;
use hermes::partition::Partition;
use hermes::ports::{Connections as _, Member, PortError};
use hermes::time::{Clock as _, SystemClock};
use hermes::{ConnectionId, RoomId, Timestamp, UserId};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;
use crate::output::{self, one_line, quoted};
use crate::settings::Settings;
use crate::table::count;

/// How many sockets are closed at the same time.
const CONCURRENCY: usize = 16;

/// How many of a user's connections are read at once.
const PAGE: NonZeroUsize = NonZeroUsize::new(100).expect("not zero");

/// How long the row of a closed socket may stay: API Gateway tells `disconnect` at once, which may have to
/// start, and a handshake that is under way ends. Where the socket was gone before, nobody is told.
const DISCONNECTING: Duration = Duration::from_secs(10);

/// How often it is looked whether a row is gone.
const GLANCE: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
Examples:
  hermes kick demo --user alice --reason 'maintenance until 10:00'
  hermes kick demo --connection 'L0SM9cOFvHcCIhw='

The client is sent {\"system\":\"closing\",\"data\":{\"reason\":…}}, then its socket is closed, and its row is
gone when the command ends. Its token stays good, and a client connects again by itself: to keep a
user out, revoke the tokens (`hermes token revoke`). The server API does the same
(DELETE /rooms/{room}/members/{connection}). Exit code 1 where there is nothing to close, or where a socket
could not be closed.";

/// Close sockets of a room, telling their clients why
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Kick {
    /// The room
    #[arg(value_name = "ROOM")]
    room: RoomId,

    /// Close every socket that this user has in the room now
    #[arg(long, value_name = "USER", required_unless_present = "connection")]
    user: Option<UserId>,

    /// Close this one, as `hermes members` shows it
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    connection: Option<ConnectionId>,

    /// What the client is told, at most 256 bytes
    #[arg(long, value_name = "TEXT", default_value = Reason::DEFAULT)]
    reason: Reason,

    /// Print `{closed, failed}`: how many sockets
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document {
    closed: usize,
    failed: usize,
}

impl Kick {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let room = Room {
            connections: settings.connections().await?,
            sockets: settings.sockets().await?,
            partitions: settings.sharding().await?.partitions(&self.room).collect(),
        };
        let (whom, closed) = match (&self.connection, &self.user) {
            (None, Some(user)) => (
                one_line(user.as_str()),
                room.close_all(user, &self.reason).await?,
            ),
            (Some(connection), _) => (
                format!("the connection {connection}"),
                room.close_one(connection, &self.reason).await?,
            ),
            // clap asks for one of them.
            (None, None) => return Err(Failure::usage("--user or --connection is missing")),
        };
        let Closed { closed, failed } = closed;
        let all = closed + failed.len();
        let name = quoted(self.room.as_str());
        if all == 0 {
            return Err(
                Failure::new(format!("{whom} is not in the room {}", self.room))
                    .hint(format!("`hermes members {name}` shows who is")),
            );
        }
        if self.json {
            let failed = failed.len();
            output::json(&Document { closed, failed })?;
        } else if failed.is_empty() {
            let closed = count(closed, "socket");
            output::line(format_args!("closed {closed} in {}: {whom}", self.room))?;
        }
        match failed.into_values().next() {
            None => Ok(ExitCode::SUCCESS),
            Some(first) => {
                let (why, hint) = Failure::from(first).into_parts();
                let again =
                    || format!("`hermes members {name}` shows who is left; once more, in a minute");
                let of = count(all, "socket");
                Err(Failure::new(format!("closed {closed} of {of}: {why}"))
                    .hint(hint.unwrap_or_else(again)))
            }
        }
    }
}

/// A user's connections.
type Rows = BTreeMap<ConnectionId, Row>;

struct Row {
    partition: Partition,
    connected_at: Timestamp,
}

impl Row {
    fn new(partition: &Partition, member: &Member) -> Self {
        Self {
            partition: partition.clone(),
            connected_at: member.connected_at,
        }
    }

    /// Whether its handshake may be under way: until that has ended, a socket answers like a closed one.
    fn is_opening(&self) -> bool {
        SystemClock.now().since(self.connected_at) <= OPENING_GRACE
    }
}

/// Why sockets could not be closed.
type Failed = BTreeMap<ConnectionId, PortError>;

/// What came of closing sockets.
#[derive(Default)]
struct Closed {
    closed: usize,
    failed: Failed,
}

/// A room with what its sockets are closed with.
struct Room {
    connections: DynamoConnections,
    sockets: ApiGatewaySockets,
    partitions: Vec<Partition>,
}

impl Room {
    /// Closes one socket, if it is there.
    async fn close_one(
        &self,
        connection: &ConnectionId,
        reason: &Reason,
    ) -> Result<Closed, Failure> {
        let partitions = self.partitions.iter().cloned();
        let found = closing::find(
            &self.connections,
            &SystemClock,
            partitions,
            None,
            connection,
        )
        .await?;
        let Some((partition, member)) = found else {
            return Ok(Closed::default());
        };
        let row = Row::new(&partition, &member);
        let rows = [(connection.clone(), row)].into();
        self.close(&member.user, rows, reason).await
    }

    /// Closes all sockets of a user.
    async fn close_all(&self, user: &UserId, reason: &Reason) -> Result<Closed, Failure> {
        let rows = self.rows(user).await?;
        self.close(user, rows, reason).await
    }

    async fn close(&self, user: &UserId, rows: Rows, reason: &Reason) -> Result<Closed, Failure> {
        let mut failed = self.attempt(rows.keys(), reason).await;
        self.until_gone(user, &rows, reason, &mut failed).await?;
        Ok(Closed {
            closed: rows.len() - failed.len(),
            failed,
        })
    }

    /// Closes these, each whatever becomes of the others.
    async fn attempt(
        &self,
        connections: impl Iterator<Item = &ConnectionId>,
        reason: &Reason,
    ) -> Failed {
        let closes = stream::iter(connections).map(async |connection| {
            let closed = closing::close(&self.sockets, connection, reason.as_str()).await;
            Some((connection.clone(), closed.err()?))
        });
        let closes = closes.buffer_unordered(CONCURRENCY);
        closes.filter_map(std::future::ready).collect().await
    }

    /// The user's connections.
    async fn rows(&self, user: &UserId) -> Result<Rows, Failure> {
        let mut rows = Rows::new();
        for partition in &self.partitions {
            let mut page = None;
            loop {
                let (only, now) = (Some(user), SystemClock.now());
                let read = self
                    .connections
                    .members(partition, only, page.as_ref(), PAGE, now)
                    .await?;
                rows.extend(read.members.into_iter().map(|member| {
                    let row = Row::new(partition, &member);
                    (member.connection, row)
                }));
                page = read.next;
                if page.is_none() {
                    break;
                }
            }
        }
        Ok(rows)
    }

    /// Waits until `disconnect` has removed the rows, closing once more what may only now be open, and
    /// removes those of which nobody told it.
    async fn until_gone(
        &self,
        user: &UserId,
        closed: &Rows,
        reason: &Reason,
        failed: &mut Failed,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + DISCONNECTING;
        loop {
            let mut rows = self.rows(user).await?;
            rows.retain(|connection, _| {
                closed.contains_key(connection) && !failed.contains_key(connection)
            });
            if rows.is_empty() {
                return Ok(());
            }
            if Instant::now() < deadline {
                sleep(GLANCE).await;
                let opening = rows.iter().filter(|(_, row)| row.is_opening());
                let opening = opening.map(|(connection, _)| connection);
                failed.extend(self.attempt(opening, reason).await);
                continue;
            }
            let mut removed = 0;
            for (connection, row) in rows {
                let left = if row.is_opening() {
                    let why = "its handshake may be under way";
                    Err(PortError::new("closing the connection", why))
                } else {
                    self.connections
                        .leave(&row.partition, user, &connection)
                        .await
                };
                match left {
                    Ok(()) => removed += 1,
                    Err(error) => _ = failed.insert(connection, error),
                }
            }
            if removed > 0 {
                let rows = count(removed, "row");
                output::status(format_args!(
                    "removed {rows} of sockets that were gone before"
                ));
            }
            return Ok(());
        }
    }
}
