//! The fan-out's behaviour, over the ports in memory, in simulated time.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod jobs;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hermes::fanout::{Delivery, Fanout, OPENING_GRACE};
use hermes::memory::{ManualClock, MemoryConnections, MemoryJobs, MemorySockets};
use hermes::partition::{Partition, Sharding};
use hermes::ports::{Connections, DeliveryJobs, Member, MemberPage, PageToken, PortError};
use hermes::{ConnectionId, Message, Timestamp, UserId};
use serde_json::value::RawValue;
use tokio::time::Instant;

const START: Timestamp = Timestamp::EPOCH;

struct World {
    connections: MemoryConnections,
    sockets: MemorySockets,
    jobs: MemoryJobs,
    clock: ManualClock,
    sharding: Sharding,
    members_per_job: usize,
}

impl World {
    fn new() -> Self {
        let now = START.after(Duration::from_secs(1_800_000_000));
        Self {
            connections: MemoryConnections::default(),
            sockets: MemorySockets::default(),
            jobs: MemoryJobs::default(),
            clock: ManualClock::at(now),
            sharding: Sharding::default(),
            members_per_job: 1000,
        }
    }

    /// A member with an open socket, connected `age` ago.
    async fn member(
        &self,
        room: &str,
        user: &str,
        connection: &str,
        age: Duration,
    ) -> ConnectionId {
        let connection = self.row(room, user, connection, age).await;
        self.sockets.open(&connection);
        connection
    }

    /// A member whose socket is not open.
    async fn row(&self, room: &str, user: &str, connection: &str, age: Duration) -> ConnectionId {
        use hermes::time::Clock;
        let connection: ConnectionId = connection.parse().unwrap();
        let connected_at =
            Timestamp::from_millis(self.clock.now().as_millis() - age.as_millis() as u64);
        let member = Member {
            user: user.parse().unwrap(),
            connection: connection.clone(),
            connected_at,
        };
        self.connections
            .join(
                &self
                    .sharding
                    .partition_of(&room.parse().unwrap(), &member.user),
                &member,
            )
            .await
            .unwrap();
        connection
    }

    async fn is_member(&self, room: &str, connection: &ConnectionId) -> bool {
        use hermes::time::Clock;
        let partition = Partition::from(room.parse::<hermes::RoomId>().unwrap());
        let limit = NonZeroUsize::new(1000).unwrap();
        let page = self
            .connections
            .members(&partition, None, None, limit, self.clock.now())
            .await
            .unwrap();
        page.members
            .iter()
            .any(|member| member.connection == *connection)
    }

    fn fanout(
        &self,
        concurrency: usize,
    ) -> Fanout<&MemoryConnections, &MemorySockets, &MemoryJobs, &ManualClock> {
        let concurrency = NonZeroUsize::new(concurrency).unwrap();
        let sharding = self.sharding.clone();
        let fanout = Fanout::new(
            &self.connections,
            &self.sockets,
            &self.jobs,
            &self.clock,
            sharding,
            concurrency,
        );
        fanout.with_members_per_job(NonZeroUsize::new(self.members_per_job).unwrap())
    }

    async fn deliver(&self, message: &Message, concurrency: usize, within: Duration) -> Delivery {
        self.fanout(concurrency)
            .deliver(message, &frame(message), Instant::now() + within)
            .await
            .unwrap()
    }

    /// Works off the jobs, as many as there come. Says how many there were.
    async fn work_off(&self) -> usize {
        let mut jobs = 0;
        while let Some(job) = self.jobs.take() {
            self.fanout(16)
                .run(&job, Instant::now() + 20 * SECOND)
                .await
                .unwrap();
            jobs += 1;
        }
        jobs
    }
}

fn frame(message: &Message) -> Box<RawValue> {
    RawValue::from_string(message.to_notification().unwrap()).unwrap()
}

