//! The client model: connects, recovers, applies, pings, sends, and drops its connection in every way.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hermes::log::{Position, Stream};
use hermes::{ConnectionId, RoomId, Timestamp, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};

use super::gateway::{Ending, Inbound};
use super::ledger::{Ack, Via};
use super::reader::{Next, Reader, Recovered};
use super::world::World;

/// How often a client pings.
pub(crate) const PING: Duration = Duration::from_secs(25);

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(12);

pub(crate) struct Client {
    world: Arc<World>,
    pub(crate) user: UserId,
    pub(crate) room: RoomId,
    state: Mutex<State>,
    /// Told of each connection that opens.
    pub(crate) opened: Notify,
}

struct State {
    readers: [Reader; 2],
    outbox: Vec<Outgoing>,
    references: u64,
    connection: Option<ConnectionId>,
}

/// A message that the user sends.
pub(crate) struct Outgoing {
    pub(crate) action: &'static str,
    pub(crate) stream: Stream,
    pub(crate) id: Option<String>,
    pub(crate) data: String,
    pub(crate) due: Instant,
    pub(crate) reference: String,
    pub(crate) is_done: bool,
}

/// A frame that a client receives.
#[derive(Deserialize)]
struct Frame<'a> {
    system: Option<&'a str>,
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    stream: Option<&'a str>,
    epoch: Option<&'a str>,
    offset: Option<u64>,
}

#[derive(Deserialize)]
struct AckData<'a> {
    id: &'a str,
    epoch: Option<&'a str>,
    offset: Option<u64>,
}

#[derive(Deserialize)]
struct Pong<'a> {
    #[serde(borrow)]
    heads: Option<Heads<'a>>,
}

#[derive(Deserialize)]
struct Heads<'a> {
    #[serde(borrow)]
    room: Option<Head<'a>>,
    #[serde(borrow)]
    user: Option<Head<'a>>,
}

#[derive(Deserialize)]
struct Head<'a> {
    epoch: &'a str,
    offset: u64,
}

fn position(epoch: &str, offset: u64) -> Position {
    let epoch = epoch.parse().expect("an epoch");
    Position { epoch, offset }
}

