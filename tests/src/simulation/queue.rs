//! The SQS model: at least once, with a visibility timeout and a dead-letter queue; standard in no
//! order, FIFO with groups and deduplication.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use hermes::Timestamp;
use hermes::message::Sequence;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::events;
use super::world::World;

/// How often a message is delivered before it is given up.
const MAX_RECEIVE_COUNT: u32 = 5;

/// For how long a FIFO queue knows a message.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html>
const DEDUPLICATION: Duration = Duration::from_secs(5 * 60);

pub(crate) struct Queue {
    fifo: bool,
    visibility: Duration,
    batch: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By the order of their sending.
    messages: BTreeMap<u64, Queued>,
    known: BTreeMap<(String, String), (Instant, u64)>,
    sent: u64,
    /// What was given up.
    dead: Vec<(u64, String)>,
}

struct Queued {
    body: String,
    group: Option<String>,
    sent_at: Timestamp,
    visible_at: Instant,
    /// Delivered, and neither deleted nor visible again: a FIFO queue holds back its group.
    received: u32,
}

impl Queue {
    pub(crate) fn new(fifo: bool, visibility: Duration, batch: usize) -> Self {
        Self {
            fifo,
            visibility,
            batch,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("one thread")
    }

    /// `SendMessage`: the number of the message.
    pub(crate) fn send(&self, world: &World, body: String, sequence: Option<&Sequence>) -> u64 {
        let mut state = self.state();
        let now = Instant::now();
        let number = state.sent;
        let sequence = sequence.filter(|_| self.fifo);
        if let Some(sequence) = sequence {
            let key = (sequence.group.clone(), sequence.deduplication.clone());
            if let Some((until, first)) = state.known.get(&key)
                && *until > now
            {
                return *first;
            }
            state.known.insert(key, (now + DEDUPLICATION, number));
        }
        state.sent += 1;
        let queued = Queued {
            body,
            group: sequence.map(|sequence| sequence.group.clone()),
            sent_at: world.now(),
            visible_at: now,
            received: 0,
        };
        state.messages.insert(number, queued);
        drop(state);
        self.changed.notify_one();
        number
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().messages.is_empty()
    }

    /// Whether a message was given up whose body is this, or names this id and room.
    pub(crate) fn has_given_up(&self, body_or_id: &str, room: &str) -> bool {
        let id = format!(r#""id":"{body_or_id}""#);
        let room = format!(r#""room_id":"{room}""#);
        let state = self.state();
        state.dead.iter().any(|(number, body)| {
            let is_named = body.contains(&id) || Self::message_id(*number) == body_or_id;
            body == body_or_id || is_named && body.contains(&room)
        })
    }

    /// The name of a message.
    pub(crate) fn message_id(number: u64) -> String {
        format!("sqs-{number}")
    }

    /// Waits for messages and takes a batch of them.
    pub(crate) async fn receive(&self, world: &World) -> Vec<u64> {
        loop {
            let changed = self.changed.notified();
            let next = match self.take(world) {
                Ok(batch) => return batch,
                Err(next) => next,
            };
            match next {
                Some(next) => drop(timeout_at(next, changed).await),
                None => changed.await,
            }
        }
    }

    /// A batch, or when there may be one.
    fn take(&self, world: &World) -> Result<Vec<u64>, Option<Instant>> {
        let mut state = self.state();
        let now = Instant::now();
        let mut held = BTreeSet::new();
        let (mut visible, mut dead) = (Vec::new(), Vec::new());
        for (number, queued) in &state.messages {
            let group = queued.group.as_ref();
            let is_held = group.is_some_and(|group| held.contains(group));
            if queued.visible_at > now {
                held.extend(group);
            } else if is_held {
            } else if queued.received >= MAX_RECEIVE_COUNT {
                dead.push(*number);
            } else {
                visible.push(*number);
            }
        }
        for number in dead {
            let queued = state.messages.remove(&number).expect("it was there");
            world.tell("given up", || queued.body.clone());
            state.dead.push((number, queued.body));
        }
        if visible.is_empty() {
            let later = state.messages.values().map(|queued| queued.visible_at);
            return Err(later.filter(|at| *at > now).min());
        }
        if !self.fifo {
            world.rng().shuffle(&mut visible);
        }
        visible.truncate(world.rng().usize(1..=self.batch));
        for number in &visible {
            let duplicate = !self.fifo && world.strikes(world.schedule.faults.duplicate);
            let queued = state.messages.get_mut(number).expect("it is there");
            queued.received += 1;
            queued.visible_at = if duplicate {
                now
            } else {
                now + self.visibility
            };
        }
        Ok(visible)
    }

    /// The event that delivers a batch.
    pub(crate) fn event(&self, batch: &[u64]) -> SqsEvent {
        let state = self.state();
        let record = |number: &u64| -> Option<SqsMessage> {
            let queued = state.messages.get(number)?;
            let attributes = [
                ("SentTimestamp", queued.sent_at.as_millis().to_string()),
                ("ApproximateReceiveCount", queued.received.to_string()),
            ];
            let mut record = events::record(&Self::message_id(*number), &queued.body, attributes);
            if let Some(group) = &queued.group {
                let attributes = &mut record.attributes;
                attributes.insert("MessageGroupId".to_owned(), group.clone());
                record.event_source_arn = Some("arn:aws:sqs:us-east-1:1:messages.fifo".to_owned());
            }
            Some(record)
        };
        let mut event = SqsEvent::default();
        event.records = batch.iter().filter_map(record).collect();
        event
    }

    /// The invocation of a batch ended: with these failures, or without an answer.
    pub(crate) fn settle(&self, world: &World, batch: &[u64], failures: Option<&BTreeSet<String>>) {
        let mut state = self.state();
        let at_once = world.rng().bool();
        for number in batch {
            let failed = failures.is_none_or(|ids| ids.contains(&Self::message_id(*number)));
            if !failed {
                // A deletion may be lost like any call.
                if !world.strikes(world.schedule.faults.duplicate) {
                    state.messages.remove(number);
                }
            } else if failures.is_some()
                && at_once
                && let Some(queued) = state.messages.get_mut(number)
            {
                queued.visible_at = Instant::now();
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Lambda's poller of the queue.
    pub(crate) async fn poll<F: Future<Output = Option<BTreeSet<String>>>>(
        world: Arc<World>,
        queue: impl Fn(&World) -> &Self,
        invoke: impl Fn(Arc<World>, SqsEvent) -> F,
    ) {
        loop {
            if world.rng().bool() {
                world.pause(1, 300).await; // a batch gathers
            }
            let batch = queue(&world).receive(&world).await;
            let busy = world.busy();
            let event = queue(&world).event(&batch);
            let failures = invoke(Arc::clone(&world), event).await;
            queue(&world).settle(&world, &batch, failures.as_ref());
            drop(busy);
        }
    }
}
