//! Processes that die and sockets that drop: what every member applied in the end is what was published.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::post;
use futures::future::join_all;
use hermes_tests::follower::Follower;
use hermes_tests::socket::{Socket, TokenPlace};
use hermes_tests::stack::{Room, Stack};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// How long a whole run may take on a busy machine.
const LONG: Duration = Duration::from_secs(300);

/// Hermes once more, where a message whose function died is tried again after 3 s instead of 150.
async fn deploy_impatient(stack: &Stack, queue_type: &str) -> Stack {
    let change = |template: &mut Value| {
        template["Resources"]["MessageQueue"]["Properties"]["VisibilityTimeout"] = json!(3);
    };
    stack
        .deploy_another(&[("QueueType", queue_type)], change)
        .await
}

/// Ends the processes of a function of this stack, as when their machine dies. Gives how many there were.
async fn kill(stack: &Stack, function: &str) -> usize {
    let name = format!("AWS_LAMBDA_FUNCTION_NAME={}-{function}", stack.name);
    let has_it = |process: &Path| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == name.as_bytes())
    };
    let mut killed = 0;
    for process in std::fs::read_dir("/proc").unwrap() {
        let process = process.unwrap().path();
        if has_it(&process) {
            let id = process.file_name().unwrap();
            let kill = Command::new("kill")
                .arg("-9")
                .arg(id)
                .status()
                .await
                .unwrap();
            killed += usize::from(kill.success());
        }
    }
    killed
}

/// Publishes batches of ten, and in the middle of each kills the function that delivers it.
async fn kill_in_each_of_three_batches(queue_type: &str) -> Vec<String> {
    let shared = Stack::find().await;
    let stack = deploy_impatient(&shared, queue_type).await;
    let room = stack.room();
    let users = ["alice", "bob", "carol"];
    let mut followers = Vec::new();
    for user in users {
        let (mut socket, mut follower) = (room.join(user).await, Follower::default());
        follower.recover(&mut socket).await;
        followers.push((socket, follower));
    }
    for batch in 0..3 {
        let ids = (0..10).map(|n| format!("{batch}-{n}"));
        if queue_type == "Fifo" {
            stack
                .enqueue_in_order(ids.map(|id| (&room.id, id, Value::Null)))
                .await;
        } else {
            let body = |id| json!({"room_id": room.id, "id": id, "data": null}).to_string();
            stack.enqueue_batch(ids.map(body)).await;
        }
        // Whoever has a message of this batch knows that the function is in the middle of it.
        let (socket, follower) = &mut followers[0];
        follower.follow(socket, batch * 10 + 1).await;
        assert!(kill(&stack, "send-message").await > 0, "it runs");
        let follow = followers
            .iter_mut()
            .map(|(socket, follower)| follower.follow(socket, (batch + 1) * 10));
        timeout(LONG, join_all(follow))
            .await
            .expect("everything arrives");
    }
    let sequences: Vec<_> = followers
        .iter()
        .map(|(_, follower)| follower.ids())
        .collect();
    assert!(
        sequences.iter().all(|sequence| *sequence == sequences[0]),
        "{sequences:?}"
    );
    let applied = sequences[0].iter().map(|id| (*id).to_owned()).collect();
    stack.delete().await;
    applied
}

fn published() -> Vec<String> {
    (0..3)
        .flat_map(|batch| (0..10).map(move |n| format!("{batch}-{n}")))
        .collect()
}

#[tokio::test]
async fn a_function_killed_in_the_middle_of_a_batch_loses_and_repeats_nothing() {
    let mut applied = kill_in_each_of_three_batches("Standard").await;
    applied.sort();
    assert_eq!(applied, published());
}

#[tokio::test]
async fn a_function_killed_in_the_middle_of_a_fifo_batch_changes_no_order_either() {
    assert_eq!(kill_in_each_of_three_batches("Fifo").await, published());
}

/// How many sockets connect at the same time. Each environment of the authorizer that is new to a user pays
/// a bcrypt, and the stack has only this machine.
static CONNECTING: Semaphore = Semaphore::const_new(4);

async fn connect(stack: &Stack, token: &str) -> Socket {
    let _permit = CONNECTING.acquire().await.unwrap();
    stack.connect(TokenPlace::Subprotocol, token).await.unwrap()
}

/// One of the sockets: drops in the middle, if it is one of those, and comes back.
async fn member(stack: &Stack, token: &str, count: usize, drops_after: Option<usize>) -> Follower {
    let mut follower = Follower::default();
    let mut socket = connect(stack, token).await;
    follower.recover(&mut socket).await;
    if let Some(drops_after) = drops_after {
        follower.follow(&mut socket, drops_after).await;
        // Without a closing handshake, as when the network goes.
        drop(socket);
        sleep(Duration::from_secs(2)).await;
        socket = connect(stack, token).await;
        follower.recover(&mut socket).await;
    }
    follower.follow(&mut socket, count).await;
    follower
}

