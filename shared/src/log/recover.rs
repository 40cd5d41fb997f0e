//! Reading the log for a client that missed something: what can be proven to continue what it has seen.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::sleep;

use super::{Entry, Epoch, History, Position, Stream, StreamKind};
use crate::ports::{Log, PortError};
use crate::time::{LEEWAY, Timestamp};

/// The most that the messages of one `recovered` frame have, in bytes. The frame stays below API
/// Gateway's 128 KiB, with one notification of any size in it.
pub const RECOVERED_MAX_BYTES: usize = 122 * 1024;

/// How long a reading that something is missing in is left to mend itself before the next one, in
/// milliseconds.
const TORN_PAUSES: [u64; 3] = [20, 60, 200];

/// The most pages (of 1 MB, or what the port reads at once) that are read for one who has seen nothing: who
/// was connected for longer, with more than that published, reloads.
const FIRST_PAGES_MAX: usize = 20;

impl<L: Log> History<L> {
    /// What a client has missed of a stream: behind `seen`, or, where it has seen nothing, since
    /// `connected_at`. As much as fits one frame.
    ///
    /// # Errors
    ///
    /// [`PortError`] where the log could not be read.
    pub async fn recover(
        &self,
        stream: &Stream,
        seen: Option<&Position>,
        connected_at: Timestamp,
        now: Timestamp,
    ) -> Result<Recovered, PortError> {
        // Boxed: the compiler measures nested futures only to a certain depth.
        let mut pauses = TORN_PAUSES.into_iter();
        loop {
            let read = match seen {
                Some(seen) => Box::pin(self.recover_behind(stream, seen, now)).await?,
                None => Box::pin(self.recover_since(stream, connected_at, now)).await?,
            };
            match (read, pauses.next()) {
                (Read::Continuous(recovered), _) => return Ok(recovered),
                (Read::Torn, Some(pause)) => sleep(Duration::from_millis(pause)).await,
                (Read::Torn | Read::Gone, _) => return self.incomplete(stream, now).await,
            }
        }
    }

    async fn recover_behind(
        &self,
        stream: &Stream,
        seen: &Position,
        now: Timestamp,
    ) -> Result<Read, PortError> {
        let page = self.log.read(stream, seen, now).await?;
        let mut recovered = Recovered::new(stream.kind());
        let mut last = seen.clone();
        let mut full = false;
        let own = |entry: &&Entry| entry.position.epoch == seen.epoch;
        for entry in page.entries.iter().filter(own) {
            // What is behind a hole is asked for next time.
            if entry.position.offset != last.offset + 1 || !recovered.push(entry) {
                full = true;
                break;
            }
            last = entry.position.clone();
        }
        let goes_on = last.offset > seen.offset;
        (recovered.head, recovered.more) = match page.head {
            Some(head) if head.epoch != last.epoch => return Ok(Read::Gone),
            _ if full && !goes_on => return Ok(Read::Torn),
            Some(head) if full => (Some(head), true),
            // The page goes up to the head, which is the last message, or one that is not visible yet.
            Some(head) if head.offset > last.offset && goes_on => (Some(head), true),
            Some(head) if head.offset > last.offset => return Ok(Read::Torn),
            Some(head) if head.offset < seen.offset => return Ok(Read::Torn),
            // Also where the messages were read after the commit of the last ones, and the head before it.
            Some(_) => (Some(last), false),
            // The end of the stream, of which there is no head: it is lost, or there never was one. Or a
            // page of other epochs only.
            None if page.ended || last == *seen => return Ok(Read::Gone),
            None => (Some(last), true),
        };
        Ok(Read::Continuous(recovered))
    }

