//! The order of notifications where the deployment keeps a log: each of a stream is shown once, one
//! offset after the other, and what did not arrive is asked for. This is all that a client has to know
//! to miss nothing; it does no input or output and has no clock.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use hermes::log::{Position, StreamKind};

/// How many notifications of a stream wait for an earlier one. What goes beyond is asked for instead.
const WAITING_MAX: usize = 256;

/// Where the streams of the room and of the user end, as far as it was told.
pub(super) type Heads = (Option<Position>, Option<Position>);

/// How soon the server is to be asked for what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// At once: on a new connection, and where more is known to follow.
    Now,
    /// In a moment: notifications overtake each other, and the missing one may be on its way.
    Soon,
    /// After a while: the server could not answer.
    Later,
}

/// A question for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Of which stream.
    pub(super) kind: StreamKind,
    /// What was seen of it.
    pub(super) seen: Option<Position>,
    /// Tells its answer from those to earlier ones.
    pub(super) number: u64,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recovered<T> {
    /// The stream's end; none where the log was lost.
    pub(super) head: Option<Position>,
    /// Offsets and notifications of the head's epoch, in order.
    pub(super) messages: Vec<(u64, T)>,
    /// Whether more follow, also where the head is the last of these.
    pub(super) more: bool,
    /// Whether they continue what was seen.
    pub(super) complete: bool,
}

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown<T> {
    /// The next notification.
    Next(T),
    /// What lies between the last one and the next cannot be had any more.
    Gone(StreamKind),
}

/// Both streams of a listener, over all its connections.
#[derive(Debug)]
pub(super) struct Order<T> {
    room: Stream<T>,
    user: Stream<T>,
    requests: u64,
    /// Whether the deployment keeps a log: not known before the first answer.
    log: Option<bool>,
}

impl<T> Order<T> {
    /// Before the first connection.
    pub(super) fn new() -> Self {
        Self {
            room: Stream::new(),
            user: Stream::new(),
            requests: 0,
            log: None,
        }
    }

    /// Whether the deployment keeps a log, if that is known.
    pub(super) fn has_log(&self) -> Option<bool> {
        self.log
    }

    /// There is a new connection: what came about meanwhile is asked for. A deployment that had no log
    /// may have got one.
    pub(super) fn connected(&mut self) {
        for kind in KINDS {
            let stream = self.stream(kind);
            (stream.asked, stream.due) = (None, Some(Need::Now));
        }
    }

    /// A notification with its place came. Gives what can be shown now.
    pub(super) fn take(&mut self, kind: StreamKind, position: Position, item: T) -> Vec<T> {
        if self.log == Some(false) {
            return vec![item];
        }
        self.stream(kind).take(position, item)
    }

    /// A `pong` came: whoever is behind these has missed something.
    pub(super) fn heads(&mut self, (room, user): Heads) {
        room.into_iter()
            .for_each(|head| self.room.is_at_least_at(head));
        user.into_iter()
            .for_each(|head| self.user.is_at_least_at(head));
    }

    /// An answer came. Gives what can be shown now: nothing, where it is not the answer to the last
    /// question.
    pub(super) fn recovered(&mut self, number: u64, answer: Recovered<T>) -> Vec<Shown<T>> {
        let Some(kind) = self.asked(number) else {
            return Vec::new();
        };
        self.log = Some(true);
        self.stream(kind).recovered(kind, answer)
    }

    /// The server does not know the question: there is no log, and notifications are shown as they
    /// come. Gives those that have waited.
    pub(super) fn has_none(&mut self, number: u64) -> Vec<T> {
        if self.asked(number).is_none() {
            return Vec::new();
        }
        self.log = Some(false);
        let waiting = KINDS.map(|kind| std::mem::replace(self.stream(kind), Stream::new()).waiting);
        let items = waiting.into_iter().flat_map(BTreeMap::into_values);
        items.map(|(_, item)| item).collect()
    }

    /// The server could not answer.
    pub(super) fn failed(&mut self, number: u64) {
        if let Some(kind) = self.asked(number) {
            self.stream(kind).ask_again();
        }
    }

    /// No answer came in time.
    pub(super) fn unanswered(&mut self) {
        for kind in KINDS {
            if self.stream(kind).asked.is_some() {
                self.stream(kind).ask_again();
            }
        }
    }

