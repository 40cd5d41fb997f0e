//! The messages of a run: at a steady rate, whether the stack keeps up or not.

use std::future::pending;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use hermes::time::{Clock as _, SystemClock};
use hermes::{Message, MessageId, RoomId, UserId};
use indicatif::ProgressBar;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::time::{Instant, sleep_until};

use super::tally::Tally;
use crate::queue::{Entry, Queue};

/// Messages that are due within this time go to SQS together.
const TICK: Duration = Duration::from_millis(20);

/// How many ticks are under way at the same time.
const CONCURRENCY: usize = 64;

/// Where to, how often, how large.
pub(super) struct Load<'a> {
    pub(super) queue: &'a Queue,
    pub(super) rooms: &'a [RoomId],
    pub(super) run: &'a str,
    pub(super) bytes: usize,
    pub(super) rate: f64,
}

/// What came of it.
pub(super) struct Sent {
    /// How many messages SQS took, for each room.
    pub(super) accepted: Vec<usize>,
    /// How many it did not take, and the first reason.
    pub(super) refused: usize,
    pub(super) reason: Option<String>,
    /// Whether it was ended before all were sent, or before all had arrived.
    pub(super) interrupted: bool,
    /// How long it took.
    pub(super) took: Duration,
}

impl Load<'_> {
    /// Sends every message of the tally, until `stop`.
    pub(super) async fn run(
        &self,
        tally: &Tally,
        bar: &ProgressBar,
        stop: impl Future<Output = ()>,
    ) -> Sent {
        let messages = tally.messages();
        let start = Instant::now();
        let mut sent = Sent {
            accepted: vec![0; self.rooms.len()],
            refused: 0,
            reason: None,
            interrupted: false,
            took: Duration::ZERO,
        };
        let mut tried = 0;
        let ticks = stream::unfold(0, |first| async move {
            if first >= messages {
                return None;
            }
            sleep_until(start + self.due(first)).await;
            let behind = start.elapsed() + TICK;
            let mut next = first + 1;
            while next < messages && self.due(next) <= behind {
                next += 1;
            }
            Some((first..next, next))
        });
        let mut outcomes = ticks
            .take_until(stop)
            .map(|tick| async move {
                let entries: Vec<Entry> = tick.clone().map(|n| self.entry(n)).collect();
                tick.clone().for_each(|n| tally.send(n));
                (tick, self.queue.send(&entries, pending(), |_| {}).await)
            })
            .buffer_unordered(CONCURRENCY)
            .boxed_local();
        while let Some((tick, outcome)) = outcomes.next().await {
            tried += tick.len();
            bar.set_position(tried as u64);
            for index in &outcome.confirmed {
                sent.accepted[(tick.start + index) % self.rooms.len()] += 1;
            }
            sent.refused += tick.len() - outcome.confirmed.len();
            let reason = outcome.failure.map(|failure| failure.to_string());
            let reason = reason.or_else(|| outcome.refused.into_iter().next().map(|(_, why)| why));
            sent.reason = sent.reason.or(reason);
        }
        sent.interrupted = tried < messages;
        sent.took = start.elapsed();
        sent
    }

    fn due(&self, message: usize) -> Duration {
        Duration::from_secs_f64(message as f64 / self.rate)
    }

    fn entry(&self, n: usize) -> Entry {
        let data = |pad: &str| {
            let data = json!({"type": "hermes.bench", "run": self.run, "n": n, "pad": pad});
            to_raw_value(&data).expect("JSON")
        };
        let pad = self.bytes.saturating_sub(data("").get().len());
        let message = Message {
            sender: UserId::system(),
            data: data(&"x".repeat(pad)),
            room: self.rooms[n % self.rooms.len()].clone(),
            id: MessageId::generate(),
            sent_at: SystemClock.now(),
            to: None,
        };
        Entry {
            line: n + 1,
            body: message.to_queue_body().expect("--bytes is bounded"),
            sequence: message.sequence(),
            id: message.id,
        }
    }
}