fn message(body: &str) -> Message {
    Message::from_queue(body, START, || "m-1".parse().unwrap()).unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn everybody_in_the_room_gets_it_once_and_nobody_else() {
    let world = World::new();
    let alice = world.member("red", "alice", "a", HOUR).await;
    let bob = world.member("red", "bob", "b", HOUR).await;
    let other = world.member("blue", "carol", "c", HOUR).await;
    let message = message(r#"{"room_id":"red","data":"hello"}"#);
    let delivery = world.deliver(&message, 8, SECOND).await;
    assert_eq!(
        delivery,
        Delivery {
            delivered: 2,
            ..Delivery::default()
        }
    );
    let frame = message.to_notification().unwrap();
    assert_eq!(world.sockets.received(&alice), std::slice::from_ref(&frame));
    assert_eq!(world.sockets.received(&bob), [frame]);
    assert!(world.sockets.received(&other).is_empty());
}

#[tokio::test(start_paused = true)]
async fn to_reaches_all_sockets_of_that_user_only() {
    let world = World::new();
    let alice = world.member("red", "alice", "a", HOUR).await;
    let tab = world.member("red", "alice", "t", HOUR).await;
    let alicia = world.member("red", "alicia", "b", HOUR).await;
    let delivery = world
        .deliver(
            &message(r#"{"room_id":"red","data":1,"to":"alice"}"#),
            8,
            SECOND,
        )
        .await;
    assert_eq!(delivery.delivered, 2);
    assert_eq!(
        world.sockets.received(&alice).len() + world.sockets.received(&tab).len(),
        2
    );
    assert!(world.sockets.received(&alicia).is_empty());
}

/// Flaw: a 410 deletes the row without asking whether the socket was ever open.
#[tokio::test(start_paused = true)]
async fn a_410_removes_a_member_only_after_the_opening_grace() {
    let world = World::new();
    let closed = world
        .row("red", "alice", "closed", OPENING_GRACE + SECOND)
        .await;
    let opening = world.row("red", "bob", "opening", OPENING_GRACE).await;
    let open = world.member("red", "carol", "open", HOUR).await;
    let delivery = world
        .deliver(&message(r#"{"room_id":"red","data":1}"#), 8, SECOND)
        .await;
    assert_eq!(
        delivery,
        Delivery {
            delivered: 1,
            gone: 2,
            ..Delivery::default()
        }
    );
    assert!(!world.is_member("red", &closed).await);
    assert!(world.is_member("red", &opening).await);
    assert!(world.is_member("red", &open).await);
}

#[tokio::test(start_paused = true)]
async fn throttling_is_retried_and_passes() {
    let world = World::new();
    let alice = world.member("red", "alice", "a", HOUR).await;
    world.sockets.throttle(&alice, 4);
    let delivery = world
        .deliver(&message(r#"{"room_id":"red","data":1}"#), 8, 20 * SECOND)
        .await;
    assert_eq!(delivery.delivered, 1);
    assert_eq!(world.sockets.posts(), 5);
}

#[tokio::test(start_paused = true)]
async fn retries_end() {
    let world = World::new();
    let alice = world.member("red", "alice", "a", HOUR).await;
    let bob = world.member("red", "bob", "b", HOUR).await;
    world.sockets.throttle(&alice, u32::MAX);
    let begin = Instant::now();
    let delivery = world
        .deliver(&message(r#"{"room_id":"red","data":1}"#), 8, 20 * SECOND)
        .await;
    assert_eq!(
        delivery,
        Delivery {
            delivered: 1,
            failed: 1,
            ..Delivery::default()
        }
    );
    assert!(
        begin.elapsed() < 5 * SECOND,
        "one slow member costs a few seconds at most"
    );
    assert_eq!(world.sockets.received(&bob).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_no_retry_mends_is_tried_once_and_stops_nobody() {
    let world = World::new();
    let alice = world.member("red", "alice", "a", HOUR).await;
    world.member("red", "bob", "b", HOUR).await;
    world.sockets.break_off(&alice);
    let delivery = world
        .deliver(&message(r#"{"room_id":"red","data":1}"#), 1, SECOND)
        .await;
    assert_eq!(
        delivery,
        Delivery {
            delivered: 1,
            failed: 1,
            ..Delivery::default()
        }
    );
    assert_eq!(world.sockets.posts(), 2);
    assert!(
        world.is_member("red", &alice).await,
        "only a 410 removes a member"
    );
}

/// Flaw: unlimited parallel posts.
#[tokio::test(start_paused = true)]
async fn posts_under_way_are_bounded_across_messages() {
    let world = World::new();
    for i in 0..250 {
        world
            .member("red", &format!("user-{i}"), &format!("r{i}"), HOUR)
            .await;
        world
            .member("blue", &format!("user-{i}"), &format!("b{i}"), HOUR)
            .await;
    }
    let fanout = world.fanout(16);
    let (red, blue) = (
        message(r#"{"room_id":"red","data":1}"#),
        message(r#"{"room_id":"blue","data":2}"#),
    );
    let deadline = Instant::now() + 20 * SECOND;
    let (red_frame, blue_frame) = (frame(&red), frame(&blue));
    let (red, blue) = tokio::join!(
        fanout.deliver(&red, &red_frame, deadline),
        fanout.deliver(&blue, &blue_frame, deadline)
    );
    assert_eq!(
        (red.unwrap().delivered, blue.unwrap().delivered),
        (250, 250)
    );
    assert_eq!(world.sockets.most_under_way(), 16);
}

#[tokio::test(start_paused = true)]
async fn throttled_it_makes_fewer_posts_at_once_and_slowly_more_again() {
    let world = World::new();
    let alice = world.member("red", "alice", "a", HOUR).await;
    world.sockets.throttle(&alice, 1);
    for i in 0..290 {
        world
            .member("blue", &format!("user-{i}"), &format!("b{i}"), HOUR)
            .await;
    }
    let fanout = world.fanout(64);
    let deadline = Instant::now() + 20 * SECOND;
    for body in [
        r#"{"room_id":"red","data":1}"#,
        r#"{"room_id":"blue","data":2}"#,
    ] {
        let message = message(body);
        fanout
            .deliver(&message, &frame(&message), deadline)
            .await
            .unwrap();
    }
    assert_eq!(world.sockets.posts(), 292);
    assert_eq!(
        world.sockets.most_under_way(),
        34,
        "half as many, and one more after each hundred"
    );
}

#[tokio::test(start_paused = true)]
async fn who_was_not_tried_in_time_is_counted() {
    let world = World::new();
    for i in 0..10 {
        let connection = world
            .member("red", &format!("user-{i}"), &format!("c{i}"), HOUR)
            .await;
        world.sockets.silence(&connection);
    }
    let delivery = world
        .deliver(&message(r#"{"room_id":"red","data":1}"#), 4, SECOND)
        .await;
    assert_eq!(
        delivery,
        Delivery {
            failed: 4,
            untried: 6,
            ..Delivery::default()
        }
    );
}

/// Flaw: the delete itself crashes. A row that cannot be removed harms nobody.
#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_removed_stops_nobody() {
    let World {
        connections,
        sockets,
        jobs,
        clock,
        ..
    } = {
        let world = World::new();
        world.row("red", "alice", "closed", HOUR).await;
        world.member("red", "bob", "b", HOUR).await;
        world
    };
    let failing = Failing {
        inner: Some(connections),
        ..Failing::default()
    };
    let fanout = Fanout::new(
        &failing,
        &sockets,
        &jobs,
        &clock,
        Sharding::default(),
        NonZeroUsize::MIN,
    );
    let message = message(r#"{"room_id":"red","data":1}"#);
    let delivery = fanout
        .deliver(&message, &frame(&message), Instant::now() + SECOND)
        .await
        .unwrap();
    assert_eq!(
        delivery,
        Delivery {
            delivered: 1,
            gone: 1,
            ..Delivery::default()
        }
    );
    assert!(failing.left.load(Ordering::Relaxed));
}

/// A Connections table whose writes fail; its reads too, where nothing is behind it.
#[derive(Default)]
struct Failing {
    inner: Option<MemoryConnections>,
    left: AtomicBool,
}

impl Connections for Failing {
    async fn join(&self, _: &Partition, _: &Member) -> Result<(), PortError> {
        Err(PortError::new("joining the room", "injected"))
    }

    async fn leave(&self, _: &Partition, _: &UserId, _: &ConnectionId) -> Result<(), PortError> {
        self.left.store(true, Ordering::Relaxed);
        Err(PortError::new("leaving the room", "injected"))
    }

    async fn members(
        &self,
        partition: &Partition,
        only: Option<&UserId>,
        page: Option<&PageToken>,
        limit: NonZeroUsize,
        now: Timestamp,
    ) -> Result<MemberPage, PortError> {
        match &self.inner {
            Some(inner) => inner.members(partition, only, page, limit, now).await,
            None => Err(PortError::new("reading the room", "injected")),
        }
    }
}
