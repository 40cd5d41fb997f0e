//! Delivery: one notification to every connection of its room.
//!
//! An invocation posts to one page of members. What is left (the further pages of a large room, the
//! partitions of a sharded one, those for whom time ran out) becomes a delivery job for another
//! invocation: so memory is bounded whatever the room's size, and jobs run side by side.

mod pace;

use std::num::NonZeroUsize;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::delivery::DeliveryJob;
use crate::id::ConnectionId;
use crate::message::Message;
use crate::partition::{Partition, Sharding};
use crate::ports::{
    Connections, DeliveryJobs, Member, PortError, PostError, Posted, Remedy, Sockets,
};
use crate::telemetry::{Metric, emit, error_chain};
use crate::time::{Clock, Timestamp};

use pace::Pace;

/// How long a connection may answer 410 before it counts as closed. `$connect` writes the row before
/// API Gateway opens the socket, and until then a post answers 410 too.
pub const OPENING_GRACE: Duration = Duration::from_secs(60);

/// How many members one invocation posts to: at the account's quota of 10,000 posts a second a tenth
/// of a second, and about 150 kB of memory. A larger room is delivered by several.
pub const MEMBERS_PER_JOB: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");

/// How long one connection is tried, with all retries: the room's next message waits for the slowest. Who
/// cannot be reached in this time recovers from the log.
const POST_MAX: Duration = Duration::from_secs(3);

/// How many jobs are enqueued at the same time.
const ENQUEUEING: usize = 16;

/// How a failed post is tried again: throttling and server errors pass, most within a second. Four
/// more attempts in about 1.5 s, within [`POST_MAX`] and the time that the invocation has left.
fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_factor(2.5)
        .with_max_times(4)
        .with_jitter()
}

/// Delivers notifications to the members of their rooms.
pub struct Fanout<C, S, J, K> {
    connections: C,
    sockets: S,
    jobs: J,
    clock: K,
    sharding: Sharding,
    members_per_job: NonZeroUsize,
    concurrency: NonZeroUsize,
    pace: Pace,
}

/// What became of the connections of a page: each is in exactly one of the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// API Gateway took the notification.
    pub delivered: usize,
    /// The connection was closed, or not open yet.
    pub gone: usize,
    /// Tried, and failed with what a retry could not mend in time.
    pub failed: usize,
    /// Not tried, because time ran out: left to a delivery job.
    pub untried: usize,
}

#[derive(Clone, Copy)]
enum Fate {
    Delivered,
    Gone,
    Failed,
    Untried,
}

impl<C: Connections, S: Sockets, J: DeliveryJobs, K: Clock> Fanout<C, S, J, K> {
    /// A fan-out that has at most `concurrency` posts under way, however many notifications it
    /// delivers at once, and fewer while posts are throttled.
    pub fn new(
        connections: C,
        sockets: S,
        jobs: J,
        clock: K,
        sharding: Sharding,
        concurrency: NonZeroUsize,
    ) -> Self {
        Self {
            connections,
            sockets,
            jobs,
            clock,
            sharding,
            members_per_job: MEMBERS_PER_JOB,
            concurrency,
            pace: Pace::new(concurrency),
        }
    }

