//! A client that keeps to `docs/protocol.md`: it applies the messages of its room's stream in order, each
//! once, and asks for what it missed.

use std::collections::BTreeMap;
use std::time::Duration;

use hermes::log::{Epoch, Position};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::socket::Socket;

/// How long a follower waits for a push before it asks with a `ping` whether it missed one.
const QUIET: Duration = Duration::from_secs(10);

/// How long a message may be overtaken by later ones before it counts as missed.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// What an application has of its room, over all its connections.
#[derive(Default)]
pub struct Follower {
    position: Option<Position>,
    early: BTreeMap<u64, Value>,
    applied: Vec<Value>,
}

impl Follower {
    /// The messages that were applied, in order.
    pub fn applied(&self) -> &[Value] {
        &self.applied
    }

    /// The ids of the messages that were applied, in order.
    pub fn ids(&self) -> Vec<&str> {
        let ids = self.applied.iter().map(|message| message["id"].as_str());
        ids.map(|id| id.expect("an id")).collect()
    }

    /// Asks for what was missed, as after every open.
    ///
    /// # Panics
    ///
    /// Where the log does not go back to the position: in these tests it always does.
    pub async fn recover(&mut self, socket: &mut Socket) {
        loop {
            let mut question = json!({"action": "recover", "stream": "room"});
            if let Some(position) = &self.position {
                question["epoch"] = json!(position.epoch.as_str());
                question["offset"] = json!(position.offset);
            }
            let mut answer = socket.request(question).await;
            assert_eq!(answer["system"], "recovered", "{answer}");
            let mut data = answer["data"].take();
            assert_eq!(data["complete"], true, "{data}");
            let Value::Array(messages) = data["messages"].take() else {
                panic!("messages: {data}");
            };
            if messages.is_empty() && self.position.is_none() {
                self.position = Some(position(&data["epoch"], &data["head"]));
            }
            for message in messages {
                self.apply(message);
            }
            if data["more"] == false {
                break;
            }
        }
        self.apply_early();
    }

    /// Applies what comes until there are `count` messages.
    pub async fn follow(&mut self, socket: &mut Socket, count: usize) {
        let mut missing_since = None;
        while self.applied.len() < count {
            let patience = missing_since.map_or(QUIET, |since: Instant| {
                OVERTAKEN.saturating_sub(since.elapsed())
            });
            if let Some(pushed) = socket.notification_within(patience).await {
                self.pushed(pushed.json);
            } else if missing_since.is_some() || self.is_behind(&socket.ping().await["room"]) {
                self.recover(socket).await;
            }
            missing_since = if self.early.is_empty() {
                None
            } else {
                missing_since.or(Some(Instant::now()))
            };
        }
    }

    fn is_behind(&self, head: &Value) -> bool {
        self.position != Some(position(&head["epoch"], &head["offset"]))
    }

    fn pushed(&mut self, message: Value) {
        let at = position(&message["epoch"], &message["offset"]);
        let is_applied = self
            .position
            .as_ref()
            .is_some_and(|last| at.offset <= last.offset);
        if !is_applied {
            self.early.insert(at.offset, message);
            self.apply_early();
        }
    }

    /// Applies what follows of what came early, and forgets what was applied meanwhile.
    fn apply_early(&mut self) {
        while let Some(entry) = self.early.first_entry()
            && let Some(last) = &self.position
        {
            let offset = *entry.key();
            if offset > last.offset + 1 {
                break;
            }
            let is_next = offset == last.offset + 1;
            let message = entry.remove();
            if is_next {
                self.apply(message);
            }
        }
    }

    fn apply(&mut self, message: Value) {
        let at = position(&message["epoch"], &message["offset"]);
        if let Some(last) = &self.position {
            assert_eq!(
                (&at.epoch, at.offset),
                (&last.epoch, last.offset + 1),
                "a hole before {message}"
            );
        }
        self.position = Some(at);
        self.applied.push(message);
    }
}

fn position(epoch: &Value, offset: &Value) -> Position {
    let epoch: Epoch = epoch.as_str().expect("an epoch").parse().expect("an epoch");
    Position {
        epoch,
        offset: offset.as_u64().expect("an offset"),
    }
}
