//! Messages: who receives what, how often, and in which form.

use futures::future::join_all;
use hermes::time::{Clock, SystemClock};
use hermes_tests::socket::{Frame, Socket};
use hermes_tests::stack::Stack;
use serde_json::{Value, json};

#[tokio::test]
async fn two_rooms_never_see_each_others_messages() {
    let stack = Stack::find().await;
    let (red, blue) = (stack.room(), stack.room());
    let (mut in_red, mut in_blue) = (red.join("alice").await, blue.join("alice").await);

    in_red.publish(&json!("from a socket to red")).await;
    red.publish(&json!("from the queue to red")).await;
    // What a client says about rooms and senders does not count.
    let forged =
        json!({"action": "sendMessage", "data": "forged", "room_id": blue.id, "user_id": "bob"});
    assert_eq!(in_red.request(forged).await["system"], "ack");
    in_blue.publish(&json!("from a socket to blue")).await;
    blue.publish(&json!("from the queue to blue")).await;

    for (socket, room, own) in [(&mut in_red, &red, 3), (&mut in_blue, &blue, 2)] {
        for _ in 0..own {
            let message = socket.notification().await;
            assert_eq!(message.json["room_id"], json!(room.id));
            assert_ne!(message.json["user_id"], "bob");
        }
        socket.receives_nothing_more("alice").await;
    }
}

/// Flaw: every SDK call is issued twice (callback and promise).
#[tokio::test]
async fn a_message_from_a_socket_reaches_every_socket_of_the_room_once() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut sockets = Vec::new();
    for user in ["alice", "alice", "bob", "carol"] {
        sockets.push((user, room.join(user).await));
    }
    let before = SystemClock.now();
    let id = sockets[0].1.publish(&json!({"text": "hello"})).await;
    let after = SystemClock.now();
    assert_eq!(id.len(), 36, "a UUID");
    for (_, socket) in &mut sockets {
        let message = socket.notification().await.json;
        assert_eq!(
            (
                &message["user_id"],
                &message["data"],
                &message["room_id"],
                &message["id"]
            ),
            (
                &json!("alice"),
                &json!({"text": "hello"}),
                &json!(room.id),
                &json!(id)
            ),
        );
        let sent_at = message["sent_at"].as_str().unwrap();
        assert!(
            before.to_string().as_str() <= sent_at && sent_at <= after.to_string().as_str(),
            "{sent_at}"
        );
    }
    for (user, socket) in &mut sockets[2..] {
        socket.receives_nothing_more(user).await;
    }
    let [(_, first), (_, second), ..] = &mut sockets[..] else {
        unreachable!()
    };
    first.receives_nothing_more("alice").await;
    assert!(
        second.notification().await.data().get("end").is_some(),
        "the first one's last message"
    );
    second.receives_nothing_more("alice").await;
}

#[tokio::test]
async fn a_message_to_one_user_reaches_all_sockets_of_that_user_and_nobody_elses() {
    let stack = Stack::find().await;
    let room = stack.room();
    let (mut alice, mut alicia) = (room.join("alice").await, room.join("alicia").await);
    let (mut bob, mut bobs_phone) = (room.join("bob").await, room.join("bob").await);

    let send = json!({"action": "sendMessage", "data": "psst", "to": "bob"});
    assert_eq!(alice.request(send).await["system"], "ack");
    stack
        .enqueue(&json!({"room_id": room.id, "data": "from the queue", "to": "alice"}).to_string())
        .await;
    for socket in [&mut bob, &mut bobs_phone] {
        let message = socket.notification().await.json;
        assert_eq!(
            (&message["data"], &message["to"]),
            (&json!("psst"), &json!("bob"))
        );
    }
    let message = alice.notification().await.json;
    assert_eq!(
        (&message["data"], &message["to"]),
        (&json!("from the queue"), &json!("alice"))
    );
    alice.receives_nothing_more("alice").await;
    alicia.receives_nothing_more("alicia").await;
    bob.receives_nothing_more("bob").await;
}

