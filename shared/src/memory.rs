//! The ports in memory, for tests and the simulation.
#![expect(
    clippy::unwrap_used,
    reason = "a lock is poisoned only after a test has failed already"
)]

mod log;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::delivery::DeliveryJob;
use crate::frame::Refusal;
use crate::id::{ConnectionId, RoomId, UserId};
use crate::message::Sequence;
use crate::partition::Partition;
use crate::ports::{
    Connections, Credential, Credentials, DeadLetters, DeliveryJobs, Member, MemberPage,
    MessageQueue, PageToken, PortError, PostError, Posted, Remedy, Sockets, Written, expires_at,
};
use crate::secret::Secret;
use crate::time::{Clock, Timestamp};

pub use log::{LOG_PAGE, MemoryLog, Torn};

/// The Connections table in memory.
#[derive(Debug, Default)]
pub struct MemoryConnections {
    partitions: Mutex<HashMap<Partition, BTreeMap<String, Member>>>,
}

impl MemoryConnections {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.partitions
            .lock()
            .unwrap()
            .values()
            .map(BTreeMap::len)
            .sum()
    }
}

impl Connections for MemoryConnections {
    async fn join(&self, partition: &Partition, member: &Member) -> Result<(), PortError> {
        let mut partitions = self.partitions.lock().unwrap();
        let connected_at = Timestamp::from_secs(member.connected_at.as_secs());
        let stored = Member {
            connected_at,
            ..member.clone()
        };
        partitions
            .entry(partition.clone())
            .or_default()
            .insert(stored.key(), stored);
        Ok(())
    }

    async fn leave(
        &self,
        partition: &Partition,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<(), PortError> {
        if let Some(members) = self.partitions.lock().unwrap().get_mut(partition) {
            members.retain(|_, member| member.user != *user || member.connection != *connection);
        }
        Ok(())
    }

    async fn members(
        &self,
        partition: &Partition,
        only: Option<&UserId>,
        page: Option<&PageToken>,
        limit: NonZeroUsize,
        now: Timestamp,
    ) -> Result<MemberPage, PortError> {
        let partitions = self.partitions.lock().unwrap();
        let Some(members) = partitions.get(partition) else {
            return Ok(MemberPage::default());
        };
        let after = page.map_or("", |token| token.0.as_str());
        let rows: Vec<&Member> = members
            .range::<str, _>((Bound::Excluded(after), Bound::Unbounded))
            .map(|(_, member)| member)
            .filter(|member| only.is_none_or(|user| member.user == *user))
            .take(limit.get())
            .collect();
        let next = rows
            .last()
            .filter(|_| rows.len() == limit.get())
            .map(|member| member.page_token());
        let live = rows
            .into_iter()
            .filter(|member| expires_at(member.connected_at) > now);
        Ok(MemberPage {
            members: live.cloned().collect(),
            next,
        })
    }
}

/// Delivery jobs in memory.
#[derive(Debug, Default)]
pub struct MemoryJobs {
    jobs: Mutex<VecDeque<DeliveryJob>>,
    refusing: AtomicBool,
}

impl MemoryJobs {
    /// From now on, no job can be enqueued; or can again.
    pub fn refuse(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::Relaxed);
    }

    /// Takes the job that waits longest.
    pub fn take(&self) -> Option<DeliveryJob> {
        self.jobs.lock().unwrap().pop_front()
    }
}

impl DeliveryJobs for MemoryJobs {
    async fn enqueue(&self, job: &DeliveryJob) -> Result<(), PortError> {
        if self.refusing.load(Ordering::Relaxed) {
            return Err(PortError::new(
                "enqueueing the job",
                "the queue is not reachable",
            ));
        }
        // As a queue carries it.
        let body = serde_json::to_string(job)
            .map_err(|error| PortError::new("enqueueing the job", error))?;
        let job = serde_json::from_str(&body)
            .map_err(|error| PortError::new("enqueueing the job", error))?;
        self.jobs.lock().unwrap().push_back(job);
        Ok(())
    }
}

/// The Credentials table in memory. Counts its reads.
#[derive(Debug, Default)]
pub struct MemoryCredentials {
    rows: Mutex<HashMap<(UserId, RoomId), Credential>>,
    reads: AtomicU64,
}

impl MemoryCredentials {
    /// How many rows were asked for.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Writes a row as a backend does by itself: without a generation.
    pub fn insert(&self, user: &UserId, room: &RoomId, token_hash: &str) {
        let row = Credential {
            token_hash: Some(Secret::new(token_hash)),
            generation: None,
        };
        self.rows
            .lock()
            .unwrap()
            .insert((user.clone(), room.clone()), row);
    }
}

impl Credentials for MemoryCredentials {
    async fn find(&self, user: &UserId, room: &RoomId) -> Result<Option<Credential>, PortError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self
            .rows
            .lock()
            .unwrap()
            .get(&(user.clone(), room.clone()))
            .cloned())
    }

    async fn renew(
        &self,
        user: &UserId,
        room: &RoomId,
        expected: Option<&str>,
        generation: &str,
        token_hash: &Secret,
    ) -> Result<Written, PortError> {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.entry((user.clone(), room.clone())).or_default();
        if row.generation.as_deref() != expected {
            return Ok(Written::Conflict);
        }
        *row = Credential {
            token_hash: Some(token_hash.clone()),
            generation: Some(generation.to_owned()),
        };
        Ok(Written::Yes)
    }

    async fn revoke(
        &self,
        user: &UserId,
        room: &RoomId,
        generation: &str,
    ) -> Result<bool, PortError> {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.entry((user.clone(), room.clone())).or_default();
        let had_token = row.token_hash.is_some();
        *row = Credential {
            token_hash: None,
            generation: Some(generation.to_owned()),
        };
        Ok(had_token)
    }
}

