//! What one invocation leaves to others: further pages, partitions, and those for whom time ran out.

use super::*;

/// Flaw: one page only, members past page one get nothing.
#[tokio::test(start_paused = true)]
async fn a_large_room_is_delivered_page_by_page_each_by_a_job() {
    let world = World {
        members_per_job: 100,
        ..World::new()
    };
    let mut connections = Vec::new();
    for i in 0..1050 {
        connections.push(
            world
                .member("red", &format!("user-{i}"), &format!("c{i}"), HOUR)
                .await,
        );
    }
    let delivery = world
        .deliver(&message(r#"{"room_id":"red","data":1}"#), 64, 20 * SECOND)
        .await;
    assert_eq!(delivery.delivered, 100, "one invocation posts to one page");
    assert_eq!(world.work_off().await, 10);
    assert!(
        connections
            .iter()
            .all(|connection| world.sockets.received(connection).len() == 1),
        "once each"
    );
}

#[tokio::test(start_paused = true)]
async fn the_partitions_of_a_sharded_room_are_jobs_of_their_own() {
    let world = World {
        sharding: r#"{"lobby": 8}"#.parse().unwrap(),
        ..World::new()
    };
    let mut connections = Vec::new();
    for i in 0..400 {
        connections.push(
            world
                .member("lobby", &format!("user-{i}"), &format!("c{i}"), HOUR)
                .await,
        );
    }
    let small = world.member("red", "alice", "a", HOUR).await;
    world
        .deliver(&message(r#"{"room_id":"lobby","data":1}"#), 64, 20 * SECOND)
        .await;
    assert_eq!(world.work_off().await, 7);
    assert!(
        connections
            .iter()
            .all(|connection| world.sockets.received(connection).len() == 1),
        "once each"
    );

    // To one user: that user's partition, and the first one, where the user was before the room was sharded.
    let unsharded = World {
        connections: world.connections,
        sockets: world.sockets,
        ..World::new()
    };
    let earlier = unsharded.member("lobby", "user-7", "earlier", HOUR).await;
    let world = World {
        connections: unsharded.connections,
        sockets: unsharded.sockets,
        ..world
    };
    world
        .deliver(
            &message(r#"{"room_id":"lobby","data":1,"to":"user-7"}"#),
            64,
            20 * SECOND,
        )
        .await;
    assert_eq!(world.work_off().await, 1);
    // To a room that is not sharded: no job.
    world
        .deliver(&message(r#"{"room_id":"red","data":1}"#), 64, 20 * SECOND)
        .await;
    assert_eq!(world.work_off().await, 0);
    let received = |connection| world.sockets.received(connection).len();
    assert_eq!(
        [
            received(&connections[7]),
            received(&earlier),
            received(&small)
        ],
        [2, 1, 1]
    );
}

#[tokio::test(start_paused = true)]
async fn who_was_not_tried_in_time_is_left_to_a_job_and_nobody_gets_it_twice() {
    let world = World {
        members_per_job: 6,
        ..World::new()
    };
    let mut connections = Vec::new();
    for i in 0..20 {
        connections.push(
            world
                .member("red", &format!("user-{i:02}"), &format!("c{i}"), HOUR)
                .await,
        );
    }
    // A post takes 5 ms here: time for two rounds of two, and not for the third.
    let delivery = world
        .deliver(
            &message(r#"{"room_id":"red","data":1}"#),
            2,
            Duration::from_millis(9),
        )
        .await;
    assert!(
        delivery.untried > 0 && delivery.delivered > 0,
        "{delivery:?}"
    );
    world.work_off().await;
    let received: Vec<usize> = connections
        .iter()
        .map(|connection| world.sockets.received(connection).len())
        .collect();
    let cut_short = received.iter().filter(|&&times| times == 0).count();
    assert_eq!(
        cut_short, delivery.failed,
        "only whose post was under way at the end is left to recovery"
    );
    assert!(received.iter().all(|&times| times <= 1), "{received:?}");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_cannot_be_read_is_left_to_a_job() {
    let (connections, sockets, jobs) = (
        Failing::default(),
        MemorySockets::default(),
        MemoryJobs::default(),
    );
    let clock = ManualClock::default();
    let fanout = Fanout::new(
        &connections,
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
    assert_eq!((delivery, sockets.posts()), (Delivery::default(), 0));
    let job = jobs.take().unwrap();
    assert!(
        fanout.run(&job, Instant::now() + SECOND).await.is_err(),
        "the job itself comes again"
    );
}

#[tokio::test(start_paused = true)]
async fn what_can_be_neither_delivered_nor_left_is_an_error() {
    struct NoJobs;
    impl DeliveryJobs for NoJobs {
        async fn enqueue(&self, _: &hermes::delivery::DeliveryJob) -> Result<(), PortError> {
            Err(PortError::new("enqueueing a delivery job", "injected"))
        }
    }
    let (connections, sockets) = (Failing::default(), MemorySockets::default());
    let fanout = Fanout::new(
        &connections,
        &sockets,
        NoJobs,
        ManualClock::default(),
        Sharding::default(),
        NonZeroUsize::MIN,
    );
    let message = message(r#"{"room_id":"red","data":1}"#);
    assert!(
        fanout
            .deliver(&message, &frame(&message), Instant::now() + SECOND)
            .await
            .is_err()
    );
}
