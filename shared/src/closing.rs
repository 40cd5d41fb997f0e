//! Closing sockets: first a frame that says why, then the end.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::time::{Instant, sleep, timeout_at};

use crate::frame;
use crate::id::{ConnectionId, UserId};
use crate::partition::Partition;
use crate::ports::{Connections, Member, PortError, Sockets};
use crate::time::Clock;

/// How many sockets are closed at the same time.
const CONCURRENCY: usize = 16;

/// How many of a user's connections are read at once.
const PAGE: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");

/// How many rows are read at once where one connection is looked for.
const SEARCH: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");

/// How long a handshake may take that was let in just before a token was revoked: until then its row is
/// not yet written, or its socket not yet open, which looks like a closed one.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// The longest [`Reason`], in bytes.
const REASON_MAX_BYTES: usize = 256;

/// What a client is told when its socket is closed: at most 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// What is said where nothing is given.
    pub const DEFAULT: &str = "closed by the server";

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Reason {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for Reason {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > REASON_MAX_BYTES {
            return Err("must have at most 256 bytes");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Looks for a connection (of `user`, where given: then not the whole room is read).
///
/// # Errors
///
/// [`PortError`] where the room could not be read.
pub async fn find(
    connections: &impl Connections,
    clock: &impl Clock,
    partitions: impl IntoIterator<Item = Partition>,
    user: Option<&UserId>,
    connection: &ConnectionId,
) -> Result<Option<(Partition, Member)>, PortError> {
    for partition in partitions {
        let mut page = None;
        loop {
            let read = connections
                .members(&partition, user, page.as_ref(), SEARCH, clock.now())
                .await?;
            let found = read
                .members
                .into_iter()
                .find(|m| m.connection == *connection);
            if let Some(member) = found {
                return Ok(Some((partition, member)));
            }
            page = read.next;
            if page.is_none() {
                break;
            }
        }
    }
    Ok(None)
}

/// Tells a connection why, and closes it. Closing one that is closed is no error.
///
/// # Errors
///
/// [`PortError`] where it could not be closed. That it could not be told does not keep it open.
pub async fn close(
    sockets: &impl Sockets,
    connection: &ConnectionId,
    reason: &str,
) -> Result<(), PortError> {
    let _ = sockets.post(connection, &frame::closing(reason)).await;
    sockets.close(connection).await
}

/// What came of closing a user's sockets.
#[derive(Debug, Default)]
pub struct Closed {
    /// So many were closed.
    pub closed: usize,
    /// Why each of the others could not be.
    pub failed: Vec<PortError>,
}

/// Closes every socket of a user in a room, also those whose handshake is under way. At `deadline` it leaves off;
/// what is open then counts as failed.
///
/// # Errors
///
/// [`PortError`] where the room could not be read.
pub async fn close_all(
    connections: &impl Connections,
    sockets: &impl Sockets,
    clock: &impl Clock,
    user: &UserId,
    partitions: &[Partition],
    reason: &str,
    deadline: Instant,
) -> Result<Closed, PortError> {
    let mut outcomes = std::collections::BTreeMap::new();
    for round in 0..2 {
        if round > 0 {
            let _ = timeout_at(deadline, sleep(HANDSHAKE)).await;
        }
        for partition in partitions {
            let mut page = None;
            loop {
                let members = connections
                    .members(partition, Some(user), page.as_ref(), PAGE, clock.now())
                    .await?;
                let closes = members.members.into_iter().map(|member| async move {
                    let late = || PortError::new("closing the connection", "no time was left");
                    let closed = if Instant::now() < deadline {
                        let closing = close(sockets, &member.connection, reason);
                        timeout_at(deadline, closing)
                            .await
                            .unwrap_or_else(|_| Err(late()))
                    } else {
                        Err(late())
                    };
                    (member.connection, closed)
                });
                let mut closes = stream::iter(closes).buffer_unordered(CONCURRENCY);
                while let Some((connection, closed)) = closes.next().await {
                    outcomes.insert(connection, closed);
                }
                page = members.next;
                if page.is_none() {
                    break;
                }
            }
        }
    }
    let mut closed = Closed::default();
    for outcome in outcomes.into_values() {
        match outcome {
            Ok(()) => closed.closed += 1,
            Err(error) => closed.failed.push(error),
        }
    }
    Ok(closed)
}
