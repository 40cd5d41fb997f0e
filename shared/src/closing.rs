//! Closing sockets: first a frame that says why, then the end.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::time::{Instant, sleep, timeout_at};

use crate::frame;
use crate::id::{ConnectionId, UserId};
use crate::partition::Partition;
use crate::ports::{Connections, PortError, Sockets};
use crate::time::Clock;

/// How many sockets are closed at the same time.
const CONCURRENCY: usize = 16;

/// How many of a user's connections are read at once.
const PAGE: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");

/// How long a handshake may take that was let in just before a token was revoked: until then its row is
/// not yet written, or its socket not yet open, which looks like a closed one.
const HANDSHAKE: Duration = Duration::from_secs(2);

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
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Closed {
    /// So many were closed.
    pub closed: usize,
    /// So many may be open still.
    pub failed: usize,
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
                    let is_closed = Instant::now() < deadline
                        && timeout_at(deadline, close(sockets, &member.connection, reason))
                            .await
                            .is_ok_and(|closed| closed.is_ok());
                    (member.connection, is_closed)
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
    let closed = outcomes.values().filter(|closed| **closed).count();
    Ok(Closed {
        closed,
        failed: outcomes.len() - closed,
    })
}