    async fn recover_since(
        &self,
        stream: &Stream,
        connected_at: Timestamp,
        now: Timestamp,
    ) -> Result<Read, PortError> {
        // The clocks of API Gateway and of who appended differ: a little too much does no harm.
        let since = Timestamp::from_millis(
            connected_at
                .as_millis()
                .saturating_sub(LEEWAY.as_millis() as u64),
        );
        let page = self.log.read_back(stream, None, now).await?;
        let mut head = match &page.head {
            Some(head) => head.clone(),
            // The client needs a position to come back with: the stream begins here.
            None => self.begin(stream, now).await?,
        };
        if page.head.is_none() && head.offset > 0 {
            return Ok(Read::Torn); // somebody published in between
        }
        let (mut begin, mut page, mut pages) = (head.clone(), page, 1);
        let (mut entries, mut bytes) = (VecDeque::new(), 0);
        let mut saw_last = head.offset == 0;
        loop {
            // Of a page of expired messages nothing is left, and nothing older either.
            let mut reached = page.ended || page.entries.is_empty();
            for entry in page.entries {
                let position = &entry.position;
                if position.epoch == head.epoch && position.offset > head.offset {
                    continue; // committed after the head was read
                }
                if position.epoch == head.epoch && !saw_last {
                    // Later ones are not visible yet. The client finds them behind this position.
                    (head, begin) = (position.clone(), position.clone());
                    saw_last = true;
                }
                let is_next = position.epoch == begin.epoch && position.offset == begin.offset;
                if !is_next && begin.offset > 0 && entry.appended_at >= since {
                    return Ok(Read::Torn);
                }
                if !is_next || entry.appended_at < since {
                    reached = true;
                    break;
                }
                begin.offset -= 1;
                bytes += entry.notification.len();
                entries.push_back(entry);
                // Only the oldest fit: the newest of a long list are not kept.
                while bytes > 2 * RECOVERED_MAX_BYTES {
                    bytes -= entries
                        .pop_front()
                        .map_or(0, |entry| entry.notification.len());
                }
            }
            if reached {
                break;
            }
            if pages == FIRST_PAGES_MAX {
                return Ok(Read::Gone);
            }
            let before = Position {
                offset: begin.offset + 1,
                ..begin.clone()
            };
            page = self.log.read_back(stream, Some(&before), now).await?;
            pages += 1;
        }
        if !saw_last {
            return Ok(Read::Torn);
        }
        let mut recovered = Recovered::new(stream.kind());
        for entry in entries.iter().rev() {
            if !recovered.push(entry) {
                break;
            }
        }
        let last = if recovered.messages.is_empty() {
            begin.offset
        } else {
            recovered.last
        };
        recovered.more = last < head.offset;
        recovered.head = Some(head);
        Ok(Read::Continuous(recovered))
    }

    async fn incomplete(&self, stream: &Stream, now: Timestamp) -> Result<Recovered, PortError> {
        let head = match self.log.head(stream, now).await? {
            Some(head) => head,
            // What follows the reload is not lost to a client that is away then.
            None => self.begin(stream, now).await?,
        };
        Ok(Recovered {
            head: Some(head),
            complete: false,
            ..Recovered::new(stream.kind())
        })
    }

    /// Where a stream ends, that may be one of which nothing is kept: it begins then.
    async fn begin(&self, stream: &Stream, now: Timestamp) -> Result<Position, PortError> {
        let expires_at = now.after(self.keep);
        self.log
            .begin(stream, &Epoch::generate(), now, expires_at)
            .await
    }
}

/// What one reading of the log shows. A Query is no snapshot: of a transaction that commits meanwhile it may
/// show the head without the messages, some messages without others, or messages without the head (DynamoDB,
/// "Isolation levels for transactions": read-committed).
enum Read {
    Continuous(Recovered),
    /// Something is missing. A little later it is there, unless it is lost.
    Torn,
    /// It cannot be continued, whenever one looks.
    Gone,
}

/// The answer to `recover`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Which stream.
    pub kind: StreamKind,
    /// The stream's end, as far as it was read; none where the log was lost.
    pub head: Option<Position>,
    /// Notification frames with their positions, in order.
    pub messages: Vec<String>,
    /// Whether more messages follow the last of these.
    pub more: bool,
    /// False where what the client has seen cannot be continued: the application must reload.
    pub complete: bool,
    last: u64,
    bytes: usize,
}

impl Recovered {
    fn new(kind: StreamKind) -> Self {
        Self {
            kind,
            head: None,
            messages: Vec::new(),
            more: false,
            complete: true,
            last: 0,
            bytes: 0,
        }
    }

    /// Takes one more message, if it fits the frame.
    fn push(&mut self, entry: &Entry) -> bool {
        let frame = entry.to_frame(self.kind);
        if self.bytes + frame.len() + 1 > RECOVERED_MAX_BYTES {
            return false;
        }
        self.bytes += frame.len() + 1;
        self.last = entry.position.offset;
        self.messages.push(frame);
        true
    }
}
