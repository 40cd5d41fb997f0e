//! The API Gateway model: handshakes, sockets that open after `$connect` and close in every way, frames
//! to routes, and answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hermes::ports::Sockets;
use hermes::{ConnectionId, RoomId, UserId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::events::{self, Origin};
use super::functions;
use super::variant::Variant;
use super::world::World;

/// The largest frame that API Gateway carries.
const FRAME_MAX_BYTES: usize = 128 * 1024;

/// What reaches a client.
#[derive(Debug)]
pub(crate) enum Inbound {
    Frame(String),
    Closed,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Both sides know it at once.
    Clean,
    /// The client is gone; API Gateway still takes posts for it.
    ClientVanished,
    /// API Gateway has closed it; the client does not know.
    Unnoticed,
}

#[derive(Default)]
pub(crate) struct Gateway {
    connections: Mutex<BTreeMap<ConnectionId, Connection>>,
    count: AtomicU64,
    /// While set, what is pushed is kept.
    watching: AtomicBool,
    pushed: Mutex<Vec<(ConnectionId, String)>>,
}

#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) user: UserId,
    pub(crate) room: RoomId,
    connected_at: u64,
    inbox: UnboundedSender<Inbound>,
}

impl Gateway {
    /// Every open connection.
    pub(crate) fn open(&self) -> Vec<(ConnectionId, Connection)> {
        let connections = self.connections.lock().expect("one thread");
        let open = connections.iter();
        open.map(|(id, connection)| (id.clone(), connection.clone()))
            .collect()
    }

    /// Begins to keep what is pushed.
    pub(crate) fn watch(&self) {
        self.pushed.lock().expect("one thread").clear();
        self.watching.store(true, Ordering::Relaxed);
    }

    /// Whether a frame with this text in it was pushed to a connection since [`Self::watch`].
    pub(crate) fn was_pushed(&self, connection: &ConnectionId, text: &str) -> bool {
        let pushed = self.pushed.lock().expect("one thread");
        pushed
            .iter()
            .any(|(to, frame)| to == connection && frame.contains(text))
    }

    fn forget(&self, connection: &ConnectionId) {
        let mut connections = self.connections.lock().expect("one thread");
        connections.remove(connection);
    }

    fn find(&self, connection: &ConnectionId) -> Option<Connection> {
        let connections = self.connections.lock().expect("one thread");
        connections.get(connection).cloned()
    }
}

impl Connection {
    fn origin<'a>(&'a self, world: &World, id: &'a ConnectionId) -> Origin<'a> {
        Origin {
            connection: id.as_str(),
            user: self.user.as_str(),
            room: self.room.as_str(),
            connected_at: self.connected_at,
            time: world.now().as_millis(),
        }
    }
}

impl World {
    /// A handshake. None where it failed; there may be a row then.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        room: &RoomId,
        user: &UserId,
    ) -> Option<(ConnectionId, UnboundedReceiver<Inbound>)> {
        let number = self.gateway.count.fetch_add(1, Ordering::Relaxed);
        let id: ConnectionId = format!("c-{number}=").parse().expect("an id");
        let (inbox, outbox) = unbounded_channel();
        let connection = Connection {
            user: user.clone(),
            room: room.clone(),
            connected_at: self.now().as_millis(),
            inbox,
        };
        self.tell("connecting", || format!("{id} of {user} in {room}"));
        if !functions::connect(self, events::connect(&connection.origin(self, &id))).await {
            return None;
        }
        // The row is there, and posts answer 410 until this has passed.
        let opening = if self.rng().u8(0..5) == 0 { 2_000 } else { 60 };
        self.pause(0, opening).await;
        self.sockets.open(&id);
        let mut connections = self.gateway.connections.lock().expect("one thread");
        connections.insert(id.clone(), connection);
        drop(connections);
        self.tell("open", || id.to_string());
        Some((id, outbox))
    }

    /// API Gateway took a post.
    pub(crate) fn push(&self, id: &ConnectionId, frame: &str) {
        let Some(connection) = self.gateway.find(id) else {
            return;
        };
        self.ledger().see(&connection.room, &connection.user, frame);
        if self.gateway.watching.load(Ordering::Relaxed) {
            let mut pushed = self.gateway.pushed.lock().expect("one thread");
            pushed.push((id.clone(), frame.to_owned()));
        }
        self.hand_over(&connection, frame.to_owned());
    }

    fn hand_over(&self, connection: &Connection, frame: String) {
        if frame.len() > FRAME_MAX_BYTES {
            let length = frame.len();
            self.ledger().violate(format!("a frame of {length} bytes"));
        }
        // A client that is gone receives nothing, and nobody learns of it.
        let _ = connection.inbox.send(Inbound::Frame(frame));
    }

    /// A client sends a frame. Its answer comes, or nothing.
    pub(crate) fn send(self: &Arc<Self>, id: &ConnectionId, action: &'static str, frame: String) {
        let Some(connection) = self.gateway.find(id) else {
            return;
        };
        let (world, id) = (Arc::clone(self), id.clone());
        self.spawn(async move {
            let _busy = world.busy();
            world.pause(0, 30).await;
            world.tell("frame", || format!("{id} {frame}"));
            let event = events::frame(&connection.origin(&world, &id), frame.clone());
            if world.variant == Variant::AcksBeforeTheAppend
                && action == "sendMessage"
                && let Some(ack) = early_ack(&frame)
            {
                world.hand_over(&connection, ack);
                functions::route(&world, action, event).await;
                return;
            }
            let answer = functions::route(&world, action, event).await;
            let answer = answer.unwrap_or_else(|| {
                format!(
                    r#"{{"message":"Internal server error","connectionId":"{id}","requestId":"r"}}"#
                )
            });
            world.tell("answer", || format!("{id} {answer}"));
            if world.gateway.find(&id).is_some() {
                world.hand_over(&connection, answer);
            }
        });
    }

    /// A connection ends.
    pub(crate) fn end(self: &Arc<Self>, id: &ConnectionId, ending: Ending) {
        let Some(connection) = self.gateway.find(id) else {
            return;
        };
        self.tell("ending", || format!("{id} {ending:?}"));
        let (world, id) = (Arc::clone(self), id.clone());
        let is_told = !world.strikes(world.schedule.faults.silent_close);
        self.spawn(async move {
            let _busy = world.busy();
            if ending == Ending::ClientVanished {
                world.pause(1_000, 40_000).await;
            }
            let _ = world.sockets.close(&id).await;
            world.gateway.forget(&id);
            if ending != Ending::Unnoticed {
                let _ = connection.inbox.send(Inbound::Closed);
            }
            if is_told {
                world.pause(0, 500).await;
                let event = events::disconnect(&connection.origin(&world, &id));
                functions::disconnect(&world, event).await;
            }
        });
    }
}

/// What [`Variant::AcksBeforeTheAppend`] answers.
fn early_ack(frame: &str) -> Option<String> {
    let frame: serde_json::Value = serde_json::from_str(frame).ok()?;
    let (reference, id) = (frame.get("ref")?, frame.get("id")?);
    Some(format!(
        r#"{{"system":"ack","ref":{reference},"data":{{"id":{id}}}}}"#
    ))
}
