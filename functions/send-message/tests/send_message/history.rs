//! With the log.

use super::*;

/// The same world with a log.
async fn logged() -> World {
    World {
        log: Some(MemoryLog::default()),
        ..World::new().await
    }
}

fn room_stream() -> Stream {
    Stream {
        room: "demo".parse().unwrap(),
        user: None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_ack_says_where_the_message_stands_and_the_notification_says_it_too() {
    let world = logged().await;
    let frame = r#"{"action":"sendMessage","id":"m-1","data":1}"#;
    let ack = world.send(frame).await["data"].clone();
    assert_eq!(
        (&ack["id"], &ack["stream"], &ack["offset"]),
        (&json!("m-1"), &json!("room"), &json!(1))
    );
    let received = world.received("bob").remove(0);
    assert_eq!(
        (&received["stream"], &received["epoch"], &received["offset"]),
        (&ack["stream"], &ack["epoch"], &ack["offset"])
    );
    let own = world
        .send(r#"{"action":"sendMessage","id":"m-2","data":1,"to":"bob"}"#)
        .await["data"]
        .clone();
    assert_eq!(
        (&own["stream"], &own["offset"]),
        (&json!("user"), &json!(1)),
        "streams of their own"
    );
}

#[tokio::test(start_paused = true)]
async fn publishing_an_id_again_stores_nothing_and_delivers_what_is_stored() {
    let world = logged().await;
    let first = world
        .send(r#"{"action":"sendMessage","id":"m-1","data":"first"}"#)
        .await;
    let again = world
        .send(r#"{"action":"sendMessage","id":"m-1","data":"second"}"#)
        .await;
    assert_eq!(first, again);
    assert_eq!(world.log.as_ref().unwrap().entries(&room_stream()).len(), 1);
    let data: Vec<Value> = world
        .received("bob")
        .iter()
        .map(|frame| frame["data"].clone())
        .collect();
    assert_eq!(data, ["first", "first"]);
    // The backend's ids are its own: nobody can use them up.
    world
        .handle(batch(&[
            r#"{"room_id":"demo","id":"m-1","data":"backend"}"#,
        ]))
        .await;
    assert_eq!(world.log.as_ref().unwrap().entries(&room_stream()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_contiguous_in_its_order() {
    let world = logged().await;
    let bodies: Vec<String> = (0..10)
        .map(|i| format!(r#"{{"room_id":"demo","data":{i}}}"#))
        .collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    world.handle(batch(&bodies)).await;
    world.handle(batch(&bodies)).await;
    let entries = world.log.as_ref().unwrap().entries(&room_stream());
    assert_eq!(
        entries.len(),
        10,
        "a redelivered batch is the same messages"
    );
    for (i, entry) in entries.iter().enumerate() {
        assert_eq!(entry.position.offset, i as u64 + 1);
        assert!(entry.notification.contains(&format!(r#""data":{i},"#)));
    }
}

/// What is in the log is safe: the client is told so, and whoever was not reached recovers it.
#[tokio::test(start_paused = true)]
async fn a_message_in_the_log_is_acknowledged_whatever_its_delivery() {
    let world = logged().await;
    world.jobs.refuse(true);
    for user in ["alice", "bob"] {
        world.sockets.throttle(&user.parse().unwrap(), u32::MAX);
    }
    assert_eq!(
        world.send(r#"{"action":"sendMessage","data":1}"#).await["system"],
        "ack"
    );
}

#[tokio::test(start_paused = true)]
async fn with_the_log_off_nothing_is_written_and_frames_are_as_before() {
    let world = World::new().await;
    let ack = world
        .send(r#"{"action":"sendMessage","id":"m-1","data":1}"#)
        .await;
    assert_eq!(ack["data"], json!({"id": "m-1"}));
    assert!(world.received("bob")[0].get("offset").is_none());
}
