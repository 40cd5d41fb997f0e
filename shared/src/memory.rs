//! The ports in memory, for tests and the simulation.
#![expect(
    clippy::unwrap_used,
    reason = "a lock is poisoned only after a test has failed already"
)]

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::delivery::DeliveryJob;
use crate::frame::Refusal;
use crate::id::{ConnectionId, MessageId, RoomId, UserId};
use crate::log::{Appended, Draft, Entry, Epoch, Position, Stream};
use crate::message::Sequence;
use crate::partition::Partition;
use crate::ports::{
    Connections, Credential, Credentials, DeadLetters, DeliveryJobs, Log, LogPage, Member,
    MemberPage, MessageQueue, PageToken, PortError, PostError, Posted, Sockets, Written,
    expires_at,
};
use crate::secret::Secret;
use crate::time::{Clock, Timestamp};

/// The most messages in one page of the log: small too.
pub const LOG_PAGE: usize = 10;

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

/// The log in memory.
#[derive(Debug, Default)]
pub struct MemoryLog {
    streams: Mutex<HashMap<String, MemoryStream>>,
    operations: AtomicU64,
    torn: Mutex<Option<Torn>>,
}

/// What a Query shows of a transaction that commits while it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torn {
    /// The new head, and not yet the last message.
    Head,
    /// The last message, and still the head before it.
    Message,
}

#[derive(Debug, Default)]
struct MemoryStream {
    head: Option<(Position, Timestamp)>,
    entries: BTreeMap<(String, u64), (Entry, Timestamp)>,
    ids: HashMap<(UserId, MessageId), (Position, Timestamp)>,
}

impl MemoryLog {
    /// How many calls were made.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Every message of a stream, expired or not, in order.
    pub fn entries(&self, stream: &Stream) -> Vec<Entry> {
        let streams = self.streams.lock().unwrap();
        streams
            .get(&stream.key())
            .map(|s| s.entries.values().map(|(entry, _)| entry.clone()).collect())
            .unwrap_or_default()
    }

    /// The next page is read while the last append commits.
    pub fn tear(&self, torn: Torn) {
        *self.torn.lock().unwrap() = Some(torn);
    }

    fn torn(&self, mut page: LogPage) -> LogPage {
        let Some(head) = &mut page.head else {
            return page;
        };
        match self.torn.lock().unwrap().take() {
            Some(Torn::Head) => page.entries.retain(|entry| entry.position != *head),
            Some(Torn::Message) => head.offset = head.offset.saturating_sub(1),
            None => {}
        }
        page
    }

    /// Loses one message, as expiry does: in no order.
    pub fn lose(&self, stream: &Stream, offset: u64) {
        if let Some(stream) = self.streams.lock().unwrap().get_mut(&stream.key()) {
            stream.entries.retain(|(_, at), _| *at != offset);
        }
    }

    /// Loses the head of a stream, and nothing else.
    pub fn lose_head(&self, stream: &Stream) {
        if let Some(stream) = self.streams.lock().unwrap().get_mut(&stream.key()) {
            stream.head = None;
        }
    }

    fn stream<T>(&self, stream: &Stream, work: impl FnOnce(&mut MemoryStream) -> T) -> T {
        self.operations.fetch_add(1, Ordering::Relaxed);
        work(
            self.streams
                .lock()
                .unwrap()
                .entry(stream.key())
                .or_default(),
        )
    }
}

fn key_of(position: &Position) -> (String, u64) {
    (position.epoch.as_str().to_owned(), position.offset)
}

impl MemoryStream {
    fn head(&self, now: Timestamp) -> Option<Position> {
        self.head
            .as_ref()
            .filter(|(_, expires_at)| *expires_at > now)
            .map(|(head, _)| head.clone())
    }
}

impl Log for MemoryLog {
    async fn head(&self, stream: &Stream, now: Timestamp) -> Result<Option<Position>, PortError> {
        Ok(self.stream(stream, |stream| stream.head(now)))
    }

