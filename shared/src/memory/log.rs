//! The log in memory, and what a reading of it can meet.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::{MessageId, UserId};
use crate::log::{Appended, Draft, Entry, Epoch, Position, Stream};
use crate::ports::{Log, LogPage, PortError};
use crate::time::Timestamp;

/// The most messages in one page of the log: small too.
pub const LOG_PAGE: usize = 10;

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

/// A page of these rows, the last of which may have expired.
fn page(
    rows: &[&(Entry, Timestamp)],
    head: Option<Position>,
    ended: bool,
    now: Timestamp,
) -> LogPage {
    let live = rows.iter().filter(|(_, until)| *until > now);
    LogPage {
        last: rows.last().map(|(entry, _)| entry.position.clone()),
        entries: live.map(|(entry, _)| entry.clone()).collect(),
        head,
        ended,
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
                .map(|(_, row)| row)
                .collect();
            let ended = rows.len() < LOG_PAGE;
            let head = if ended { stream.head(now) } else { None };
            page(&rows, head, ended, now)
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
                .map(|(_, row)| row)
                .collect();
            let ended = rows.len() < LOG_PAGE;
            let head = if before.is_none() {
                stream.head(now)
            } else {
                None
            };
            page(&rows, head, ended, now)
        });
        Ok(self.torn(page))
    }
}
