//! What the rules need from the world. Each method is one operation of the domain and one atomic call
//! of the service behind it; each trait has two implementations, `aws` and `memory`, and both pass the
//! suite in `contract`.

use std::error::Error;
use std::future::Future;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::DeliveryJob;
use crate::frame::Refusal;
use crate::id::{ConnectionId, RoomId, UserId};
use crate::log::{Appended, Draft, Entry, Epoch, Position, Stream};
use crate::message::Sequence;
use crate::partition::Partition;
use crate::secret::Secret;
use crate::time::Timestamp;

/// A call to a service failed, after the retries that the service's client makes.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct PortError {
    /// What was attempted, for the log.
    pub operation: &'static str,
    /// Why it failed.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl PortError {
    /// `operation` failed because of `source`.
    pub fn new(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            operation,
            source: source.into(),
        }
    }
}

/// A connection that is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whose connection it is.
    pub user: UserId,
    /// The connection.
    pub connection: ConnectionId,
    /// When it connected, in whole seconds.
    pub connected_at: Timestamp,
}

/// Stands between the user and the connection in a member's key. No id can contain it, so one user's
/// connections are exactly the keys that begin with the user and it.
pub(crate) const SEPARATOR: char = '\u{1f}';

impl Member {
    /// Its name within its partition.
    pub(crate) fn key(&self) -> String {
        format!("{}{SEPARATOR}{}", self.user, self.connection)
    }

    /// Continues reading behind this member.
    pub(crate) fn page_token(&self) -> PageToken {
        PageToken(self.key())
    }
}

/// The longest that a row outlives its `$connect`: API Gateway ends every connection after two hours,
/// and a row whose `$disconnect` was lost must vanish by itself.
/// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>
pub const MEMBERSHIP: Duration = Duration::from_secs(2 * 60 * 60 + 5 * 60);

/// When the row of a connection stops counting: in whole seconds, as DynamoDB's TTL needs it.
pub fn expires_at(connected_at: Timestamp) -> Timestamp {
    Timestamp::from_secs(connected_at.as_secs()).after(MEMBERSHIP)
}

/// Continues reading a room where the page before ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageToken(pub(crate) String);

impl PageToken {
    /// Its text, for who keeps it elsewhere.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads it back, of the members that are asked for. None where it is no place among them: a table
    /// refuses to begin there.
    pub fn parse(text: &str, only: Option<&UserId>) -> Option<Self> {
        let (user, connection) = text.split_once(SEPARATOR)?;
        let user: UserId = user.parse().ok()?;
        connection.parse::<ConnectionId>().ok()?;
        let is_asked_for = only.is_none_or(|only| *only == user);
        is_asked_for.then(|| Self(text.to_owned()))
    }
}

/// A part of a room's members.
#[derive(Debug, Default)]
pub struct MemberPage {
    /// The members, none of them expired.
    pub members: Vec<Member>,
    /// Where there may be more.
    pub next: Option<PageToken>,
}

