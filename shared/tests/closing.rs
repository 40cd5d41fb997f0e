//! Closing sockets, with the ports in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use hermes::closing::{Reason, close_all, find};
use hermes::memory::{ManualClock, MemoryConnections, MemorySockets};
use hermes::partition::Partition;
use hermes::ports::{Connections, Member};
use hermes::time::{Clock, Timestamp};
use hermes::{ConnectionId, RoomId};
use tokio::time::Instant;

fn partition(room: &str) -> Partition {
    room.parse::<RoomId>().unwrap().into()
}

/// A table and sockets with these users in these rooms; the connections are c0, c1, ….
async fn world(
    members: &[(&str, &str)],
) -> (
    ManualClock,
    MemoryConnections,
    MemorySockets,
    Vec<ConnectionId>,
) {
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let (connections, sockets) = (MemoryConnections::default(), MemorySockets::default());
    let mut all = Vec::new();
    for (user, room) in members {
        let connection: ConnectionId = format!("c{}", all.len()).parse().unwrap();
        let member = Member {
            user: user.parse().unwrap(),
            connection: connection.clone(),
            connected_at: clock.now(),
        };
        connections.join(&partition(room), &member).await.unwrap();
        sockets.open(&connection);
        all.push(connection);
    }
    (clock, connections, sockets, all)
}

#[tokio::test(start_paused = true)]
async fn only_the_users_sockets_in_the_room_are_closed() {
    let members = [
        ("alice", "demo"),
        ("alice", "demo"),
        ("alice", "other"),
        ("bob", "demo"),
    ];
    let (clock, connections, sockets, all) = world(&members).await;
    let (alice, rooms) = ("alice".parse().unwrap(), [partition("demo")]);
    let deadline = Instant::now() + Duration::from_secs(10);
    let closed = close_all(
        &connections,
        &sockets,
        &clock,
        &alice,
        &rooms,
        "why",
        deadline,
    )
    .await
    .unwrap();
    assert_eq!((closed.closed, closed.failed.len()), (2, 0));
    let open: Vec<_> = all.iter().map(|one| sockets.is_open(one)).collect();
    assert_eq!(open, [false, false, true, true]);
}

#[tokio::test]
async fn a_connection_is_found_in_any_partition_of_its_room_alone() {
    let (clock, connections, _, all) = world(&[("alice", "demo"), ("bob", "other")]).await;
    let rooms = || [partition("empty"), partition("demo")];
    let found = find(&connections, &clock, rooms(), None, &all[0])
        .await
        .unwrap();
    let (at, member) = found.unwrap();
    assert_eq!((at, member.user.as_str()), (partition("demo"), "alice"));
    let bob = "bob".parse().unwrap();
    for (user, connection) in [(None, &all[1]), (Some(&bob), &all[0])] {
        let found = find(&connections, &clock, rooms(), user, connection).await;
        assert!(found.unwrap().is_none());
    }
}

#[test]
fn a_reason_has_an_end() {
    assert_eq!(Reason::default().as_str(), "closed by the server");
    assert!("x".repeat(256).parse::<Reason>().is_ok());
    assert!("x".repeat(257).parse::<Reason>().is_err());
}