/// Ten rooms of twenty sockets, 2,000 messages, and every second socket drops during the run.
#[tokio::test]
async fn half_of_200_sockets_drop_during_2000_messages_and_all_apply_the_published_sequence() {
    const ROOMS: usize = 10;
    const SOCKETS: usize = 20;
    const MESSAGES: usize = 200;
    let shared = Stack::find().await;
    let stack = shared
        .deploy_another(&[("QueueType", "Fifo")], |_| ())
        .await;
    let rooms: Vec<Room<'_>> = (0..ROOMS).map(|_| stack.room()).collect();
    let mut tokens = Vec::new();
    for room in &rooms {
        tokens.push(room.token("alice").await);
    }

    let members = rooms.iter().zip(&tokens).map(async |(room, token)| {
        let members = (0..SOCKETS).map(|n| {
            // Not all at the same place.
            let drops_after = (n % 2 == 0).then_some(10 + 5 * n);
            member(&stack, token, MESSAGES, drops_after)
        });
        (&room.id, join_all(members).await)
    });
    let publish = async {
        for room in &rooms {
            room.until_members_are(SOCKETS).await;
        }
        for first in (0..MESSAGES).step_by(10) {
            for room in &rooms {
                let messages = first..first + 10;
                stack
                    .enqueue_in_order(messages.map(|n| (&room.id, format!("m-{n}"), json!(n))))
                    .await;
            }
        }
    };
    let started = Instant::now();
    let run = async { tokio::join!(join_all(members), publish).0 };
    let applied = timeout(LONG, run).await.expect("everything arrives");

    let published: Vec<_> = (0..MESSAGES).map(|n| format!("m-{n}")).collect();
    for (room, followers) in applied {
        assert_eq!(followers.len(), SOCKETS);
        for follower in followers {
            assert_eq!(follower.ids(), published);
            assert!(
                follower
                    .applied()
                    .iter()
                    .all(|message| message["room_id"] == json!(room))
            );
        }
    }
    eprintln!(
        "{} messages to {} sockets: {:?}",
        ROOMS * MESSAGES,
        ROOMS * SOCKETS,
        started.elapsed()
    );
    stack.delete().await;
}

/// What an endpoint was asked to post: to whom how often, and by which function's credentials.
#[derive(Default)]
struct Posts {
    to: HashMap<String, usize>,
    by: BTreeMap<String, BTreeSet<String>>,
}

/// An `@connections` endpoint that counts.
async fn counting() -> (String, Arc<Mutex<Posts>>) {
    let posts = Arc::new(Mutex::new(Posts::default()));
    let count = async |State(posts): State<Arc<Mutex<Posts>>>, headers: HeaderMap, uri: Uri| {
        let connection = uri.path().rsplit('/').next().unwrap().to_owned();
        let signed = headers["authorization"].to_str().unwrap();
        let key = signed.split(['=', '/']).nth(1).unwrap().to_owned();
        let mut posts = posts.lock().unwrap();
        *posts.to.entry(connection.clone()).or_default() += 1;
        posts.by.entry(key).or_default().insert(connection);
    };
    let router = Router::new()
        .route("/stage/@connections/{id}", post(count))
        .with_state(Arc::clone(&posts));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stage", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, posts)
}

/// Members as `$connect` writes them, without sockets.
async fn fill(stack: &Stack, room: &Room<'_>, count: usize) {
    let table = stack.output("ConnectionsTable");
    let members: Vec<_> = (0..count).collect();
    for some in members.chunks(25) {
        let writes = some.iter().map(|n| {
            let put = PutRequest::builder()
                .item("room_id", AttributeValue::S(room.id.to_string()))
                .item(
                    "member",
                    AttributeValue::S(format!("user-{n}\u{1f}connection-{n}")),
                )
                .item("expires_at", AttributeValue::N("4000000000".to_owned()));
            WriteRequest::builder()
                .put_request(put.build().unwrap())
                .build()
        });
        let write = stack
            .dynamodb()
            .batch_write_item()
            .request_items(table, writes.collect());
        write.send().await.unwrap();
    }
}

#[tokio::test]
async fn a_room_of_5000_members_is_worked_off_by_delivery_jobs() {
    const MEMBERS: usize = 5000;
    const MEMBERS_PER_JOB: usize = 1000;
    let shared = Stack::find().await;
    let (endpoint, posts) = counting().await;
    let change = |template: &mut Value| {
        for function in ["SendMessageFunction", "DeliverFunction"] {
            let variables =
                &mut template["Resources"][function]["Properties"]["Environment"]["Variables"];
            variables["CONNECTIONS_ENDPOINT"] = json!(endpoint);
        }
    };
    let stack = shared.deploy_another(&[], change).await;
    let room = stack.room();
    fill(&stack, &room, MEMBERS).await;
    room.publish(&json!("everybody")).await;
    let everybody = async {
        while posts.lock().unwrap().to.len() < MEMBERS {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let reached = timeout(LONG, everybody).await;
    let Posts { to, by } = &*posts.lock().unwrap();
    assert!(reached.is_ok(), "{} of {MEMBERS} members", to.len());
    assert!(to.values().all(|times| *times == 1), "once each");
    let shares: Vec<_> = by.values().map(BTreeSet::len).collect();
    assert_eq!(shares.len(), 2, "send-message and deliver: {shares:?}");
    assert!(
        shares.contains(&MEMBERS_PER_JOB),
        "send-message posts to one page: {shares:?}"
    );
}
