//! The ports in memory, for tests and the simulation.
#![expect(
    clippy::unwrap_used,
    reason = "a lock is poisoned only after a test has failed already"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::frame::Refusal;
use crate::id::{ConnectionId, RoomId, UserId};
use crate::ports::{
    Connections, Credential, Credentials, DeadLetters, Member, MemberPage, MessageQueue, PageToken,
    PortError, PostError, Posted, Sockets, Written, expires_at,
};
use crate::secret::Secret;
use crate::time::{Clock, Timestamp};

/// The most members in one page: small, so that tests see several.
pub const PAGE: usize = 100;

/// The Connections table in memory.
#[derive(Debug, Default)]
pub struct MemoryConnections {
    rooms: Mutex<HashMap<RoomId, BTreeMap<String, Member>>>,
}

fn key(user: &UserId, connection: &ConnectionId) -> String {
    format!("{user}\u{1f}{connection}")
}

impl Connections for MemoryConnections {
    async fn join(&self, room: &RoomId, member: &Member) -> Result<(), PortError> {
        let mut rooms = self.rooms.lock().unwrap();
        let stored = Member {
            connected_at: Timestamp::from_secs(member.connected_at.as_secs()),
            ..member.clone()
        };
        rooms
            .entry(room.clone())
            .or_default()
            .insert(key(&member.user, &member.connection), stored);
        Ok(())
    }

    async fn leave(
        &self,
        room: &RoomId,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<(), PortError> {
        if let Some(members) = self.rooms.lock().unwrap().get_mut(room) {
            members.remove(&key(user, connection));
        }
        Ok(())
    }

    async fn members(
        &self,
        room: &RoomId,
        only: Option<&UserId>,
        page: Option<&PageToken>,
        now: Timestamp,
    ) -> Result<MemberPage, PortError> {
        let rooms = self.rooms.lock().unwrap();
        let Some(members) = rooms.get(room) else {
            return Ok(MemberPage::default());
        };
        let after = page.map_or("", |token| token.0.as_str());
        let mut part = members
            .range(after.to_owned()..)
            .filter(|(key, _)| key.as_str() > after);
        let rows: Vec<_> = part
            .by_ref()
            .filter(|(_, member)| only.is_none_or(|user| member.user == *user))
            .take(PAGE)
            .collect();
        let next = if rows.len() == PAGE {
            rows.last().map(|(key, _)| PageToken((*key).clone()))
        } else {
            None
        };
        let members = rows
            .into_iter()
            .map(|(_, member)| member.clone())
            .filter(|member| expires_at(member.connected_at) > now)
            .collect();
        Ok(MemberPage { members, next })
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
}

impl MemoryQueue {
    /// What was enqueued, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

impl MessageQueue for MemoryQueue {
    async fn enqueue(&self, body: &str) -> Result<(), PortError> {
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
    async fn bury(&self, body: &str, reason: &Refusal) -> Result<(), PortError> {
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
