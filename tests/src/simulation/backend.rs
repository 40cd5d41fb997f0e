//! A backend: enqueues messages one after another, each until it knows that it is in the queue, and now
//! and then something that is no message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hermes::log::Stream;
use hermes::message::Sequence;
use hermes::{MessageId, UserId};

use super::ledger::{Ack, Via};
use super::queue::Queue;
use super::world::World;

pub(crate) struct Backend {
    world: Arc<World>,
    /// The sender that clients see; none: it names none.
    name: Option<UserId>,
    is_done: AtomicBool,
}

impl Backend {
    pub(crate) fn new(world: &Arc<World>, name: Option<UserId>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            name,
            is_done: AtomicBool::new(false),
        })
    }

    /// Whether it has sent everything.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    /// Sends messages to these streams, with pauses of up to so many milliseconds.
    pub(crate) async fn work(self: Arc<Self>, streams: Vec<Stream>, pause_ms: u64) {
        let world = &self.world;
        for stream in streams {
            world.pause(0, pause_ms).await;
            if world.rng().u8(0..24) == 0 {
                self.send_rubbish().await;
            }
            let is_named = world.rng().u8(0..8) > 0;
            let id = is_named.then(|| world.next_id(self.sender().as_str(), stream.room.as_str()));
            self.publish(stream, id).await;
        }
        self.is_done.store(true, Ordering::Relaxed);
    }

    fn sender(&self) -> UserId {
        self.name.clone().unwrap_or_else(UserId::system)
    }

    /// Enqueues one message; with an id, until it is acknowledged.
    pub(crate) async fn publish(&self, stream: Stream, id: Option<String>) {
        let world = &self.world;
        let sender = self.sender();
        let field = |name, value: Option<&str>| {
            value.map_or(String::new(), |value| format!(r#","{name}":"{value}""#))
        };
        let body = format!(
            r#"{{"room_id":"{}","data":{}{}{}{}}}"#,
            stream.room,
            world.data(),
            field("user_id", self.name.as_ref().map(UserId::as_str)),
            field("id", id.as_deref()),
            field("to", stream.user.as_ref().map(UserId::as_str)),
        );
        let message_id = id
            .as_ref()
            .map_or_else(MessageId::generate, |id| id.parse().expect("a message id"));
        let sequence = Sequence::of(&stream.room, &sender, &message_id);
        loop {
            let Some(number) = self.enqueue(&body, &sequence).await else {
                if id.is_none() {
                    return; // it may be there or not
                }
                world.pause(200, 3_000).await;
                continue;
            };
            world.ledger().acks.push(Ack {
                stream,
                sender: sender.to_string(),
                id: id.unwrap_or_else(|| Queue::message_id(number)),
                via: Via::Queue,
            });
            return;
        }
    }

    async fn send_rubbish(&self) {
        let world = &self.world;
        let number = world.rng().u32(..);
        let room = &world.schedule.rooms[0];
        let body = [
            format!("not JSON {number}"),
            format!(r#"{{"data":{number}}}"#),
            format!(r#"{{"room_id":"{room}","data":{number},"id":7}}"#),
        ];
        let body = &body[world.rng().usize(0..3)];
        let sequence = Sequence {
            group: Sequence::of(room, &self.sender(), &MessageId::generate()).group,
            deduplication: body.clone(),
        };
        if self.enqueue(body, &sequence).await.is_some() {
            world.ledger().rubbish.push(body.clone());
        }
    }

    /// One call of `SendMessage`: the number of the message, if there is an answer.
    async fn enqueue(&self, body: &str, sequence: &Sequence) -> Option<u64> {
        let world = &self.world;
        world.pause(1, 20).await;
        if world.strikes(world.schedule.faults.refused) {
            return None;
        }
        let number = world.messages.send(world, body.to_owned(), Some(sequence));
        world.tell("enqueued", || format!("{number} {body}"));
        world.pause(1, 20).await;
        let is_lost = world.strikes(world.schedule.faults.unanswered);
        (!is_lost).then_some(number)
    }
}
