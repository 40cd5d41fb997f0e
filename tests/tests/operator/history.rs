//! `hermes history`.

use hermes_tests::command::{documents, done, ended, failed, hermes, text};
use hermes_tests::stack::{PATIENCE, Stack};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

fn data(messages: &[Value]) -> Vec<&Value> {
    messages.iter().map(|message| &message["data"]).collect()
}

#[tokio::test]
async fn what_was_published_is_shown_as_members_received_it() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    assert!(documents(&["history", name, "--json"]).await.is_empty());
    let mut alice = room.join("alice").await;
    let mut frames = Vec::new();
    for n in 1..=5 {
        alice.publish(&json!({"n": n})).await;
        frames.push(alice.notification().await.json);
    }
    assert_eq!(documents(&["history", name, "--json"]).await, frames);

    let last = documents(&["history", name, "--limit", "2", "--json"]).await;
    assert_eq!(last, frames[3..], "the last ones, oldest first");
    let behind = documents(&["history", name, "--after", "1", "--limit", "2", "--json"]).await;
    assert_eq!(behind, frames[1..3]);
    let since = documents(&["history", name, "--since", "1h", "--json"]).await;
    assert_eq!(since, frames);
    let none = documents(&["history", name, "--since", "0s", "--json"]).await;
    assert!(none.is_empty(), "{none:?}");

    let process = hermes(&["history", name, "--limit", "2"]).spawn().unwrap();
    let output = ended(process).await;
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(shown.lines().count(), 2);
    assert!(
        shown.contains("      5 ") && shown.contains(r#"alice {"n":5}"#),
        "{shown}"
    );
    assert!(
        said.contains("2 messages of") && said.contains("and more"),
        "{said}"
    );
}

#[tokio::test]
async fn a_users_own_messages_stand_in_a_stream_of_their_own() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    let mut bob = room.join("bob").await;
    done(&[
        "publish", "--room", name, "--to", "bob", "--text", "for bob",
    ])
    .await;
    bob.notification().await;
    assert!(documents(&["history", name, "--json"]).await.is_empty());
    let own = documents(&["history", name, "--user", "bob", "--json"]).await;
    assert_eq!(data(&own), ["for bob"]);
    assert_eq!(own[0]["stream"], "user");
}

#[tokio::test]
async fn following_goes_on_with_what_is_published() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    alice.publish(&json!("before")).await;
    let arguments = ["history", room.id.as_str(), "--follow", "--json"];
    let mut process = hermes(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str::<Value>(&line.unwrap()).unwrap()
    };
    assert_eq!(next().await["data"], "before");
    for n in 1..=3 {
        alice.publish(&json!(n)).await;
        let shown = next().await;
        assert_eq!(
            (&shown["data"], &shown["offset"]),
            (&json!(n), &json!(n + 1))
        );
    }
}

#[tokio::test]
async fn a_stack_without_history_says_so() {
    let shared = Stack::find().await;
    let stack = shared.deploy_another(&[("HistoryDays", "0")], |_| ()).await;
    let mut command = hermes(&["history", "demo"]);
    command.env("HERMES_STACK", &stack.name);
    let (code, said) = failed(command).await;
    assert!(code == 1 && said.contains("keeps no history"), "{said}");
    stack.delete().await;
}