/// Sockets in memory: what was posted to each, and which misbehave.
#[derive(Debug, Default)]
pub struct MemorySockets {
    state: Mutex<SocketState>,
}

#[derive(Debug, Default)]
struct SocketState {
    open: HashSet<ConnectionId>,
    received: HashMap<ConnectionId, Vec<String>>,
    throttled: HashMap<ConnectionId, u32>,
    broken: HashSet<ConnectionId>,
    silent: HashSet<ConnectionId>,
    posts: u64,
    under_way: usize,
    most_under_way: usize,
}

impl MemorySockets {
    /// Opens a socket: until then posting to it answers 410.
    pub fn open(&self, connection: &ConnectionId) {
        self.state.lock().unwrap().open.insert(connection.clone());
    }

    /// The next `times` posts to a connection are throttled (429).
    pub fn throttle(&self, connection: &ConnectionId, times: u32) {
        self.state
            .lock()
            .unwrap()
            .throttled
            .insert(connection.clone(), times);
    }

    /// Posts to a connection fail in a way that no retry mends.
    pub fn break_off(&self, connection: &ConnectionId) {
        self.state.lock().unwrap().broken.insert(connection.clone());
    }

    /// Posts to a connection are never answered.
    pub fn silence(&self, connection: &ConnectionId) {
        self.state.lock().unwrap().silent.insert(connection.clone());
    }

    /// The frames that a connection received, in order.
    pub fn received(&self, connection: &ConnectionId) -> Vec<String> {
        self.state
            .lock()
            .unwrap()
            .received
            .get(connection)
            .cloned()
            .unwrap_or_default()
    }

    /// Whether a connection is open.
    pub fn is_open(&self, connection: &ConnectionId) -> bool {
        self.state.lock().unwrap().open.contains(connection)
    }

    /// How many posts were attempted, whatever came of them.
    pub fn posts(&self) -> u64 {
        self.state.lock().unwrap().posts
    }

    /// The most posts that were under way at the same time.
    pub fn most_under_way(&self) -> usize {
        self.state.lock().unwrap().most_under_way
    }
}

impl Sockets for MemorySockets {
    async fn post(&self, connection: &ConnectionId, frame: &str) -> Result<Posted, PostError> {
        let silent = {
            let mut state = self.state.lock().unwrap();
            state.posts += 1;
            state.under_way += 1;
            state.most_under_way = state.most_under_way.max(state.under_way);
            state.silent.contains(connection)
        };
        if silent {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut state = self.state.lock().unwrap();
        state.under_way -= 1;
        if let Some(times) = state
            .throttled
            .get_mut(connection)
            .filter(|times| **times > 0)
        {
            *times -= 1;
            return Err(PostError {
                remedy: Remedy::SlowDown,
                source: "429 LimitExceededException".into(),
            });
        }
        if state.broken.contains(connection) {
            return Err(PostError {
                remedy: Remedy::None,
                source: "403 ForbiddenException".into(),
            });
        }
        if !state.open.contains(connection) {
            return Ok(Posted::Gone);
        }
        state
            .received
            .entry(connection.clone())
            .or_default()
            .push(frame.to_owned());
        Ok(Posted::Delivered)
    }

    async fn close(&self, connection: &ConnectionId) -> Result<(), PortError> {
        self.state.lock().unwrap().open.remove(connection);
        Ok(())
    }
}

/// The message queue in memory.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    bodies: Mutex<Vec<String>>,
    room_for: Mutex<Option<usize>>,
}

impl MemoryQueue {
    /// It takes so many more messages, and then fails.
    pub fn fail_after(&self, messages: usize) {
        *self.room_for.lock().unwrap() = Some(messages);
    }

    /// What was enqueued, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

impl MessageQueue for MemoryQueue {
    async fn enqueue(&self, body: &str, _: &Sequence) -> Result<(), PortError> {
        if let Some(room) = self.room_for.lock().unwrap().as_mut() {
            *room = room.checked_sub(1).ok_or_else(|| {
                PortError::new("enqueueing the message", "the queue is not reachable")
            })?;
        }
        self.bodies.lock().unwrap().push(body.to_owned());
        Ok(())
    }
}

/// The dead-letter queue in memory.
#[derive(Debug, Default)]
pub struct MemoryDeadLetters {
    letters: Mutex<Vec<(String, Refusal)>>,
}

impl MemoryDeadLetters {
    /// What was buried and why, in order.
    pub fn letters(&self) -> Vec<(String, Refusal)> {
        self.letters.lock().unwrap().clone()
    }
}

impl DeadLetters for MemoryDeadLetters {
    async fn bury(&self, body: &str, reason: &Refusal, _: &Sequence) -> Result<(), PortError> {
        self.letters
            .lock()
            .unwrap()
            .push((body.to_owned(), reason.clone()));
        Ok(())
    }
}

/// A clock that shows what it was set to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.as_millis()))
    }

    /// Lets `duration` pass.
    pub fn advance(&self, duration: Duration) {
        self.0.fetch_add(
            u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}