#[tokio::test]
async fn data_passes_byte_for_byte_from_a_socket_and_through_the_queue() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    let data =
        r#"{ "b": 1.50, "a": [1e3, -0, 12345678901234567890],  "ü": "\u00fc🦀", "b": null }"#;
    for action in ["sendMessage", "sendMessageToSQS"] {
        alice
            .send(format!(r#"{{"action": "{action}", "data": {data}}}"#))
            .await;
        assert_eq!(alice.answer().await["system"], "ack");
        let text = alice.notification().await.text;
        assert!(
            text.contains(&format!(r#","data":{data},"room_id":"#)),
            "{text}"
        );
    }
    stack
        .enqueue(&format!(r#"{{"room_id": "{}", "data": {data}}}"#, room.id))
        .await;
    let text = alice.notification().await.text;
    assert!(
        text.contains(&format!(r#","data":{data},"room_id":"#)),
        "{text}"
    );
}

#[tokio::test]
async fn a_client_message_through_the_queue_keeps_its_id_and_its_sender() {
    let stack = Stack::find().await;
    let room = stack.room();
    let (mut alice, mut bob) = (room.join("alice").await, room.join("bob").await);
    let send = |id: Option<&str>, to: Option<&str>| {
        let mut frame = json!({"action": "sendMessageToSQS", "data": {"n": 1}});
        id.into_iter().for_each(|id| frame["id"] = json!(id));
        to.into_iter().for_each(|to| frame["to"] = json!(to));
        frame
    };
    let own = alice.request(send(Some("order 17"), None)).await;
    assert_eq!(
        (&own["system"], &own["data"]),
        (&json!("ack"), &json!({"id": "order 17"}))
    );
    for socket in [&mut alice, &mut bob] {
        let message = socket.notification().await.json;
        assert_eq!(
            (&message["id"], &message["user_id"], &message["data"]),
            (&json!("order 17"), &json!("alice"), &json!({"n": 1})),
        );
    }
    let made = alice.request(send(None, Some("bob"))).await;
    let message = bob.notification().await.json;
    assert_eq!(
        (&message["id"], &message["to"]),
        (&made["data"]["id"], &json!("bob"))
    );
    alice.receives_nothing_more("alice").await;
}

/// Flaw: one object shared and changed by all posts.
#[tokio::test]
async fn many_messages_at_once_arrive_whole_and_once_each() {
    const EACH: usize = 20;
    let stack = Stack::find().await;
    let room = stack.room();
    let users = ["alice", "bob", "carol"];
    let mut sockets = join_all(users.map(|user| room.join(user))).await;
    let everything = |user: &'static str| (0..EACH).map(move |n| json!({"from": user, "n": n}));
    join_all(sockets.iter_mut().zip(users).map(async |(socket, user)| {
        for data in everything(user) {
            socket.publish(&data).await;
        }
    }))
    .await;

    let mut sent: Vec<Value> = users.into_iter().flat_map(everything).collect();
    sent.sort_by_key(Value::to_string);
    let mut texts: Vec<Vec<String>> = Vec::new();
    for (socket, user) in sockets.iter_mut().zip(users) {
        let mut frames: Vec<Frame> = Vec::new();
        for _ in 0..sent.len() {
            frames.push(socket.notification().await);
        }
        socket.receives_nothing_more(user).await;
        frames.sort_by_key(|frame| frame.data().to_string());
        assert_eq!(
            frames
                .iter()
                .map(|frame| frame.data().clone())
                .collect::<Vec<_>>(),
            sent
        );
        assert!(
            frames
                .iter()
                .all(|frame| frame.json["user_id"] == frame.data()["from"])
        );
        texts.push(frames.into_iter().map(|frame| frame.text).collect());
    }
    assert!(
        texts.iter().all(|text| *text == texts[0]),
        "everybody receives the same frames"
    );
}

/// A hundred sockets of ten users, and each of a few messages once to each of them.
#[tokio::test]
async fn a_hundred_sockets_in_a_room_receive_every_message_once() {
    use futures::{StreamExt, stream};
    use hermes_tests::socket::TokenPlace;
    let stack = Stack::find().await;
    let room = stack.room();
    let mut tokens = Vec::new();
    for user in 0..10 {
        tokens.push(room.token(&format!("user-{user}")).await);
    }
    let connecting = stream::iter(tokens.iter().cycle().take(100));
    let connecting =
        connecting.map(async |token| stack.connect(TokenPlace::Query, token).await.unwrap());
    // Few at once: each handshake of an environment that is new to the user costs it a bcrypt.
    let mut sockets: Vec<Socket> = connecting.buffer_unordered(4).collect().await;
    room.until_members_are(100).await;
    for socket in &mut sockets {
        socket.ping().await;
    }

    sockets[0].publish(&json!("from a socket")).await;
    for socket in &mut sockets {
        assert_eq!(socket.notification().await.data(), "from a socket");
    }
    room.publish(&json!("from the queue")).await;
    for socket in &mut sockets {
        assert_eq!(socket.notification().await.data(), "from the queue");
    }
    sockets[99].publish(&json!("the end")).await;
    for socket in &mut sockets {
        assert_eq!(socket.notification().await.data(), "the end");
    }
}
