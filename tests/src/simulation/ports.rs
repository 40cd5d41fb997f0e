//! The services as one invocation meets them: slow, failing with and without effect, and the last thing
//! that an invocation called. Behind that they are the ports in memory.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;

use hermes::delivery::DeliveryJob;
use hermes::frame::Refusal;
use hermes::log::{Appended, Draft, Entry, Epoch, Position, Stream};
use hermes::message::Sequence;
use hermes::partition::Partition;
use hermes::ports::{
    Connections, DeadLetters, DeliveryJobs, Log, LogPage, Member, MemberPage, MessageQueue,
    PageToken, PortError, PostError, Posted, Remedy, Sockets,
};
use hermes::time::Clock;
use hermes::{ConnectionId, MessageId, Timestamp, UserId};
use tokio::time::sleep;

use super::invocation::Invocation;
use super::variant::Variant;
use super::world::World;

/// Every port of one invocation.
#[derive(Clone)]
pub(crate) struct Ports(Arc<Invocation>);

impl Ports {
    pub(crate) fn of(invocation: &Arc<Invocation>) -> Self {
        Self(Arc::clone(invocation))
    }

    fn world(&self) -> &Arc<World> {
        &self.0.world
    }

    /// A call: whatever may happen before its effect, the effect, and whatever may happen after it.
    async fn call<T>(
        &self,
        operation: &'static str,
        effect: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        let world = self.world();
        self.0.survive().await;
        self.delay(7_000).await;
        let refused =
            world.strikes(world.schedule.faults.refused) || world.is_stormy() && world.strikes(200);
        if refused {
            world.tell("refused", || operation.to_owned());
            return Err(PortError::new(operation, "throttled"));
        }
        world.tell(operation, String::new);
        let answer = effect.await;
        self.0.survive().await;
        self.delay(1_000).await;
        if world.strikes(world.schedule.faults.unanswered) {
            world.tell("unanswered", || operation.to_owned());
            return Err(PortError::new(operation, "timeout"));
        }
        answer
    }

    async fn delay(&self, longest_ms: u64) {
        let world = self.world();
        let duration = if world.strikes(world.schedule.faults.slow) {
            world.between(200, longest_ms)
        } else {
            let roll = world.rng().u8(0..10);
            match roll {
                0..5 => return,
                5..9 => world.between(1, 12),
                _ => world.between(12, 120),
            }
        };
        sleep(duration).await;
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        self.world().skewed(self.0.skew)
    }
}

impl Connections for Ports {
    async fn join(&self, partition: &Partition, member: &Member) -> Result<(), PortError> {
        let world = self.world();
        self.call("join", async {
            world.connections.join(partition, member).await?;
            if world.variant == Variant::LaggingIndex {
                let (world, partition, member) =
                    (Arc::clone(world), partition.clone(), member.clone());
                tokio::spawn(async move {
                    world.pause(50, 3_000).await;
                    world.index.join(&partition, &member).await
                });
            }
            Ok(())
        })
        .await
    }

    async fn leave(
        &self,
        partition: &Partition,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<(), PortError> {
        let world = self.world();
        self.call("leave", async {
            world.tell("forgets", || connection.to_string());
            world.index.leave(partition, user, connection).await?;
            world.connections.leave(partition, user, connection).await
        })
        .await
    }

    async fn members(
        &self,
        partition: &Partition,
        only: Option<&UserId>,
        page: Option<&PageToken>,
        limit: NonZeroUsize,
        now: Timestamp,
    ) -> Result<MemberPage, PortError> {
        let world = self.world();
        self.call("members", async {
            let table = match world.variant {
                Variant::LaggingIndex => &world.index,
                _ => &world.connections,
            };
            let mut members = table.members(partition, only, page, limit, now).await?;
            if world.variant == Variant::ForgetsOnAnyGone {
                for member in &mut members.members {
                    member.connected_at = Timestamp::EPOCH;
                }
            }
            Ok(members)
        })
        .await
    }
}

impl DeliveryJobs for Ports {
    async fn enqueue(&self, job: &DeliveryJob) -> Result<(), PortError> {
        let world = self.world();
        self.call("enqueue a job", async {
            let body = serde_json::to_string(job).expect("a job serializes");
            world.tell("job", || body.clone());
            world.jobs.send(world, body, None);
            Ok(())
        })
        .await
    }
}

impl MessageQueue for Ports {
    async fn enqueue(&self, body: &str, sequence: &Sequence) -> Result<(), PortError> {
        let world = self.world();
        self.call("enqueue a message", async {
            world.messages.send(world, body.to_owned(), Some(sequence));
            Ok(())
        })
        .await
    }
}

impl DeadLetters for Ports {
    async fn bury(
        &self,
        body: &str,
        reason: &Refusal,
        sequence: &Sequence,
    ) -> Result<(), PortError> {
        let bury = self.world().dead_letters.bury(body, reason, sequence);
        self.call("bury", bury).await
    }
}

impl Log for Ports {
    async fn head(&self, stream: &Stream, now: Timestamp) -> Result<Option<Position>, PortError> {
        self.call("head", self.world().log.head(stream, now)).await
    }

