//! What is true: every message that the log took, in its order, and every answer that said so. What is
//! pushed and recovered is compared with it at once, the answers at the end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hermes::log::{Draft, Position, Stream, with_position};
use hermes::{RoomId, Timestamp, UserId};

/// How far two machines' clocks are apart at most, and a second for rounding.
const TOLERANCE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Ledger {
    streams: BTreeMap<String, Vec<Accepted>>,
    /// Where each notification frame belongs that may be seen.
    frames: HashMap<String, (Stream, Position)>,
    pub(crate) acks: Vec<Ack>,
    /// Bodies that are no messages, and were enqueued.
    pub(crate) rubbish: Vec<String>,
    violation: Option<String>,
}

/// A message that the log took.
pub(crate) struct Accepted {
    pub(crate) position: Position,
    pub(crate) sender: String,
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    expires_at: Timestamp,
}

impl Accepted {
    /// Whether the log still has it, by any clock.
    pub(crate) fn is_kept(&self, now: Timestamp) -> bool {
        self.expires_at > now.after(TOLERANCE)
    }
}

/// What a producer was told.
pub(crate) struct Ack {
    pub(crate) stream: Stream,
    pub(crate) sender: String,
    pub(crate) id: String,
    pub(crate) via: Via,
}

/// How it was told.
pub(crate) enum Via {
    /// By `send-message`, with the position.
    Log(Option<Position>),
    /// By the queue.
    Queue,
}

impl Ledger {
    /// Remembers the first thing that is wrong.
    pub(crate) fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    pub(crate) fn violation(&self) -> Option<&String> {
        self.violation.as_ref()
    }

    /// The log took messages behind `begin`.
    pub(crate) fn append(
        &mut self,
        stream: &Stream,
        begin: &Position,
        drafts: &[Draft<'_>],
        now: Timestamp,
        expires_at: Timestamp,
    ) {
        let accepted = self.streams.entry(stream.key()).or_default();
        let mut wrong = Vec::new();
        match accepted.last() {
            Some(last) if last.position == *begin => {}
            Some(last) if last.position.epoch == begin.epoch => {
                wrong.push(format!("a hole: {begin:?} behind {:?}", last.position));
            }
            Some(last) if last.is_kept(now) => {
                wrong.push(format!("{begin:?} begins anew behind {:?}", last.position));
            }
            _ if begin.offset != 0 => wrong.push(format!("the first message is behind {begin:?}")),
            _ => {}
        }
        for (offset, draft) in (begin.offset + 1..).zip(drafts) {
            let (sender, id) = (draft.sender.as_str(), draft.id.as_str());
            let twice = accepted.iter().rev().find(|accepted| {
                accepted.id == id
                    && accepted.sender == sender
                    && accepted.position.epoch == begin.epoch
                    && accepted.is_kept(now)
            });
            if let Some(twice) = twice {
                let first = &twice.position;
                wrong.push(format!(
                    "{id} of {sender} at {offset} is at {first:?} already"
                ));
            }
            let epoch = begin.epoch.clone();
            let position = Position { epoch, offset };
            let frame = with_position(draft.notification, stream.kind(), &position);
            self.frames
                .insert(frame, (stream.clone(), position.clone()));
            accepted.push(Accepted {
                position,
                sender: sender.to_owned(),
                id: id.to_owned(),
                at: now,
                expires_at,
            });
        }
        for what in wrong {
            self.violate(format!("{}: {what}", stream.key()));
        }
    }

    /// What the log took, stream by stream.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (&String, &Vec<Accepted>)> {
        self.streams.iter()
    }

    /// What the log took of a stream.
    pub(crate) fn accepted(&self, stream: &Stream) -> &[Accepted] {
        self.streams.get(&stream.key()).map_or(&[], Vec::as_slice)
    }

    /// Where a message with this id stands that this sender sent to a stream.
    pub(crate) fn find(&self, stream: &Stream, sender: &str, id: &str) -> Option<&Accepted> {
        let mut accepted = self.accepted(stream).iter();
        accepted.find(|accepted| accepted.id == id && accepted.sender == sender)
    }

    /// A notification frame reached a connection: where it stands in the log.
    pub(crate) fn see(&mut self, room: &RoomId, user: &UserId, frame: &str) -> Option<Position> {
        let Some((stream, position)) = self.frames.get(frame) else {
            self.violate(format!("not in the log: {frame}"));
            return None;
        };
        let is_theirs = stream.room == *room && stream.user.as_ref().is_none_or(|to| to == user);
        let position = position.clone();
        if !is_theirs {
            self.violate(format!("{user} in {room} received {frame}"));
        }
        Some(position)
    }
}