    async fn heads(
        &self,
        streams: [&Stream; 2],
        now: Timestamp,
    ) -> Result<[Option<Position>; 2], PortError> {
        Ok(streams.map(|stream| self.stream(stream, |stream| stream.head(now))))
    }

    async fn begin(
        &self,
        stream: &Stream,
        epoch: &Epoch,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Position, PortError> {
        Ok(self.stream(stream, |stream| {
            stream.head(now).unwrap_or_else(|| {
                let begin = Position {
                    epoch: epoch.clone(),
                    offset: 0,
                };
                stream.head = Some((begin.clone(), expires_at));
                begin
            })
        }))
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
        Ok(self.stream(stream, |stream| {
            if stream.head(now).as_ref() != head {
                return Appended::HeadMoved;
            }
            let id = |draft: &Draft<'_>| (draft.sender.clone(), draft.id.clone());
            let known: BTreeMap<usize, Position> = drafts
                .iter()
                .enumerate()
                .filter_map(|(i, draft)| {
                    let (position, until) = stream.ids.get(&id(draft))?;
                    (*until > now && position.epoch == *epoch).then(|| (i, position.clone()))
                })
                .collect();
            if !known.is_empty() {
                return Appended::Known(known);
            }
            let mut position = Position {
                epoch: epoch.clone(),
                offset: head.map_or(0, |head| head.offset),
            };
            for draft in drafts {
                position.offset += 1;
                let notification = draft.notification.to_owned();
                let entry = Entry {
                    position: position.clone(),
                    notification,
                    appended_at: now,
                };
                stream
                    .entries
                    .insert(key_of(&position), (entry, expires_at));
                stream.ids.insert(id(draft), (position.clone(), expires_at));
            }
            stream.head = Some((position, expires_at));
            Appended::Done
        }))
    }

    async fn find(
        &self,
        stream: &Stream,
        position: &Position,
        now: Timestamp,
    ) -> Result<Option<Entry>, PortError> {
        Ok(self.stream(stream, |stream| {
            let row = stream
                .entries
                .get(&key_of(position))
                .filter(|(_, until)| *until > now);
            row.map(|(entry, _)| entry.clone())
        }))
    }

    async fn read(
        &self,
        stream: &Stream,
        after: &Position,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        let page = self.stream(stream, |stream| {
            let rows: Vec<_> = stream
                .entries
                .range((Bound::Excluded(key_of(after)), Bound::Unbounded))
                .take(LOG_PAGE)
                .collect();
            let ended = rows.len() < LOG_PAGE;
            let head = if ended { stream.head(now) } else { None };
            let last = rows.last().map(|(_, (entry, _))| entry.position.clone());
            let live = rows.into_iter().filter(|(_, (_, until))| *until > now);
            LogPage {
                last,
                entries: live.map(|(_, (entry, _))| entry.clone()).collect(),
                head,
                ended,
            }
        });
        Ok(self.torn(page))
    }

    async fn read_back(
        &self,
        stream: &Stream,
        before: Option<&Position>,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        let page = self.stream(stream, |stream| {
            let rows: Vec<_> = stream
                .entries
                .range((
                    Bound::Unbounded,
                    before.map_or(Bound::Unbounded, |before| Bound::Excluded(key_of(before))),
                ))
                .rev()
                .take(LOG_PAGE)
                .collect();
            let ended = rows.len() < LOG_PAGE;
            let head = if before.is_none() {
                stream.head(now)
            } else {
                None
            };
            let last = rows.last().map(|(_, (entry, _))| entry.position.clone());
            let live = rows.into_iter().filter(|(_, (_, until))| *until > now);
            LogPage {
                last,
                entries: live.map(|(_, (entry, _))| entry.clone()).collect(),
                head,
                ended,
            }
        });
        Ok(self.torn(page))
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
                retryable: true,
                source: "429 LimitExceededException".into(),
            });
        }
        if state.broken.contains(connection) {
            return Err(PostError {
                retryable: false,
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
