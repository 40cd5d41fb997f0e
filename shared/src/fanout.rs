//! Delivery: one message to every connection of its room.

use std::num::NonZeroUsize;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::{StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::frame::Refusal;
use crate::message::Message;
use crate::ports::{Connections, Member, PortError, Posted, Sockets};
use crate::telemetry::{Metric, emit, error_chain};
use crate::time::Clock;

/// How long a connection may answer 410 before it counts as closed. `$connect` writes the row before
/// API Gateway opens the socket, and until then a post answers 410 too.
pub const OPENING_GRACE: Duration = Duration::from_secs(60);

/// How a failed post is tried again: throttling and server errors pass, most within a second. Four
/// more attempts in about 1.5 s, within the time that the invocation has left.
fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_factor(2.5)
        .with_max_times(4)
        .with_jitter()
}

/// Delivers messages to the members of their rooms.
pub struct Fanout<C, S, K> {
    connections: C,
    sockets: S,
    clock: K,
    concurrency: NonZeroUsize,
    posting: Semaphore,
}

/// What became of the connections of a room: each is in exactly one of the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// API Gateway took the notification.
    pub delivered: usize,
    /// The connection was closed, or not open yet.
    pub gone: usize,
    /// Tried, and failed with what a retry could not mend in time.
    pub failed: usize,
    /// Not tried: time ran out.
    pub untried: usize,
}

/// Why a message was not delivered to anybody.
#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    /// It never can be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The room could not be read.
    #[error(transparent)]
    Unreadable(#[from] PortError),
}

#[derive(Clone, Copy)]
enum Fate {
    Delivered,
    Gone,
    Failed,
    Untried,
}

impl<C: Connections, S: Sockets, K: Clock> Fanout<C, S, K> {
    /// A fan-out that has at most `concurrency` posts under way, however many messages it delivers
    /// at once.
    pub fn new(connections: C, sockets: S, clock: K, concurrency: NonZeroUsize) -> Self {
        Self {
            connections,
            sockets,
            clock,
            concurrency,
            posting: Semaphore::new(concurrency.get()),
        }
    }

    /// Delivers `message` to every connection that is in its room (of the one user, if it has `to`).
    /// One connection's failure never stops the others. Nothing is begun after `deadline`.
    ///
    /// # Errors
    ///
    /// [`FanoutError`]: nobody was posted to.
    pub async fn deliver(
        &self,
        message: &Message,
        deadline: Instant,
    ) -> Result<Delivery, FanoutError> {
        let frame = message.to_notification()?;
        let members = self.members(message).await?;
        let fates =
            stream::iter(&members).map(|member| self.post(message, member, &frame, deadline));
        let delivery = fates.buffer_unordered(self.concurrency.get()).fold(
            Delivery::default(),
            |mut sum, fate| {
                match fate {
                    Fate::Delivered => sum.delivered += 1,
                    Fate::Gone => sum.gone += 1,
                    Fate::Failed => sum.failed += 1,
                    Fate::Untried => sum.untried += 1,
                }
                std::future::ready(sum)
            },
        );
        let delivery = delivery.await;
        self.report(message, delivery);
        Ok(delivery)
    }

    async fn members(&self, message: &Message) -> Result<Vec<Member>, PortError> {
        let mut members = Vec::new();
        let mut page = None;
        loop {
            let part = self
                .connections
                .members(
                    &message.room,
                    message.to.as_ref(),
                    page.as_ref(),
                    self.clock.now(),
                )
                .await?;
            members.extend(part.members);
            match part.next {
                Some(next) => page = Some(next),
                None => return Ok(members),
            }
        }
    }

    async fn post(
        &self,
        message: &Message,
        member: &Member,
        frame: &str,
        deadline: Instant,
    ) -> Fate {
        let Ok(Ok(_permit)) = timeout_at(deadline, self.posting.acquire()).await else {
            return Fate::Untried;
        };
        if Instant::now() >= deadline {
            return Fate::Untried;
        }
        let attempt = || self.sockets.post(&member.connection, frame);
        match timeout_at(
            deadline,
            attempt.retry(backoff()).when(|error| error.retryable),
        )
        .await
        {
            Ok(Ok(Posted::Delivered)) => Fate::Delivered,
            Ok(Ok(Posted::Gone)) => {
                self.forget_if_closed(message, member).await;
                Fate::Gone
            }
            Ok(Err(error)) => {
                warn!(connection_id = %member.connection, error = error_chain(&error), "could not post to {}", member.connection);
                Fate::Failed
            }
            Err(_elapsed) => {
                warn!(connection_id = %member.connection, "no time left to post to {}", member.connection);
                Fate::Failed
            }
        }
    }

    async fn forget_if_closed(&self, message: &Message, member: &Member) {
        if self.clock.now().since(member.connected_at) <= OPENING_GRACE {
            return;
        }
        if let Err(error) = self
            .connections
            .leave(&message.room, &member.user, &member.connection)
            .await
        {
            // The row's TTL removes it in the end; until then it costs one post per message.
            warn!(connection_id = %member.connection, error = error_chain(&error), "could not remove {}", member.connection);
        }
    }

    fn report(&self, message: &Message, delivery: Delivery) {
        let latency = self.clock.now().since(message.sent_at);
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let Delivery {
            delivered,
            gone,
            failed,
            untried,
        } = delivery;
        info!(room_id = %message.room, message_id = %message.id, delivered, gone, failed, untried, latency_ms, "delivered {}", message.id);
        let mut values = vec![
            (Metric::Accepted, 1),
            (Metric::Delivered, delivered as u64),
            (Metric::Gone, gone as u64),
            (Metric::Failed, (failed + untried) as u64),
        ];
        if delivered > 0 {
            values.push((Metric::DeliveryLatency, latency_ms));
        }
        emit(&values);
    }
}
