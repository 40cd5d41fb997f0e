//! One stream as a client follows it: applies what is next, keeps what is early, asks for what is
//! missing. What it is shown is compared with the ledger on the way.

use std::collections::BTreeMap;

use hermes::Timestamp;
use hermes::log::{Position, Stream};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::world::World;

/// What the protocol tells a client to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Wait,
    /// Ask what is missing.
    Recover,
}

/// The `data` of a `recovered` frame.
#[derive(Deserialize)]
pub(crate) struct Recovered<'a> {
    pub(crate) stream: &'a str,
    epoch: Option<&'a str>,
    head: u64,
    complete: bool,
    more: bool,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

pub(crate) struct Reader {
    pub(crate) stream: Stream,
    /// The last message that the application has, or where it began.
    position: Option<Position>,
    /// Since when the application has a right to every message.
    begun_at: Option<Timestamp>,
    /// Frames that came while an answer was awaited, or too early.
    early: BTreeMap<(String, u64), String>,
    /// The reference of the question that is out, when it was asked, and when it is asked again.
    asked: Option<(String, Timestamp, Instant)>,
}

impl Reader {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            position: None,
            begun_at: None,
            early: BTreeMap::new(),
            asked: None,
        }
    }

    /// How frames name the stream.
    pub(crate) fn kind(&self) -> &'static str {
        if self.stream.user.is_some() {
            "user"
        } else {
            "room"
        }
    }

    pub(crate) fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// A connection began: whatever was asked is asked again.
    pub(crate) fn connected(&mut self) {
        self.early.clear();
        self.asked = None;
    }

    /// When to ask again.
    pub(crate) fn patience(&self) -> Option<Instant> {
        self.asked.as_ref().map(|(_, _, until)| *until)
    }

    /// The answer was an error: asks again soon.
    pub(crate) fn refused(&mut self, reference: &str, again: Instant) {
        if let Some((asked, _, until)) = &mut self.asked
            && asked == reference
        {
            *until = again;
        }
    }

    /// The question, with the reference.
    pub(crate) fn question(&mut self, reference: String, now: Timestamp, until: Instant) -> String {
        let seen = self.position.as_ref().map_or(String::new(), |position| {
            let (epoch, offset) = (position.epoch.as_str(), position.offset);
            format!(r#","epoch":"{epoch}","offset":{offset}"#)
        });
        let kind = self.kind();
        let frame =
            format!(r#"{{"action":"recover","ref":"{reference}","stream":"{kind}"{seen}}}"#);
        self.asked = Some((reference, now, until));
        frame
    }

    /// A notification was pushed.
    pub(crate) fn pushed(&mut self, world: &World, position: Position, frame: &str) -> Next {
        let next = match &self.position {
            _ if self.asked.is_some() => None,
            Some(last) if last.epoch == position.epoch => {
                if position.offset <= last.offset {
                    return Next::Wait;
                }
                (position.offset == last.offset + 1).then(|| position.clone())
            }
            _ => None,
        };
        if let Some(next) = next {
            self.apply(world, next);
            return Next::Wait;
        }
        let key = (position.epoch.as_str().to_owned(), position.offset);
        self.early.insert(key, frame.to_owned());
        if self.asked.is_some() {
            Next::Wait
        } else {
            Next::Recover
        }
    }

    /// A pong told where the stream ends.
    pub(crate) fn ends_at(&self, head: Option<&Position>) -> Next {
        let is_behind = match (head, &self.position) {
            (None, last) => last.as_ref().is_some_and(|last| last.offset > 0),
            (Some(_), None) => true,
            (Some(head), Some(last)) => head.epoch != last.epoch || head.offset > last.offset,
        };
        if is_behind && self.asked.is_none() {
            Next::Recover
        } else {
            Next::Wait
        }
    }

    /// An answer came.
    pub(crate) fn recovered(
        &mut self,
        world: &World,
        reference: &str,
        connected_at: Timestamp,
        answer: &Recovered<'_>,
    ) -> Next {
        let Some((_, asked_at, _)) = self.asked.take_if(|(asked, _, _)| asked == reference) else {
            return Next::Wait;
        };
        let epoch = answer.epoch.map(|epoch| epoch.parse().expect("an epoch"));
        let head = epoch.map(|epoch| Position {
            epoch,
            offset: answer.head,
        });
        if !answer.complete {
            self.reload(world, asked_at, head);
            return Next::Wait;
        }
        let messages: Vec<Position> = answer
            .messages
            .iter()
            .filter_map(|frame| self.see(world, frame.get()))
            .collect();
        if self.position.is_none() {
            let first = messages.first().map(|first| Position {
                offset: first.offset - 1,
                ..first.clone()
            });
            self.begin(world, connected_at, asked_at, first.or(head));
        }
        for position in messages {
            self.apply(world, position);
        }
        if answer.more {
            return Next::Recover;
        }
        self.catch_up(world)
    }

    /// Nothing was seen before: what follows `after` will be.
    fn begin(
        &mut self,
        world: &World,
        connected_at: Timestamp,
        asked_at: Timestamp,
        after: Option<Position>,
    ) {
        let since = *self.begun_at.get_or_insert(connected_at);
        if let Some(after) = &after {
            let ledger = world.ledger();
            let missed = ledger.accepted(&self.stream).iter().find(|accepted| {
                let is_behind = if accepted.position.epoch == after.epoch {
                    accepted.position.offset > after.offset
                } else {
                    // An epoch that begins while the answer is under way: the client is told to reload.
                    accepted.at >= asked_at
                };
                // The log keeps messages for longer than a connection lives; a schedule may not.
                accepted.at >= since && !is_behind && accepted.is_kept(world.now())
            });
            let missed = missed.map(|missed| missed.position.clone());
            drop(ledger);
            if let Some(missed) = missed {
                self.violate(
                    world,
                    format!("began behind {after:?}, and misses {missed:?}"),
                );
            }
        }
        self.position = after;
    }

    /// The application was told that messages are gone.
    fn reload(&mut self, world: &World, now: Timestamp, head: Option<Position>) {
        world.tell("reload", || {
            format!("{} {:?} -> {head:?}", self.stream.key(), self.position)
        });
        if !world.schedule.expires() {
            let last = &self.position;
            self.violate(
                world,
                format!("told to reload at {last:?}, and nothing is lost"),
            );
        }
        self.begun_at = Some(now);
        self.position = head;
        self.early.clear();
    }

    /// After an answer: what came meanwhile.
    fn catch_up(&mut self, world: &World) -> Next {
        let Some(last) = self.position.clone() else {
            let is_behind = !self.early.is_empty();
            self.early.clear();
            return if is_behind { Next::Recover } else { Next::Wait };
        };
        let epoch = last.epoch.as_str().to_owned();
        for ((of, offset), _) in std::mem::take(&mut self.early) {
            let last = self.position.as_ref().map_or(0, |last| last.offset);
            // What is of another life of the stream is older, or the next pong tells.
            if of != epoch || offset <= last {
                continue;
            }
            if offset > last + 1 {
                return Next::Recover;
            }
            let epoch = last_epoch(self);
            self.apply(world, Position { epoch, offset });
        }
        Next::Wait
    }

    fn see(&self, world: &World, frame: &str) -> Option<Position> {
        let user = self
            .stream
            .user
            .clone()
            .unwrap_or_else(hermes::UserId::system);
        world.ledger().see(&self.stream.room, &user, frame)
    }

    /// The application gets the next message.
    fn apply(&mut self, world: &World, next: Position) {
        let is_next = self
            .position
            .as_ref()
            .is_some_and(|last| next.offset == last.offset + 1 && last.epoch == next.epoch);
        if !is_next {
            let last = &self.position;
            self.violate(world, format!("{next:?} applied behind {last:?}"));
        }
        self.position = Some(next);
    }

    fn violate(&self, world: &World, what: String) {
        let stream = self.stream.key();
        world.tell("violation", || what.clone());
        world
            .ledger()
            .violate(format!("a client of {stream} {what}"));
    }
}

fn last_epoch(reader: &Reader) -> hermes::log::Epoch {
    let last = reader.position.as_ref().expect("it has begun");
    last.epoch.clone()
}
