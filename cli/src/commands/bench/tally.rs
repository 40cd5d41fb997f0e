//! What was sent when, and what arrived.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

/// How often it is looked whether everything is here.
const GLANCE: Duration = Duration::from_millis(20);

/// An hour: longer than a run waits for anything.
const LONGEST_US: u64 = 60 * 60 * 1_000_000;

/// Counts for all sockets.
pub(super) struct Tally {
    run: String,
    rooms: usize,
    sent: Vec<OnceLock<Instant>>,
    counts: Mutex<Counts>,
}

/// What arrived so far.
pub(super) struct Counts {
    /// Notifications, each once for each socket.
    pub(super) received: usize,
    /// Notifications that a socket had before.
    pub(super) duplicated: usize,
    /// Microseconds.
    pub(super) latencies: Histogram<u64>,
}

/// Which messages of its room one socket has seen.
pub(super) struct Seen(Vec<bool>);

/// The part of a notification that says which message it is.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    run: &'a str,
    n: usize,
}

impl Tally {
    /// Of a run with so many messages, which go to the rooms in turn.
    pub(super) fn new(messages: usize, rooms: usize, run: &str) -> Self {
        let latencies = Histogram::new_with_max(LONGEST_US, 3).expect("the bounds are allowed");
        Self {
            run: run.to_owned(),
            rooms,
            sent: (0..messages).map(|_| OnceLock::new()).collect(),
            counts: Mutex::new(Counts {
                received: 0,
                duplicated: 0,
                latencies,
            }),
        }
    }

    /// How many messages the run has.
    pub(super) fn messages(&self) -> usize {
        self.sent.len()
    }

    /// Nothing seen yet.
    pub(super) fn seen(&self) -> Seen {
        Seen(vec![false; self.sent.len().div_ceil(self.rooms)])
    }

    /// A message is sent now.
    pub(super) fn send(&self, message: usize) {
        let _ = self.sent[message].set(Instant::now());
    }

    /// A frame has come to a socket. Others than those of this run are not counted.
    pub(super) fn receive(&self, frame: &str, seen: &mut Seen) {
        let now = Instant::now();
        let Ok(Frame { data }) = serde_json::from_str::<Frame<'_>>(frame) else {
            return;
        };
        let sent = self.sent.get(data.n).and_then(OnceLock::get);
        let Some(sent) = sent.filter(|_| data.run == self.run) else {
            return;
        };
        let mut counts = self.counts();
        if std::mem::replace(&mut seen.0[data.n / self.rooms], true) {
            counts.duplicated += 1;
            return;
        }
        counts.received += 1;
        let latency = now.duration_since(*sent).as_micros();
        let latency = u64::try_from(latency).unwrap_or(u64::MAX);
        counts.latencies.saturating_record(latency);
    }

    /// What arrived so far.
    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many notifications are here, or the patience is at its end.
    pub(super) async fn until(&self, expected: usize, patience: Duration, bar: &ProgressBar) {
        let deadline = Instant::now() + patience;
        loop {
            let received = self.counts().received;
            bar.set_position(received as u64);
            if received >= expected || Instant::now() >= deadline {
                return;
            }
            sleep(GLANCE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(run: &str, n: usize) -> String {
        format!(
            r#"{{"user_id":"system","data":{{"type":"hermes.bench","run":"{run}","n":{n},"pad":""}}}}"#
        )
    }

    #[test]
    fn a_notification_counts_once_for_each_socket() {
        let tally = Tally::new(2, 1, "run");
        let (mut one, mut other) = (tally.seen(), tally.seen());
        tally.send(0);
        std::thread::sleep(Duration::from_millis(3));
        tally.receive(&frame("run", 0), &mut one);
        tally.receive(&frame("run", 0), &mut other);
        tally.receive(&frame("run", 0), &mut other);
        // Of another run, not sent yet, unknown, no notification.
        tally.receive(&frame("other", 0), &mut one);
        tally.receive(&frame("run", 1), &mut one);
        tally.receive(&frame("run", 2), &mut one);
        tally.receive(r#"{"system":"pong","data":{}}"#, &mut one);
        let counts = tally.counts();
        assert_eq!((counts.received, counts.duplicated), (2, 1));
        assert_eq!(counts.latencies.len(), 2);
        assert!(counts.latencies.min() >= 3000, "microseconds");
    }

    #[test]
    fn a_socket_remembers_the_messages_of_its_own_room_alone() {
        let tally = Tally::new(5, 2, "run");
        let mut seen = tally.seen();
        assert_eq!(seen.0.len(), 3);
        for n in [0, 2, 4, 4] {
            tally.send(n);
            tally.receive(&frame("run", n), &mut seen);
        }
        let counts = tally.counts();
        assert_eq!((counts.received, counts.duplicated), (3, 1));
    }
}
