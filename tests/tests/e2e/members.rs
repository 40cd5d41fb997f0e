//! Members that are gone: cleaned up, and in nobody's way.

use hermes_tests::stack::{Room, Stack};
use serde_json::json;

async fn has(room: &Room<'_>, user: &str) -> bool {
    !room.connections_of(user).await.is_empty()
}

/// Flaw: a 410 deletes the row without asking whether the socket was ever open; the delete itself
/// crashes.
#[tokio::test]
async fn who_vanished_is_forgotten_and_who_is_still_connecting_is_not() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut bob = room.join("bob").await;
    let mut yara = room.join("yara").await;
    // In the order of the table before, between and after those who are there.
    for ghost in ["abel", "mara", "zoe"] {
        room.insert_row(ghost, "bG9zdCBkaXNjb25uZWN0", 120).await;
    }
    room.insert_row("newcomer", "bm90IHlldCBvcGVu", 5).await;

    bob.publish(&json!("who is here?")).await;
    for socket in [&mut bob, &mut yara] {
        assert_eq!(socket.notification().await.data(), "who is here?");
    }
    // The ack came after all were tried.
    for ghost in ["abel", "mara", "zoe"] {
        assert!(!has(&room, ghost).await, "{ghost}");
    }
    assert!(has(&room, "newcomer").await);

    room.insert_row("mara", "bG9zdCBkaXNjb25uZWN0", 120).await;
    room.publish(&json!("from the queue")).await;
    for (user, socket) in [("bob", &mut bob), ("yara", &mut yara)] {
        assert_eq!(socket.notification().await.data(), "from the queue");
        socket.receives_nothing_more(user).await;
    }
    room.until_members_are(3).await;
    assert!(has(&room, "newcomer").await && !has(&room, "mara").await);
}

/// A row that TTL has not removed yet counts no more: DynamoDB may be up to two days late.
#[tokio::test]
async fn an_expired_row_receives_nothing() {
    let stack = Stack::find().await;
    let (room, other) = (stack.room(), stack.room());
    let (mut alice, mut bob) = (room.join("alice").await, other.join("bob").await);
    let [live] = other.connections_of("bob").await.try_into().unwrap();
    room.insert_row("bob", live.as_str(), 7501).await;
    alice.publish(&json!("not for bob")).await;
    bob.receives_nothing_more("bob").await;

    // The same row, not expired, does lead to bob's socket.
    room.insert_row("bob", live.as_str(), 7000).await;
    alice.publish(&json!("for bob")).await;
    assert_eq!(bob.notification().await.data(), "for bob");
}

#[tokio::test]
async fn who_left_receives_nothing_and_the_others_go_on() {
    let stack = Stack::find().await;
    let room = stack.room();
    let (mut alice, bob) = (room.join("alice").await, room.join("bob").await);
    bob.leave().await;
    room.until_members_are(1).await;
    drop(room.join("carol").await); // without a close frame
    room.until_members_are(1).await;
    alice.publish(&json!("alone?")).await;
    assert_eq!(alice.notification().await.data(), "alone?");
    alice.receives_nothing_more("alice").await;
}
