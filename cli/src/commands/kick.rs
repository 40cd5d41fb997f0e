//! `hermes kick`: closes sockets, after it has told them why.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hermes::aws::{ApiGatewaySockets, DynamoConnections};
use hermes::closing::{self, Reason};
use hermes::partition::Partition;
use hermes::ports::{Connections as _, Member};
use hermes::time::{Clock as _, SystemClock};
use hermes::{ConnectionId, RoomId, UserId};
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

/// How long the row of a closed socket may stay: API Gateway tells `disconnect` at once. Where the socket
/// was gone before, nobody is told.
const DISCONNECTING: Duration = Duration::from_secs(5);

/// How often it is looked whether a row is gone.
const GLANCE: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
Examples:
  hermes kick demo --user alice --reason 'maintenance until 10:00'
  hermes kick demo --connection 'L0SM9cOFvHcCIhw='

The client is sent {\"system\":\"closing\",\"data\":{\"reason\":…}}, then its socket is closed, and its row is
gone when the command ends. Its token stays good, and a client connects again by itself: to keep a
user out, revoke the tokens (`hermes token revoke`). The server API does the same
(DELETE /rooms/{room}/members/{connection}). Exit code 1 where there is nothing to close.";

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

    /// Print `{closed}`: how many sockets
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document {
    closed: usize,
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
        if closed == 0 {
            let name = quoted(self.room.as_str());
            return Err(
                Failure::new(format!("{whom} is not in the room {}", self.room))
                    .hint(format!("`hermes members {name}` shows who is")),
            );
        }
        if self.json {
            output::json(&Document { closed })?;
        } else {
            let closed = count(closed, "socket");
            output::line(format_args!("closed {closed} in {}: {whom}", self.room))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A user's connections, each with the partition that its row is in.
type Rows = BTreeMap<ConnectionId, Partition>;

/// A room with what its sockets are closed with.
struct Room {
    connections: DynamoConnections,
    sockets: ApiGatewaySockets,
    partitions: Vec<Partition>,
}

impl Room {
    /// Closes one socket; says how many it was.
    async fn close_one(
        &self,
        connection: &ConnectionId,
        reason: &Reason,
    ) -> Result<usize, Failure> {
        let partitions = self.partitions.iter().cloned();
        let found = closing::find(
            &self.connections,
            &SystemClock,
            partitions,
            None,
            connection,
        )
        .await?;
        let Some((partition, Member { user, .. })) = found else {
            return Ok(0);
        };
        let row = [(connection.clone(), partition)].into();
        self.close(&user, row, reason).await
    }

    /// Closes all sockets of a user; says how many there were.
    async fn close_all(&self, user: &UserId, reason: &Reason) -> Result<usize, Failure> {
        let rows = self.rows(user).await?;
        self.close(user, rows, reason).await
    }

    async fn close(&self, user: &UserId, rows: Rows, reason: &Reason) -> Result<usize, Failure> {
        let closes = stream::iter(rows.keys())
            .map(|connection| closing::close(&self.sockets, connection, reason.as_str()));
        let closes = closes.buffer_unordered(CONCURRENCY);
        closes.try_collect::<()>().await?;
        self.until_gone(user, &rows).await?;
        Ok(rows.len())
    }

    /// The user's connections, each with the partition that its row is in.
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
                let members = read.members.into_iter();
                rows.extend(members.map(|member| (member.connection, partition.clone())));
                page = read.next;
                if page.is_none() {
                    break;
                }
            }
        }
        Ok(rows)
    }

    /// Waits until `disconnect` has removed the rows, and removes those of which nobody told it.
    async fn until_gone(&self, user: &UserId, closed: &Rows) -> Result<(), Failure> {
        let deadline = Instant::now() + DISCONNECTING;
        loop {
            let mut rows = self.rows(user).await?;
            rows.retain(|connection, _| closed.contains_key(connection));
            if rows.is_empty() {
                return Ok(());
            }
            if Instant::now() < deadline {
                sleep(GLANCE).await;
                continue;
            }
            for (connection, partition) in &rows {
                self.connections.leave(partition, user, connection).await?;
            }
            let rows = count(rows.len(), "row");
            output::status(format_args!(
                "removed {rows} of sockets that were gone before"
            ));
            return Ok(());
        }
    }
}