    async fn heads(
        &self,
        streams: [&Stream; 2],
        now: Timestamp,
    ) -> Result<[Option<Position>; 2], PortError> {
        self.call("heads", self.world().log.heads(streams, now))
            .await
    }

    async fn begin(
        &self,
        stream: &Stream,
        epoch: &Epoch,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Position, PortError> {
        self.call(
            "begin",
            self.world().log.begin(stream, epoch, now, expires_at),
        )
        .await
    }

    async fn append(
        &self,
        stream: &Stream,
        head: Option<&Position>,
        epoch: &Epoch,
        drafts: &[Draft<'_>],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Appended, PortError> {
        let world = self.world();
        if world.strikes(world.schedule.faults.refused) {
            return Ok(Appended::HeadMoved); // the transaction met another one
        }
        let stranger = UserId::system();
        let fresh: Vec<MessageId> = drafts
            .iter()
            .filter(|_| world.variant == Variant::NoIdempotency)
            .map(|_| MessageId::generate())
            .collect();
        let stored: Vec<Draft<'_>> = drafts
            .iter()
            .enumerate()
            .map(|(i, draft)| Draft {
                id: fresh.get(i).unwrap_or(draft.id),
                sender: match world.variant {
                    Variant::OneSpaceOfIds => &stranger,
                    _ => draft.sender,
                },
                notification: draft.notification,
            })
            .collect();
        self.call("append", async {
            let appended = world
                .log
                .append(stream, head, epoch, &stored, now, expires_at)
                .await?;
            if appended == Appended::Done {
                world.commits(stream);
                let offset = head.map_or(0, |head| head.offset);
                let begin = Position {
                    epoch: epoch.clone(),
                    offset,
                };
                let now = world.now();
                world
                    .ledger()
                    .append(stream, &begin, drafts, now, expires_at);
                world.tell("appended", || format!("{} {begin:?}", stream.key()));
            }
            Ok(appended)
        })
        .await
    }

    async fn find(
        &self,
        stream: &Stream,
        position: &Position,
        now: Timestamp,
    ) -> Result<Option<Entry>, PortError> {
        self.call("find", self.world().log.find(stream, position, now))
            .await
    }

    async fn read(
        &self,
        stream: &Stream,
        after: &Position,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        self.call("read", async {
            self.world().tear_the_next_page(stream);
            self.world().log.read(stream, after, now).await
        })
        .await
    }

    async fn read_back(
        &self,
        stream: &Stream,
        before: Option<&Position>,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        self.call("read back", async {
            self.world().tear_the_next_page(stream);
            self.world().log.read_back(stream, before, now).await
        })
        .await
    }
}

impl Sockets for Ports {
    async fn post(&self, connection: &ConnectionId, frame: &str) -> Result<Posted, PostError> {
        let world = self.world();
        if world.is_stormy() && world.strikes(850) {
            self.0.survive().await;
            return Err(PostError {
                remedy: Remedy::SlowDown,
                source: "429 LimitExceededException".into(),
            });
        }
        let post = async {
            let posted = world.sockets.post(connection, frame).await;
            let posted = posted.map_err(|error| PortError::new("post", error))?;
            if posted == Posted::Delivered {
                world.push(connection, frame);
            }
            world.tell("posted", || format!("{connection} {posted:?} {frame}"));
            Ok(posted)
        };
        self.call("post", post).await.map_err(|error| PostError {
            remedy: match self.world().rng().u8(0..8) {
                0 => Remedy::None,
                _ => Remedy::Later,
            },
            source: error.into(),
        })
    }

    async fn close(&self, connection: &ConnectionId) -> Result<(), PortError> {
        self.world().sockets.close(connection).await
    }
}
