//! The consumer of `DeliveryQueue`. (What a job does: `shared/tests/fanout/jobs.rs`.)
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::num::NonZeroUsize;
use std::time::Duration;

use hermes::fanout::Fanout;
use hermes::memory::{ManualClock, MemoryConnections, MemoryJobs, MemorySockets};
use hermes::partition::{Partition, Sharding};
use hermes::ports::{Connections, Member};
use hermes::time::Clock;
use hermes::{ConnectionId, RoomId, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

#[derive(Default)]
struct World {
    connections: MemoryConnections,
    sockets: MemorySockets,
    jobs: MemoryJobs,
    clock: ManualClock,
}

impl World {
    async fn join(&self, room: &str, user: &str) {
        let connection: ConnectionId = user.parse().unwrap();
        self.sockets.open(&connection);
        let member = Member {
            user: user.parse().unwrap(),
            connection,
            connected_at: self.clock.now(),
        };
        let partition = Partition::from(room.parse::<RoomId>().unwrap());
        self.connections.join(&partition, &member).await.unwrap();
    }

    /// The records that come again.
    async fn handle(&self, bodies: &[String]) -> Value {
        let records: Vec<Value> = bodies
            .iter()
            .enumerate()
            .map(|(i, body)| json!({"messageId": format!("r{i}"), "body": body}))
            .collect();
        let batch = serde_json::from_value(json!({ "Records": records })).unwrap();
        let concurrency = NonZeroUsize::new(8).unwrap();
        let (connections, sockets, jobs) = (&self.connections, &self.sockets, &self.jobs);
        let fanout = Fanout::new(
            connections,
            sockets,
            jobs,
            &self.clock,
            Sharding::default(),
            concurrency,
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        serde_json::to_value(deliver::handle(&fanout, batch, deadline).await).unwrap()
    }

    fn received(&self, user: &str) -> Vec<String> {
        self.sockets.received(&user.parse().unwrap())
    }
}

fn job(room: &str, frame: &Value) -> String {
    json!({"room_id": room, "shard": 0, "id": "m-1", "sent_at_ms": Timestamp::EPOCH.as_millis(), "frame": frame})
        .to_string()
}

#[tokio::test(start_paused = true)]
async fn a_job_is_delivered_to_its_room() {
    let world = World::default();
    world.join("demo", "alice").await;
    world.join("other", "bob").await;
    let frame = json!({"data": 1});
    let response = world.handle(&[job("demo", &frame)]).await;
    assert_eq!(response, json!({"batchItemFailures": []}));
    assert_eq!(world.received("alice"), [frame.to_string()]);
    assert!(world.received("bob").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_begins_where_the_one_before_ended() {
    let world = World::default();
    for user in ["alice", "bob", "carol", "dave"] {
        world.join("demo", user).await;
    }
    let mut part: Value = serde_json::from_str(&job("demo", &json!({"data": 1}))).unwrap();
    part["after"] = json!("alice\u{1f}alice");
    part["until"] = json!("carol\u{1f}carol");
    world.handle(&[part.to_string()]).await;
    let counts = ["alice", "bob", "carol", "dave"].map(|user| world.received(user).len());
    assert_eq!(counts, [0, 1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_job_comes_again_and_stops_no_other() {
    let world = World::default();
    world.join("demo", "alice").await;
    let bodies = [
        "no job".to_owned(),
        "{}".to_owned(),
        job("demo", &json!({"data": 1})),
    ];
    let response = world.handle(&bodies).await;
    assert_eq!(
        response["batchItemFailures"],
        json!([{"itemIdentifier": "r0"}, {"itemIdentifier": "r1"}])
    );
    assert_eq!(world.received("alice").len(), 1);
}
