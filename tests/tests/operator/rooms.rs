//! `hermes rooms` and `hermes members`.

use aws_sdk_dynamodb::types::AttributeValue;
use hermes::time::{Clock, SystemClock};
use hermes_tests::command::{documents, done, ended, hermes, text};
use hermes_tests::stack::Stack;
use serde_json::{Value, json};

/// The row of a connection in another partition of a sharded room.
async fn insert(stack: &Stack, key: &str, member: &str, seconds_left: u64) {
    let expires_at = SystemClock.now().as_secs() + seconds_left;
    stack
        .dynamodb()
        .put_item()
        .table_name(stack.output("ConnectionsTable"))
        .item("room_id", AttributeValue::S(key.to_owned()))
        .item("member", AttributeValue::S(member.to_owned()))
        .item("expires_at", AttributeValue::N(expires_at.to_string()))
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_room_is_listed_with_its_connections_and_users() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    let _alice = (room.join("alice").await, room.join("alice").await);
    let _bob = room.join("bob").await;
    let neighbour = stack.room_named(&format!("a-{name}"));
    let _erin = neighbour.join("erin").await;
    // In another partition, for 100 seconds; and one that TTL has not yet removed.
    insert(&stack, &format!("{name}\u{1f}3"), "carol\u{1f}c3", 7400).await;
    insert(&stack, name, "dave\u{1f}c4", 0).await;

    let rooms = documents(&["rooms", "--limit", "10000", "--json"]).await;
    let own: Vec<&Value> = rooms.iter().filter(|one| one["room_id"] == name).collect();
    let [own] = own[..] else { panic!("{rooms:?}") };
    assert_eq!((&own["connections"], &own["users"]), (&json!(4), &json!(3)));
    assert!(own["oldest"].as_str() < own["newest"].as_str(), "{own}");

    // Other tests have rooms, too: each list is a look at another moment.
    let by_name = documents(&["rooms", "--sort", "room", "--limit", "10000", "--json"]).await;
    let names = by_name.iter().map(|one| one["room_id"].as_str().unwrap());
    assert!(by_name.len() > 1 && names.is_sorted(), "{by_name:?}");
    let first = documents(&["rooms", "--limit", "1", "--json"]).await;
    assert_eq!(first.len(), 1);

    let process = hermes(&["rooms", "--limit", "10000"]).spawn().unwrap();
    let output = ended(process).await;
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(
        shown.contains(name) && shown.contains("CONNECTIONS"),
        "{shown}"
    );
    assert!(said.contains("read units ("), "{said}");
}

#[tokio::test]
async fn members_are_listed_by_user_and_an_empty_room_is_no_error() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    let process = hermes(&["members", name]).spawn().unwrap();
    let output = ended(process).await;
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(text(&output.stderr).contains("0 connections in"));

    let _alice = room.join("alice").await;
    let _bob = room.join("bob").await;
    let [connection] = room.connections_of("bob").await.try_into().unwrap();
    let members = documents(&["members", name, "--json"]).await;
    let users: Vec<_> = members.iter().map(|member| &member["user_id"]).collect();
    assert_eq!(users, ["alice", "bob"]);
    let bob = documents(&["members", name, "--user", "bob", "--json"]).await;
    assert_eq!(bob.len(), 1);
    assert_eq!(bob[0]["connection_id"], connection.as_str());
    let since = bob[0]["connected_at"].as_str().unwrap().to_owned();
    assert!(since <= SystemClock.now().to_string());
    let shown = done(&["members", name]).await;
    assert!(
        shown.contains(connection.as_str()) && shown.contains(&since),
        "{shown}"
    );

    let process = hermes(&["members", name, "--limit", "1"]).spawn().unwrap();
    let output = ended(process).await;
    assert!(
        text(&output.stderr).contains("1 connection in"),
        "{output:?}"
    );
    assert!(text(&output.stderr).contains("and more (--limit)"));
}

/// The deployment says which rooms are sharded; here the variable does.
#[tokio::test]
async fn the_members_of_a_sharded_room_are_found_in_every_partition() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    let _alice = room.join("alice").await;
    insert(&stack, &format!("{name}\u{1f}3"), "carol\u{1f}c3", 7400).await;
    let mut command = hermes(&["members", name, "--json"]);
    command.env("HERMES_SHARDED_ROOMS", json!({name: 4}).to_string());
    let output = ended(command.spawn().unwrap()).await;
    let shown = text(&output.stdout);
    let users: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["user_id"].take())
        .collect();
    assert_eq!(users, ["alice", "carol"]);
}
