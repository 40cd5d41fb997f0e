//! Backends and clients that were written for the design this grew from work unchanged.

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::types::AttributeValue;
use bcrypt::Version;
use hermes::time::{Clock, SystemClock};
use hermes_tests::socket::{Socket, TokenPlace};
use hermes_tests::stack::Stack;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

/// What an existing backend does to let a user into a room: the inner token is the hex SHA-256 of the
/// user, its own passcode and the room; its bcrypt hash (`$2a$`) is written into the table; the JWT
/// holds the ids as the backend has them.
async fn admit(stack: &Stack, user: &Value, room: &Value) -> String {
    let text = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let (user_text, room_text) = (text(user), text(room));
    let hash = digest(
        &SHA256,
        format!("{user_text}the backend's passcode{room_text}").as_bytes(),
    );
    let inner: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let stored = bcrypt::hash_with_result(&inner, 10)
        .unwrap()
        .format_for_version(Version::TwoA);
    assert!(stored.starts_with("$2a$10$"));
    let put = stack
        .dynamodb()
        .put_item()
        .table_name(stack.output("CredentialsTable"));
    put.item("user_id", AttributeValue::S(user_text))
        .item("room_id", AttributeValue::S(room_text))
        .item("token", AttributeValue::S(stored))
        .send()
        .await
        .unwrap();
    let claims = json!({"user_id": user, "room_id": room, "token": inner, "exp": SystemClock.now().as_secs() + 600});
    let secret = stack.jwt_secret().await;
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap()
}

/// What an existing client makes of a frame: it takes `.data` as the message and calls the subscribers
/// for its `type` with the message's own `data`. Everything else it ignores.
fn dispatch(frame: &str) -> Option<(String, Value)> {
    let message = serde_json::from_str::<Value>(frame).unwrap()["data"].clone();
    Some((
        message.get("type")?.as_str()?.to_owned(),
        message.get("data")?.clone(),
    ))
}

/// An integer id that no other test uses, which JavaScript can hold.
fn random_integer() -> u64 {
    let (_, low) = Uuid::now_v7().as_u64_pair();
    low % (1 << 53)
}

async fn connect(stack: &Stack, token: &str) -> Socket {
    let mut socket = stack
        .connect(TokenPlace::Query, token)
        .await
        .expect("accepted unchanged");
    socket.ping().await;
    socket
}

#[tokio::test]
async fn a_row_and_a_token_of_an_existing_backend_are_accepted_unchanged() {
    let stack = Stack::find().await;
    let room = json!(format!("company-{}", Uuid::now_v7()));
    let token = admit(&stack, &json!("alice"), &room).await;
    let row = || async {
        let get = stack
            .dynamodb()
            .get_item()
            .table_name(stack.output("CredentialsTable"));
        let get = get.key("user_id", AttributeValue::S("alice".to_owned()));
        let get = get.key(
            "room_id",
            AttributeValue::S(room.as_str().unwrap().to_owned()),
        );
        get.send().await.unwrap().item.unwrap()
    };
    let before = row().await;
    let mut alice = connect(&stack, &token).await;
    let mut second_tab = connect(&stack, &token).await;
    assert_eq!(row().await, before, "connecting writes nothing there");
    alice
        .publish(&json!({"type": "greeting", "data": "hello"}))
        .await;
    for socket in [&mut alice, &mut second_tab] {
        assert_eq!(socket.notification().await.json["room_id"], room);
    }
}

#[tokio::test]
async fn integer_ids_are_the_same_as_their_text() {
    let stack = Stack::find().await;
    let (user, room) = (random_integer(), random_integer());
    let mut by_number = connect(&stack, &admit(&stack, &json!(user), &json!(room)).await).await;
    let token = admit(&stack, &json!(user.to_string()), &json!(room.to_string())).await;
    let mut by_text = connect(&stack, &token).await;
    // The backend writes numbers into the queue too.
    stack
        .enqueue(
            &json!({"user_id": user, "room_id": room, "data": {"type": "t", "data": 1}})
                .to_string(),
        )
        .await;
    for socket in [&mut by_number, &mut by_text] {
        let message = socket.notification().await.json;
        assert_eq!(message["user_id"], json!(user.to_string()));
        assert_eq!(message["room_id"], json!(room.to_string()));
    }
}

/// The first two fields are `user_id`, a string, and `data`, as it was sent; what is new comes after.
/// Answers to requests, which existing clients do not expect, call no subscriber.
#[tokio::test]
async fn a_client_that_knows_only_user_id_and_data_understands_what_it_receives() {
    let stack = Stack::find().await;
    let (user, room) = (random_integer(), random_integer());
    let mut client = connect(&stack, &admit(&stack, &json!(user), &json!(room)).await).await;

    let data = r#"{"type":"chat","data":{"text":"hello","n":[1,2.50]}}"#;
    client
        .send(format!(r#"{{"action":"sendMessage","data":{data}}}"#))
        .await;
    let ack = client.answer().await;
    assert_eq!(
        dispatch(&ack.to_string()),
        None,
        "no subscriber is called: {ack}"
    );
    let frame = client.notification().await;
    assert!(
        frame
            .text
            .starts_with(&format!(r#"{{"user_id":"{user}","data":{data},"#)),
        "{}",
        frame.text
    );
    let called = ("chat".to_owned(), json!({"text": "hello", "n": [1, 2.5]}));
    assert_eq!(dispatch(&frame.text), Some(called));

    let body = format!(r#"{{"user_id": 7, "room_id": {room}, "data": {data}}}"#);
    stack.enqueue(&body).await;
    let frame = client.notification().await;
    assert!(
        frame
            .text
            .starts_with(&format!(r#"{{"user_id":"7","data":{data},"#)),
        "{}",
        frame.text
    );
    assert!(dispatch(&frame.text).is_some());

    for request in [
        "hello",
        r#"{"action":"dance"}"#,
        r#"{"action":"ping"}"#,
        r#"{"action":"sendMessage"}"#,
    ] {
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(dispatch(&answer.to_string()), None, "{answer}");
    }
}