/// The Connections table: who is in which room.
pub trait Connections: Send + Sync {
    /// Puts a connection into a room. Joining again changes nothing.
    fn join(
        &self,
        partition: &Partition,
        member: &Member,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Takes a connection out of a room. Leaving again is no error.
    fn leave(
        &self,
        partition: &Partition,
        user: &UserId,
        connection: &ConnectionId,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// At most `limit` of the members (of `only`, where given), in the order of their user ids, behind
    /// `page`. Sees every `join` and `leave` that was answered before; leaves out who expired before `now`.
    fn members(
        &self,
        partition: &Partition,
        only: Option<&UserId>,
        page: Option<&PageToken>,
        limit: NonZeroUsize,
        now: Timestamp,
    ) -> impl Future<Output = Result<MemberPage, PortError>> + Send;
}

/// Where delivery jobs wait for an invocation.
pub trait DeliveryJobs: Send + Sync {
    /// Enqueues one.
    fn enqueue(&self, job: &DeliveryJob) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A part of a stream, as one query reads it: no snapshot, where an append commits meanwhile.
#[derive(Debug, Default)]
pub struct LogPage {
    /// Messages, none of them expired. Whether they are contiguous is for the reader to check: expiry
    /// deletes in no order.
    pub entries: Vec<Entry>,
    /// The last message that the query saw, expired or not: where the next page begins.
    pub last: Option<Position>,
    /// The stream's end, where the query saw it.
    pub head: Option<Position>,
    /// Whether there is nothing further in the query's direction.
    pub ended: bool,
}

/// The log: what was published to each stream.
pub trait Log: Send + Sync {
    /// Where a stream ends. Sees every append that was answered before.
    fn head(
        &self,
        stream: &Stream,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Position>, PortError>> + Send;

    /// Where two streams end, in one call.
    fn heads(
        &self,
        streams: [&Stream; 2],
        now: Timestamp,
    ) -> impl Future<Output = Result<[Option<Position>; 2], PortError>> + Send;

    /// Where a stream ends; begins it with `epoch` where it does not exist.
    fn begin(
        &self,
        stream: &Stream,
        epoch: &Epoch,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<Position, PortError>> + Send;

    /// Appends messages behind `head` (none: the stream begins, with `epoch`), all or nothing.
    fn append(
        &self,
        stream: &Stream,
        head: Option<&Position>,
        epoch: &Epoch,
        drafts: &[Draft<'_>],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<Appended, PortError>> + Send;

    /// One message. Sees every append that was answered before.
    fn find(
        &self,
        stream: &Stream,
        position: &Position,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Entry>, PortError>> + Send;

    /// The messages behind `after`, oldest first, then those of later epochs. Sees every append that
    /// was answered before.
    fn read(
        &self,
        stream: &Stream,
        after: &Position,
        now: Timestamp,
    ) -> impl Future<Output = Result<LogPage, PortError>> + Send;

    /// The messages before `before` (none: from the head), newest first, then those of earlier epochs.
    /// Sees the same.
    fn read_back(
        &self,
        stream: &Stream,
        before: Option<&Position>,
        now: Timestamp,
    ) -> impl Future<Output = Result<LogPage, PortError>> + Send;
}

/// What the Credentials table holds of a user in a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credential {
    /// The bcrypt hash of the inner token; none after a revocation.
    pub token_hash: Option<Secret>,
    /// What the inner token is derived from; none in a row that a backend wrote by itself.
    pub generation: Option<String>,
}

/// Whether a conditional write was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was.
    Yes,
    /// Somebody else had changed the row since it was read.
    Conflict,
}

/// The Credentials table: who may be in which room.
pub trait Credentials: Send + Sync {
    /// The row of a user in a room. Sees every write that was answered before.
    fn find(
        &self,
        user: &UserId,
        room: &RoomId,
    ) -> impl Future<Output = Result<Option<Credential>, PortError>> + Send;

    /// Replaces the row, if its generation is still `expected` (`None`: there is no row, or one
    /// without a generation).
    fn renew(
        &self,
        user: &UserId,
        room: &RoomId,
        expected: Option<&str>,
        generation: &str,
        token_hash: &Secret,
    ) -> impl Future<Output = Result<Written, PortError>> + Send;

    /// Sets a new generation and removes the hash, whatever stood there. Says whether there was a hash.
    fn revoke(
        &self,
        user: &UserId,
        room: &RoomId,
        generation: &str,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// How a post to a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// API Gateway took the frame.
    Delivered,
    /// The connection is closed, or not open yet (410).
    Gone,
}

/// What may help where a post failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Tried again, it fails again.
    None,
    /// It may succeed later: a server error, a timeout.
    Later,
    /// Too many posts are made (429): it may succeed later, and sooner if fewer are made.
    SlowDown,
}

/// A post failed.
#[derive(Debug, thiserror::Error)]
#[error("posting to the connection failed")]
pub struct PostError {
    /// What may help.
    pub remedy: Remedy,
    /// Why it failed.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// The sockets that API Gateway holds (`@connections`).
pub trait Sockets: Send + Sync {
    /// Posts one text frame to a connection, in one attempt.
    fn post(
        &self,
        connection: &ConnectionId,
        frame: &str,
    ) -> impl Future<Output = Result<Posted, PostError>> + Send;

    /// Closes a connection. Closing one that is closed is no error.
    fn close(
        &self,
        connection: &ConnectionId,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The queue that messages are published through.
pub trait MessageQueue: Send + Sync {
    /// Enqueues the body of one message, in its sequence where the queue is FIFO.
    fn enqueue(
        &self,
        body: &str,
        sequence: &Sequence,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Where a queued message is kept that can never be delivered.
pub trait DeadLetters: Send + Sync {
    /// Keeps the body and the reason, in its sequence where the queue is FIFO.
    fn bury(
        &self,
        body: &str,
        reason: &Refusal,
        sequence: &Sequence,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

macro_rules! by_reference {
    ($port:ident { $($method:ident($($name:ident: $type:ty),*) -> $answer:ty;)* }) => {
        impl<P: $port> $port for &P {
            $(fn $method(&self, $($name: $type),*) -> impl Future<Output = $answer> + Send {
                P::$method(self, $($name),*)
            })*
        }
    };
}

by_reference!(Connections {
    join(partition: &Partition, member: &Member) -> Result<(), PortError>;
    leave(partition: &Partition, user: &UserId, connection: &ConnectionId) -> Result<(), PortError>;
    members(partition: &Partition, only: Option<&UserId>, page: Option<&PageToken>, limit: NonZeroUsize, now: Timestamp) -> Result<MemberPage, PortError>;
});
by_reference!(DeliveryJobs {
    enqueue(job: &DeliveryJob) -> Result<(), PortError>;
});
by_reference!(Log {
    head(stream: &Stream, now: Timestamp) -> Result<Option<Position>, PortError>;
    heads(streams: [&Stream; 2], now: Timestamp) -> Result<[Option<Position>; 2], PortError>;
    begin(stream: &Stream, epoch: &Epoch, now: Timestamp, expires_at: Timestamp) -> Result<Position, PortError>;
    append(stream: &Stream, head: Option<&Position>, epoch: &Epoch, drafts: &[Draft<'_>], now: Timestamp, expires_at: Timestamp) -> Result<Appended, PortError>;
    find(stream: &Stream, position: &Position, now: Timestamp) -> Result<Option<Entry>, PortError>;
    read(stream: &Stream, after: &Position, now: Timestamp) -> Result<LogPage, PortError>;
    read_back(stream: &Stream, before: Option<&Position>, now: Timestamp) -> Result<LogPage, PortError>;
});
by_reference!(Sockets {
    post(connection: &ConnectionId, frame: &str) -> Result<Posted, PostError>;
    close(connection: &ConnectionId) -> Result<(), PortError>;
});
by_reference!(Credentials {
    find(user: &UserId, room: &RoomId) -> Result<Option<Credential>, PortError>;
    renew(user: &UserId, room: &RoomId, expected: Option<&str>, generation: &str, token_hash: &Secret) -> Result<Written, PortError>;
    revoke(user: &UserId, room: &RoomId, generation: &str) -> Result<bool, PortError>;
});