    /// The same with another number of members per invocation.
    pub fn with_members_per_job(self, members_per_job: NonZeroUsize) -> Self {
        Self {
            members_per_job,
            ..self
        }
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &K {
        &self.clock
    }

    /// Delivers `frame`, the notification of `message`, to every connection that is in its room (of the
    /// one user, if it has `to`), or leaves it to delivery jobs. Nothing is begun after `deadline`.
    ///
    /// # Errors
    ///
    /// [`PortError`] where some connections were neither tried nor left to a job.
    pub async fn deliver(
        &self,
        message: &Message,
        frame: &RawValue,
        deadline: Instant,
    ) -> Result<Delivery, PortError> {
        let job = |partition: Partition| DeliveryJob {
            partition,
            to: message.to.clone(),
            after: None,
            until: None,
            id: message.id.clone(),
            sent_at_ms: message.sent_at.as_millis(),
            frame: frame.to_owned(),
        };
        let mut partitions = match &message.to {
            Some(user) => self.sharding.partitions_of(&message.room, user),
            None => self.sharding.partitions(&message.room).collect(),
        };
        let own = partitions.remove(0);
        let others = stream::iter(partitions)
            .map(async |other| self.jobs.enqueue(&job(other)).await)
            .buffer_unordered(ENQUEUEING)
            .try_collect::<()>();
        timeout_at(deadline, others)
            .await
            .map_err(|elapsed| PortError::new("enqueueing delivery jobs in time", elapsed))??;
        let own = job(own);
        match self.run(&own, deadline).await {
            Ok(delivery) => Ok(delivery),
            // Another invocation may be able to read the room.
            Err(error) => {
                warn!(message_id = %message.id, error = error_chain(&error), "left {} to a job", message.id);
                self.jobs.enqueue(&own).await.map(|()| Delivery::default())
            }
        }
    }

    /// Works off a job: posts to one page of members, and leaves what is behind it to further jobs,
    /// before it begins, so that they run at the same time. One connection's failure never stops the
    /// others.
    ///
    /// # Errors
    ///
    /// [`PortError`] where the members could not be read, or what is left not be enqueued: the job is to
    /// be worked off again.
    pub async fn run(&self, job: &DeliveryJob, deadline: Instant) -> Result<Delivery, PortError> {
        let DeliveryJob {
            partition,
            to,
            after,
            ..
        } = job;
        let now = self.clock.now();
        let limit = self.members_per_job;
        let page = self
            .connections
            .members(partition, to.as_ref(), after.as_ref(), limit, now)
            .await?;
        if let Some(next) = page.next.filter(|next| job.goes_behind(next)) {
            self.jobs.enqueue(&job.behind(Some(next))).await?;
        }
        let mut members = page.members;
        members.retain(|member| job.includes(&member.page_token()));
        let fates = stream::iter(members.iter().enumerate())
            .map(async |(i, member)| (i, self.post(job, member, deadline).await));
        let (delivery, tried) = fates
            .buffer_unordered(self.concurrency.get())
            .fold(
                (Delivery::default(), members.len()),
                |(mut sum, mut tried), (i, fate)| {
                    match fate {
                        Fate::Delivered => sum.delivered += 1,
                        Fate::Gone => sum.gone += 1,
                        Fate::Failed => sum.failed += 1,
                        Fate::Untried => {
                            sum.untried += 1;
                            tried = tried.min(i);
                        }
                    }
                    std::future::ready((sum, tried))
                },
            )
            .await;
        self.report(job, delivery);
        if delivery.untried > 0 {
            let last = tried.checked_sub(1).map(|last| members[last].page_token());
            let rest = job.behind(last.or_else(|| after.clone()));
            // Only of this page: what is behind it is a job already.
            self.jobs
                .enqueue(&rest.until(members.last().map(Member::page_token)))
                .await?;
        }
        Ok(delivery)
    }

    async fn post(&self, job: &DeliveryJob, member: &Member, deadline: Instant) -> Fate {
        let Ok(_turn) = timeout_at(deadline, self.pace.turn()).await else {
            return Fate::Untried;
        };
        if Instant::now() >= deadline {
            return Fate::Untried;
        }
        let deadline = deadline.min(Instant::now() + POST_MAX);
        let connection = &member.connection;
        let attempt = || self.attempt(connection, job.frame.get());
        match timeout_at(
            deadline,
            attempt
                .retry(backoff())
                .when(|error| error.remedy != Remedy::None),
        )
        .await
        {
            Ok(Ok(Posted::Delivered)) => Fate::Delivered,
            Ok(Ok(Posted::Gone)) => {
                // In a box, because it is rare: the future of every post would be as large.
                Box::pin(self.forget_if_closed(&job.partition, member)).await;
                Fate::Gone
            }
            Ok(Err(error)) => {
                warn!(connection_id = %connection, error = error_chain(&error), "could not post to {connection}");
                Fate::Failed
            }
            Err(_elapsed) => {
                warn!(connection_id = %connection, "no time left to post to {connection}");
                Fate::Failed
            }
        }
    }

    async fn attempt(&self, connection: &ConnectionId, frame: &str) -> Result<Posted, PostError> {
        let window = self.pace.window();
        let posted = self.sockets.post(connection, frame).await;
        match &posted {
            Ok(_) => self.pace.taken(),
            Err(error) if error.remedy == Remedy::SlowDown => self.pace.throttled(window),
            Err(_) => {}
        }
        posted
    }

    async fn forget_if_closed(&self, partition: &Partition, member: &Member) {
        if self.clock.now().since(member.connected_at) <= OPENING_GRACE {
            return;
        }
        let connection = &member.connection;
        if let Err(error) = self
            .connections
            .leave(partition, &member.user, connection)
            .await
        {
            // The row's TTL removes it in the end; until then it costs one post per message.
            warn!(connection_id = %connection, error = error_chain(&error), "could not remove {connection}");
        }
    }

    fn report(&self, job: &DeliveryJob, delivery: Delivery) {
        let latency = self
            .clock
            .now()
            .since(Timestamp::from_millis(job.sent_at_ms));
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let Delivery {
            delivered,
            gone,
            failed,
            untried,
        } = delivery;
        let room = &job.partition.room;
        info!(room_id = %room, message_id = %job.id, delivered, gone, failed, untried, latency_ms, "delivered {}", job.id);
        let mut values = vec![
            (Metric::Delivered, delivered as u64),
            (Metric::Gone, gone as u64),
            (Metric::Failed, failed as u64),
        ];
        if delivered > 0 {
            values.push((Metric::DeliveryLatency, latency_ms));
        }
        emit(&values);
    }
}
