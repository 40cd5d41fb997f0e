//! A deterministic simulation of Hermes: the functions' real handlers over the ports in memory, in
//! simulated time, in a world that fails in every way that a seed says.
//!
//! A schedule is one small world: rooms, clients, backends, queues, and what goes wrong. Everything
//! random comes from one generator, everything waits for one clock, and nothing runs at the same time:
//! so a seed is a schedule, and plays again. For some minutes of its time calls fail with and without
//! effect, invocations die at any call, queues deliver twice, and sockets vanish; then nothing fails any
//! more, everything comes to rest, and `check` holds what every client has against the log.

mod backend;
mod check;
mod client;
mod events;
mod functions;
mod gateway;
mod invocation;
mod ledger;
mod ports;
mod queue;
mod reader;
mod schedule;
mod variant;
mod world;

use std::sync::Arc;

use fastrand::Rng;
use hermes::log::Stream;
use hermes::{RoomId, UserId};
use tokio::task::LocalSet;
use tokio::time::Instant;

pub use self::variant::Variant;

use self::backend::Backend;
use self::client::{Client, Outgoing};
use self::queue::Queue;
use self::schedule::Schedule;
use self::world::World;

/// What came of a schedule.
#[derive(Debug)]
pub struct Outcome {
    /// What was broken, if something was.
    pub violation: Option<String>,
    /// What happened, as one number: equal for equal seeds.
    pub digest: u64,
    /// What happened, line by line, where it was asked for.
    pub story: Vec<String>,
}

/// Plays the schedule of a seed. Its `story` is told where `told`.
pub fn play(seed: u64, variant: Variant, told: bool) -> Outcome {
    fastrand::seed(seed); // for the jitter of retries
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing");
    LocalSet::new().block_on(&runtime, async {
        let mut rng = Rng::with_seed(seed);
        let schedule = Schedule::draw(&mut rng);
        let world = Arc::new(World::new(schedule, variant, rng, told));
        world.tell("schedule", || format!("{:?}", world.schedule));
        let mut clients = Vec::new();
        let mut backends = Vec::new();
        populate(&world, &mut clients, &mut backends);
        let broken = check::check(&world, &mut clients, &backends).await.err();
        let violation = world.ledger().violation().cloned().or(broken);
        Outcome {
            violation,
            digest: world.digest(),
            story: world.story(),
        }
    })
}

/// Lets the functions, the clients and the backends of a world live.
fn populate(world: &Arc<World>, clients: &mut Vec<Arc<Client>>, backends: &mut Vec<Arc<Backend>>) {
    for _ in 0..world.between(1, 3).as_millis() {
        world.spawn(Queue::poll(
            Arc::clone(world),
            |w| &w.messages,
            functions::messages,
        ));
    }
    for _ in 0..world.between(1, 3).as_millis() {
        world.spawn(Queue::poll(Arc::clone(world), |w| &w.jobs, functions::jobs));
    }
    for room in &world.schedule.rooms {
        for _ in 0..world.between(1, 4).as_millis() {
            let user = world.any_user();
            let outbox = world.outbox(room, &user);
            let client = Client::new(world, room, &user, outbox);
            world.spawn(Arc::clone(&client).live());
            clients.push(client);
        }
    }
    for name in [Some("backend-1"), Some("backend-2"), None] {
        if world.rng().u8(0..3) == 0 {
            continue;
        }
        let backend = Backend::new(world, name.map(|name| name.parse().expect("a user")));
        let count = world.between(1, 12).as_millis();
        let streams: Vec<Stream> = (0..count).map(|_| world.any_stream()).collect();
        let active = world.schedule.active.as_millis() as u64;
        let pause = match world.rng().u8(0..3) {
            0 => 100, // all at once
            _ => active * 2 / count as u64,
        };
        world.spawn(Arc::clone(&backend).work(streams, pause));
        backends.push(backend);
    }
}

impl World {
    fn any_user(&self) -> UserId {
        let users = ["alice", "bob", "carol"];
        users[self.rng().usize(0..3)].parse().expect("a user")
    }

    fn any_stream(&self) -> Stream {
        let rooms = &self.schedule.rooms;
        let room = rooms[self.rng().usize(0..rooms.len())].clone();
        self.stream_in(room)
    }

    fn stream_in(&self, room: RoomId) -> Stream {
        let is_personal = self.rng().u8(0..4) == 0;
        let user = is_personal.then(|| self.any_user());
        Stream { room, user }
    }

    /// What a message says: nothing that matters, of the schedule's size.
    fn data(&self) -> String {
        let number = self.rng().u16(..);
        if self.schedule.large {
            format!(r#""{number} {}""#, "x".repeat(30_000))
        } else {
            number.to_string()
        }
    }

    /// What a user will send to its room.
    fn outbox(&self, room: &RoomId, user: &UserId) -> Vec<Outgoing> {
        let active = self.schedule.active.as_millis() as u64;
        let count = self.rng().usize(0..5);
        let message = |_| {
            let is_named = self.rng().u8(0..8) > 0;
            let is_queued = self.rng().u8(0..4) == 0;
            Outgoing {
                action: if is_queued {
                    "sendMessageToSQS"
                } else {
                    "sendMessage"
                },
                stream: self.stream_in(room.clone()),
                id: is_named.then(|| self.next_id(user.as_str(), room.as_str())),
                data: self.data(),
                due: Instant::now() + self.between(0, active),
                reference: String::new(),
                is_done: false,
            }
        };
        (0..count).map(message).collect()
    }
}
