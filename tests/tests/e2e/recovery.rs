//! What a client missed, it gets from the log: in order, once, and never another room's.

use std::time::Duration;

use hermes_tests::follower::Follower;
use hermes_tests::socket::Socket;
use hermes_tests::stack::Stack;
use serde_json::{Value, json};

/// Asks `recover` for a stream; gives the answer's `data`.
async fn recover(socket: &mut Socket, question: Value) -> Value {
    let mut question = question;
    question["action"] = json!("recover");
    let mut answer = socket.request(question).await;
    assert_eq!(answer["system"], "recovered", "{answer}");
    answer["data"].take()
}

fn data_of(recovered: &Value) -> Vec<&Value> {
    let messages = recovered["messages"].as_array().unwrap();
    messages.iter().map(|message| &message["data"]).collect()
}

#[tokio::test]
async fn what_came_between_two_connections_is_recovered_as_it_was_pushed() {
    let stack = Stack::find().await;
    let (room, other) = (stack.room(), stack.room());
    let (mut alice, mut bob) = (room.join("alice").await, room.join("bob").await);
    let mut elsewhere = other.join("alice").await;
    bob.publish(&json!("seen")).await;
    let seen = alice.notification().await.json;
    assert_eq!(
        (&seen["stream"], &seen["offset"]),
        (&json!("room"), &json!(1))
    );
    alice.leave().await;

    elsewhere.publish(&json!("elsewhere")).await;
    // More than fits into one frame.
    let long = "x".repeat(50 * 1024);
    for n in 0..4 {
        bob.publish(&json!([n, long])).await;
    }
    bob.notification().await;
    let mut pushed = Vec::new();
    for _ in 0..4 {
        pushed.push(bob.notification().await.json);
    }

    let mut alice = room.join("alice").await;
    let mut recovered = Vec::new();
    let mut question = json!({"stream": "room", "epoch": seen["epoch"], "offset": 1});
    for (count, more) in [(2, true), (2, false)] {
        let page = recover(&mut alice, question.clone()).await;
        assert_eq!(
            (&page["complete"], &page["more"]),
            (&json!(true), &json!(more))
        );
        assert_eq!((&page["epoch"], &page["head"]), (&seen["epoch"], &json!(5)));
        let messages = page["messages"].as_array().unwrap();
        assert_eq!(messages.len(), count);
        question["offset"] = messages[count - 1]["offset"].clone();
        recovered.extend_from_slice(messages);
    }
    assert_eq!(
        recovered, pushed,
        "everything of this room, and nothing of the other"
    );
}

#[tokio::test]
async fn the_first_open_gets_what_was_published_since_the_connection_began() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut bob = room.join("bob").await;
    bob.publish(&json!("long ago")).await;
    // Clocks may differ by 10 s, so a little more is given than was asked for.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let mut alice = room.join("alice").await;
    bob.publish(&json!("now")).await;
    let first = recover(&mut alice, json!({"stream": "room"})).await;
    assert_eq!(data_of(&first), ["now"]);
    assert_eq!(
        (&first["head"], &first["complete"], &first["more"]),
        (&json!(2), &json!(true), &json!(false))
    );
}

#[tokio::test]
async fn a_pong_has_the_heads_and_the_ack_the_place() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    let heads = alice.ping().await;
    assert_eq!(
        heads,
        json!({"room": null, "user": null}),
        "nothing was published"
    );
    for (to, stream) in [(None, "room"), (Some("alice"), "user")] {
        for offset in 1..=2 {
            let mut message = json!({"action": "sendMessage", "data": 1});
            to.into_iter().for_each(|to| message["to"] = json!(to));
            let ack = alice.request(message).await["data"].take();
            let pushed = alice.notification().await.json;
            for field in ["id", "stream", "epoch", "offset"] {
                assert_eq!(ack[field], pushed[field], "{field}");
            }
            assert_eq!(
                (&ack["stream"], &ack["offset"]),
                (&json!(stream), &json!(offset))
            );
            let head = alice.ping().await[stream].take();
            assert_eq!(head, json!({"epoch": ack["epoch"], "offset": offset}));
        }
    }
}

#[tokio::test]
async fn what_cannot_be_continued_is_said_and_what_is_wrong_is_named() {
    let stack = Stack::find().await;
    let mut alice = stack.room().join("alice").await;
    alice.publish(&json!(1)).await;
    let epoch = alice.notification().await.json["epoch"].take();
    for (epoch, offset, complete) in [
        (epoch.clone(), 1, true),
        (epoch.clone(), 2, false),
        (json!("0".repeat(32)), 1, false),
    ] {
        let question = json!({"stream": "room", "epoch": epoch, "offset": offset});
        let answer = recover(&mut alice, question).await;
        assert_eq!(answer["complete"], complete, "{epoch} {offset}: {answer}");
        assert_eq!(answer["head"], 1);
    }
    for wrong in [
        json!({}),
        json!({"stream": "others"}),
        json!({"stream": "room", "offset": 1}),
        json!({"stream": "room", "epoch": epoch}),
        json!({"stream": "room", "epoch": epoch, "offset": -1}),
    ] {
        let mut question = wrong.clone();
        question["action"] = json!("recover");
        let answer = alice.request(question).await;
        assert_eq!(
            answer["data"]["code"], "invalid_message",
            "{wrong}: {answer}"
        );
    }
}

#[tokio::test]
async fn an_id_sent_again_is_stored_once_for_each_sender() {
    let stack = Stack::find().await;
    let room = stack.room();
    let (mut alice, mut bob) = (room.join("alice").await, room.join("bob").await);
    let message = json!({"action": "sendMessage", "data": "alice's", "id": "m-1"});
    let first = alice.request(message.clone()).await;
    let mut again = message;
    again["data"] = json!("something else");
    let second = alice.request(again).await;
    assert_eq!(
        first["data"], second["data"],
        "the same id at the same place"
    );
    let others = json!({"action": "sendMessage", "data": "bob's", "id": "m-1"});
    let others = bob.request(others).await;
    assert_eq!(
        others["data"]["offset"], 2,
        "one member's id never suppresses another's"
    );

    let mut carol = Follower::default();
    let mut socket = room.join("carol").await;
    carol.recover(&mut socket).await;
    let applied: Vec<_> = carol
        .applied()
        .iter()
        .map(|message| &message["data"])
        .collect();
    assert_eq!(applied, ["alice's", "bob's"]);
}
