//! The room log: what was published, in order, for whoever was not connected to see it.
//!
//! A *stream* is a sequence of messages with offsets from 1 and no hole: one for each room, and one
//! for each user of a room, with the messages that have `to`. An *epoch* names one life of a stream:
//! where the log was lost or has expired, the next message begins a new one, so that a client can never
//! mistake what is left for what it has seen.

mod recover;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::frame::Refusal;
use crate::id::{MessageId, RoomId, UserId};
use crate::message::Message;
use crate::ports::{Log, PortError};
use crate::time::Timestamp;

pub use recover::{RECOVERED_MAX_BYTES, Recovered};

/// The most messages in one append: a transaction has at most 100 items, a message takes two of them,
/// the head one.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub const APPEND_MAX_MESSAGES: usize = 25;

/// The most that one append writes, in bytes of messages: a transaction has at most 4 MB.
pub const APPEND_MAX_BYTES: usize = 3 * 1024 * 1024;

/// Whose sequence of messages a stream is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    /// The room.
    pub room: RoomId,
    /// The one user that the messages are for; none in the stream of the room itself.
    pub user: Option<UserId>,
}

impl Stream {
    /// The stream that a message belongs to.
    pub fn of(message: &Message) -> Self {
        Self {
            room: message.room.clone(),
            user: message.to.clone(),
        }
    }

    /// How frames name it.
    pub fn kind(&self) -> StreamKind {
        if self.user.is_some() {
            StreamKind::User
        } else {
            StreamKind::Room
        }
    }

    /// Its name in a table: no id can contain U+001F.
    pub fn key(&self) -> String {
        match &self.user {
            Some(user) => format!("{}\u{1f}{user}", self.room),
            None => self.room.to_string(),
        }
    }
}

/// Which of the two streams of a connection is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// The room's.
    Room,
    /// The user's own in the room.
    User,
}

/// One life of a stream: 1 to 64 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Epoch(String);

impl Epoch {
    /// A new one.
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().simple().to_string())
    }

    /// The text of the epoch.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Epoch {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text.parse::<MessageId>() {
            Ok(_) if text.len() <= 64 => Ok(Self(text.to_owned())),
            _ => Err(Refusal::field(
                "epoch",
                "must be the one of a notification or an answer",
            )),
        }
    }
}

/// A point in a stream: the last message that was appended, sent or seen. Offset 0 is before the first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Position {
    /// The stream's life.
    pub epoch: Epoch,
    /// Counted from 1, without a hole.
    pub offset: u64,
}

/// A message as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// The notification, without its position.
    pub notification: String,
    /// When it was appended.
    pub appended_at: Timestamp,
}

impl Entry {
    /// The notification frame, with its position.
    pub fn to_frame(&self, kind: StreamKind) -> String {
        with_position(&self.notification, kind, &self.position)
    }
}

/// A notification with its position: three more fields at the end.
pub fn with_position(notification: &str, kind: StreamKind, position: &Position) -> String {
    let stream = match kind {
        StreamKind::Room => "room",
        StreamKind::User => "user",
    };
    let object = notification
        .strip_suffix('}')
        .expect("a notification is a JSON object");
    let Position { epoch, offset } = position;
    // An epoch has no character that JSON escapes but the quote and the backslash, which ours never has.
    let epoch = serde_json::to_string(epoch).expect("a string serializes");
    format!(r#"{object},"stream":"{stream}","epoch":{epoch},"offset":{offset}}}"#)
}

/// A message on its way into the log.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Who sends it: ids are unique per sender.
    pub sender: &'a UserId,
    /// Its id.
    pub id: &'a MessageId,
    /// The notification, without its position.
    pub notification: &'a str,
}

/// What came of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// All messages are in the log, contiguous behind the expected head.
    Done,
    /// The head was another one: nothing was written.
    HeadMoved,
    /// Some ids are in the log already, at these positions, by the index of their draft: nothing was written.
    Known(BTreeMap<usize, Position>),
}

/// Where a message stands after an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its position.
    pub position: Position,
    /// What the log has of it, where it was there before.
    pub stored: Option<String>,
}

/// The log with its rules, in front of the port.
#[derive(Debug)]
pub struct History<L> {
    log: L,
    keep: Duration,
}

/// How an append that lost against another one is tried again: the winner is done within milliseconds.
fn contention() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(200))
        .with_jitter()
        .without_max_times()
        .build()
}

impl<L: Log> History<L> {
    /// A log whose messages are kept for `keep`.
    pub fn new(log: L, keep: Duration) -> Self {
        Self { log, keep }
    }

    /// The port.
    pub fn log(&self) -> &L {
        &self.log
    }

    /// The port alone.
    pub fn into_log(self) -> L {
        self.log
    }

    /// Appends messages of one stream in their order, and says where each stands. One whose sender has
    /// used its id before stays where it is. At most [`APPEND_MAX_MESSAGES`] and [`APPEND_MAX_BYTES`].
    ///
    /// # Errors
    ///
    /// [`PortError`], also where `deadline` passed: any of the messages may be in the log or not, and
    /// appending them again is safe.
    pub async fn append(
        &self,
        stream: &Stream,
        drafts: &[Draft<'_>],
        now: impl Fn() -> Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Placed>, PortError> {
        let mut positions: Vec<Option<Placed>> = vec![None; drafts.len()];
        // The same id twice in one batch is one message.
        let mut first: HashMap<(&UserId, &MessageId), usize> = HashMap::new();
        let same: Vec<usize> = drafts
            .iter()
            .enumerate()
            .map(|(i, draft)| *first.entry((draft.sender, draft.id)).or_insert(i))
            .collect();

        let attempts = async {
            let mut pauses = contention();
            loop {
                let pending: Vec<usize> = (0..drafts.len())
                    .filter(|&i| same[i] == i && positions[i].is_none())
                    .collect();
                if pending.is_empty() {
                    return Ok(());
                }
                let head = self.log.head(stream, now()).await?;
                // Only now: who connects later than `appended_at` says recovers without the message. A
                // slow read must not make that longer than the leeway of a first recovery.
                let now = now();
                let next = head.clone().unwrap_or_else(|| Position {
                    epoch: Epoch::generate(),
                    offset: 0,
                });
                let batch: Vec<Draft<'_>> = pending.iter().map(|&i| drafts[i].clone()).collect();
                match self
                    .log
                    .append(
                        stream,
                        head.as_ref(),
                        &next.epoch,
                        &batch,
                        now,
                        now.after(self.keep),
                    )
                    .await?
                {
                    Appended::Done => {
                        for (offset, &i) in (next.offset + 1..).zip(&pending) {
                            let position = Position {
                                epoch: next.epoch.clone(),
                                offset,
                            };
                            positions[i] = Some(Placed {
                                position,
                                stored: None,
                            });
                        }
                    }
                    Appended::Known(known) => {
                        for (batch_index, position) in known {
                            let stored = self.log.find(stream, &position, now).await?;
                            let stored = stored.map(|entry| entry.notification);
                            positions[pending[batch_index]] = Some(Placed { position, stored });
                        }
                    }
                    Appended::HeadMoved => sleep(pauses.next().unwrap_or_default()).await,
                }
            }
        };
        timeout_at(deadline, attempts)
            .await
            .map_err(|elapsed| PortError::new("appending to the log in time", elapsed))??;
        let placed = same.iter().enumerate().map(|(i, &first)| {
            let mut placed = positions[first].clone().expect("appended or known");
            if first != i && placed.stored.is_none() {
                placed.stored = Some(drafts[first].notification.to_owned());
            }
            placed
        });
        Ok(placed.collect())
    }
}