    /// Whether answers are being waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.room.asked.is_some() || self.user.asked.is_some()
    }

    /// Whether, and how soon, there is something to ask.
    pub(super) fn need(&self) -> Option<Need> {
        [self.room.need(), self.user.need()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What there is to ask. It counts as asked from now on.
    pub(super) fn requests(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        for kind in KINDS {
            if self.stream(kind).need().is_some() {
                self.requests += 1;
                let number = self.requests;
                let seen = self.stream(kind).ask(number);
                requests.push(Request { kind, seen, number });
            }
        }
        requests
    }

    fn asked(&self, number: u64) -> Option<StreamKind> {
        match Some(number) {
            number if self.room.asked == number => Some(StreamKind::Room),
            number if self.user.asked == number => Some(StreamKind::User),
            _ => None,
        }
    }

    fn stream(&mut self, kind: StreamKind) -> &mut Stream<T> {
        match kind {
            StreamKind::Room => &mut self.room,
            StreamKind::User => &mut self.user,
        }
    }
}

const KINDS: [StreamKind; 2] = [StreamKind::Room, StreamKind::User];

#[derive(Debug)]
struct Stream<T> {
    /// The last one that was shown; none before the first answer, which says where to begin.
    place: Option<Position>,
    /// Notifications that came before those in front of them.
    waiting: BTreeMap<u64, (Position, T)>,
    /// How far the stream goes at least, where that is not shown yet.
    ahead: Option<Position>,
    /// The question whose answer is being waited for.
    asked: Option<u64>,
    /// Whether to ask, whatever else is known.
    due: Option<Need>,
}

impl<T> Stream<T> {
    fn new() -> Self {
        Self {
            place: None,
            waiting: BTreeMap::new(),
            ahead: None,
            asked: None,
            due: None,
        }
    }

    fn take(&mut self, position: Position, item: T) -> Vec<T> {
        if self.covers(&position) {
            return Vec::new();
        }
        self.is_at_least_at(position.clone());
        self.wait(position, item);
        self.drain()
    }

    fn recovered(&mut self, kind: StreamKind, answer: Recovered<T>) -> Vec<Shown<T>> {
        (self.asked, self.due) = (None, None);
        let before = self.place.clone();
        let mut shown = Vec::new();
        let continues = |place: &Position| {
            answer.complete
                && answer
                    .head
                    .as_ref()
                    .is_some_and(|head| head.epoch == place.epoch)
        };
        if self.place.as_ref().is_some_and(|place| !continues(place)) {
            shown.push(Shown::Gone(kind));
            self.place = answer.head.clone();
        }
        let Some(head) = answer.head else {
            // The log is lost. The next question, without a place, begins a new one.
            self.due = Some(if before.is_some() {
                Need::Now
            } else {
                Need::Later
            });
            return shown;
        };
        let at = |offset| Position {
            epoch: head.epoch.clone(),
            offset,
        };
        if self.place.is_none() {
            // A push may have come before the first answer, also on an earlier connection: not behind it.
            let first = answer
                .messages
                .first()
                .map_or(head.offset, |(offset, _)| offset.saturating_sub(1));
            let waiting = self.waiting.values().map(|(position, _)| position);
            let waiting = waiting.filter(|position| position.epoch == head.epoch);
            let begin = waiting
                .map(|position| position.offset.saturating_sub(1))
                .fold(first, u64::min);
            self.place = Some(at(begin));
        }
        for (offset, item) in answer.messages {
            shown.extend(self.drain().into_iter().map(Shown::Next));
            let position = at(offset);
            if self.is_next(&position) {
                self.place = Some(position);
                shown.push(Shown::Next(item));
            } else if !self.covers(&position) {
                self.wait(position, item);
            }
        }
        self.is_at_least_at(head);
        shown.extend(self.drain().into_iter().map(Shown::Next));
        if self.ahead.is_some() || answer.more {
            // Where the answer was of no use, the next one will be the same for a while.
            let helped = self.place != before;
            self.due = Some(if helped { Need::Now } else { Need::Later });
        }
        shown
    }

    fn is_next(&self, position: &Position) -> bool {
        self.place.as_ref().is_some_and(|place| {
            position.epoch == place.epoch && position.offset == place.offset + 1
        })
    }

    /// Shows what waits, as far as nothing is missing.
    fn drain(&mut self) -> Vec<T> {
        let mut shown = Vec::new();
        while let Some(place) = &self.place
            && let Some(entry) = self.waiting.first_entry()
        {
            let (position, _) = entry.get();
            if position.epoch == place.epoch && position.offset > place.offset + 1 {
                break;
            }
            // What is not the next one was shown before, or belongs to another epoch.
            let (position, item) = entry.remove();
            if self.is_next(&position) {
                self.place = Some(position);
                shown.push(item);
            }
        }
        if self.ahead.as_ref().is_some_and(|ahead| self.covers(ahead)) {
            self.ahead = None;
        }
        shown
    }

    fn wait(&mut self, position: Position, item: T) {
        self.waiting.insert(position.offset, (position, item));
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_last();
        }
    }

    /// Whether this was shown, or is not to be shown.
    fn covers(&self, position: &Position) -> bool {
        self.place
            .as_ref()
            .is_some_and(|place| place.epoch == position.epoch && place.offset >= position.offset)
    }

    fn is_at_least_at(&mut self, position: Position) {
        let is_further = self
            .ahead
            .as_ref()
            .is_none_or(|ahead| ahead.epoch != position.epoch || ahead.offset < position.offset);
        if is_further && !self.covers(&position) {
            self.ahead = Some(position);
        }
    }

    fn need(&self) -> Option<Need> {
        if self.asked.is_some() {
            return None;
        }
        let is_behind = self.ahead.is_some() || !self.waiting.is_empty();
        self.due.or(is_behind.then_some(Need::Soon))
    }

    /// What was seen, for a question. The answer covers all that was known of before it.
    fn ask(&mut self, number: u64) -> Option<Position> {
        (self.asked, self.due, self.ahead) = (Some(number), None, None);
        self.place.clone()
    }

    fn ask_again(&mut self) {
        (self.asked, self.due) = (None, Some(Need::Later));
    }
}