impl Client {
    pub(crate) fn new(
        world: &Arc<World>,
        room: &RoomId,
        user: &UserId,
        outbox: Vec<Outgoing>,
    ) -> Arc<Self> {
        let stream = |user| Stream {
            room: room.clone(),
            user,
        };
        Arc::new(Self {
            world: Arc::clone(world),
            user: user.clone(),
            room: room.clone(),
            state: Mutex::new(State {
                readers: [None, Some(user.clone())].map(|user| Reader::new(stream(user))),
                outbox,
                references: 0,
                connection: None,
            }),
            opened: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("one thread")
    }

    /// Whether all that it sends was acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.state().outbox.iter().all(|message| message.is_done)
    }

    /// What it does not have of a stream that ends there.
    pub(crate) fn lacks(&self, world: &World) -> Option<String> {
        let state = self.state();
        let ledger = world.ledger();
        let lack = state.readers.iter().find_map(|reader| {
            let last = ledger.accepted(&reader.stream).last()?;
            let is_there = reader.position() == Some(&last.position);
            (!is_there && last.is_kept(world.now())).then(|| {
                let (at, end) = (reader.position(), &last.position);
                let key = reader.stream.key();
                format!("{} in {key} is at {at:?} of {end:?}", self.user)
            })
        });
        match &state.connection {
            Some(_) => lack,
            None => Some(format!("{} in {} is not connected", self.user, self.room)),
        }
    }

    /// Lives, until the schedule ends.
    pub(crate) async fn live(self: Arc<Self>) {
        let world = &self.world;
        loop {
            let is_away = world.is_faulty() && world.rng().u8(0..3) == 0;
            world.pause(0, if is_away { 30_000 } else { 500 }).await;
            let connected_at = world.now();
            if let Some((id, inbox)) = world.connect(&self.room, &self.user).await {
                self.session(id, inbox, connected_at).await;
            }
        }
    }

    async fn session(
        &self,
        id: ConnectionId,
        mut inbox: UnboundedReceiver<Inbound>,
        connected_at: Timestamp,
    ) {
        let world = &self.world;
        let end = Instant::now() + world.between(200, 80_000);
        let end = Some(end).filter(|end| *end < world.end_of_faults());
        let mut ping = Instant::now() + world.between(1_000, PING.as_millis() as u64);
        let mut heard = Instant::now();
        {
            let mut state = self.state();
            state.connection = Some(id.clone());
            for reader in 0..2 {
                state.readers[reader].connected();
                self.ask(&mut state, &id, reader);
            }
            for message in state.outbox.iter_mut().filter(|message| !message.is_done) {
                message.due = message.due.min(Instant::now() + world.between(0, 20_000));
            }
        }
        self.opened.notify_one();
        loop {
            let due = self.send_what_is_due(&id);
            let wake = due.into_iter().chain(end).fold(ping, Instant::min);
            let inbound = timeout_at(wake, inbox.recv()).await;
            match inbound {
                Ok(Some(Inbound::Frame(frame))) => {
                    heard = Instant::now();
                    self.receive(&id, &frame, connected_at);
                    continue;
                }
                Ok(Some(Inbound::Closed) | None) => break,
                Err(_elapsed) => {}
            }
            let now = Instant::now();
            if end.is_some_and(|end| end <= now) {
                let ways = [Ending::Clean, Ending::ClientVanished, Ending::Unnoticed];
                let ending = ways[world.rng().usize(0..3)];
                world.end(&id, ending);
                if ending == Ending::Unnoticed {
                    // It finds out by itself: nothing answers.
                    world.pause(1_000, 30_000).await;
                }
                break;
            }
            if ping <= now {
                if now - heard > 2 * PING {
                    world.end(&id, Ending::ClientVanished);
                    break;
                }
                ping = now + PING;
                world.send(&id, "ping", r#"{"action":"ping","ref":"p"}"#.to_owned());
            }
        }
        self.state().connection = None;
    }

    /// Sends and asks what is due; says when something is next.
    fn send_what_is_due(&self, id: &ConnectionId) -> Option<Instant> {
        let (world, now) = (&self.world, Instant::now());
        let mut state = self.state();
        for reader in 0..2 {
            if state.readers[reader]
                .patience()
                .is_some_and(|until| until <= now)
            {
                self.ask(&mut state, id, reader);
            }
        }
        let State {
            readers,
            outbox,
            references,
            ..
        } = &mut *state;
        for message in outbox.iter_mut() {
            if message.is_done || message.due > now {
                continue;
            }
            *references += 1;
            message.reference = format!("s-{references}");
            message.due = now + PATIENCE;
            // Without an id it can be sent once only.
            message.is_done = message.id.is_none();
            world.send(id, message.action, message.frame());
        }
        let due = outbox.iter().filter(|message| !message.is_done);
        let due = due.map(|message| message.due);
        let patience = readers.iter().filter_map(Reader::patience);
        due.chain(patience).min()
    }

    fn ask(&self, state: &mut State, id: &ConnectionId, reader: usize) {
        state.references += 1;
        let reference = format!("r-{}", state.references);
        let until = Instant::now() + PATIENCE;
        let question = state.readers[reader].question(reference, self.world.now(), until);
        self.world.send(id, "recover", question);
    }

    fn receive(&self, id: &ConnectionId, text: &str, connected_at: Timestamp) {
        let world = &self.world;
        let frame: Frame<'_> = serde_json::from_str(text).expect("a frame is JSON");
        let mut state = self.state();
        let reference = frame.reference.unwrap_or_default();
        let data = frame.data.map_or("null", RawValue::get);
        let mut next = [Next::Wait; 2];
        match frame.system {
            Some("ack") => state.acknowledged(world, self, reference, data),
            Some("pong") => {
                let pong: Pong<'_> = serde_json::from_str(data).expect("a pong");
                if let Some(Heads { room, user }) = pong.heads {
                    for (i, head) in [room, user].into_iter().enumerate() {
                        let head = head.map(|head| position(head.epoch, head.offset));
                        next[i] = state.readers[i].ends_at(head.as_ref());
                    }
                }
            }
            Some("recovered") => {
                let answer: Recovered<'_> = serde_json::from_str(data).expect("an answer");
                let i = usize::from(answer.stream == "user");
                next[i] = state.readers[i].recovered(world, reference, connected_at, &answer);
            }
            Some(_error) => {
                let again = Instant::now() + world.between(300, 2_000);
                for reader in &mut state.readers {
                    reader.refused(reference, again);
                }
                for message in &mut state.outbox {
                    if message.reference == reference {
                        message.due = again;
                    }
                }
            }
            None => {
                if let (Some(stream), Some(epoch), Some(offset)) =
                    (frame.stream, frame.epoch, frame.offset)
                {
                    let i = usize::from(stream == "user");
                    let position = position(epoch, offset);
                    next[i] = state.readers[i].pushed(world, position, text);
                }
            }
        }
        for (reader, next) in next.into_iter().enumerate() {
            if next == Next::Recover {
                self.ask(&mut state, id, reader);
            }
        }
    }
}

impl State {
    fn acknowledged(&mut self, world: &World, client: &Client, reference: &str, data: &str) {
        let ack: AckData<'_> = serde_json::from_str(data).expect("an ack");
        let mut outbox = self.outbox.iter_mut();
        let Some(message) = outbox.find(|message| message.reference == reference) else {
            return;
        };
        message.is_done = true;
        let via = match message.action {
            "sendMessage" => Via::Log(ack.epoch.zip(ack.offset).map(|(e, o)| position(e, o))),
            _ => Via::Queue,
        };
        world.ledger().acks.push(Ack {
            stream: message.stream.clone(),
            sender: client.user.to_string(),
            id: ack.id.to_owned(),
            via,
        });
    }
}

impl Outgoing {
    fn frame(&self) -> String {
        let Self {
            action,
            reference,
            data,
            ..
        } = self;
        let id = self
            .id
            .as_ref()
            .map_or(String::new(), |id| format!(r#","id":"{id}""#));
        let to = self.stream.user.as_ref();
        let to = to.map_or(String::new(), |to| format!(r#","to":"{to}""#));
        format!(r#"{{"action":"{action}","ref":"{reference}","data":{data}{id}{to}}}"#)
    }
}
