//! `hermes kick`.

use hermes_tests::command::{done, failed, hermes};
use hermes_tests::stack::Stack;
use serde_json::{Value, json};

#[tokio::test]
async fn a_user_is_told_why_and_is_gone_when_the_command_ends() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    let mut alice = [room.join("alice").await, room.join("alice").await];
    let mut bob = room.join("bob").await;

    let reason = "maintenance until 10:00";
    let said = done(&["kick", name, "--user", "alice", "--reason", reason]).await;
    assert!(said.contains("closed 2 sockets"), "{said}");
    let left = room.members().await;
    assert_eq!(left.len(), 1, "{left:?}");
    for socket in &mut alice {
        let told = socket.answer().await;
        assert_eq!(
            told,
            json!({"system": "closing", "data": {"reason": reason}})
        );
    }
    for socket in alice {
        socket.closed().await;
    }
    bob.receives_nothing_more("bob").await;
    // Its token stays good: kicking is no revocation.
    let _again = room.join("alice").await;
}

#[tokio::test]
async fn one_connection_is_closed_and_the_users_other_one_stays() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    let mut first = room.join("alice").await;
    let [connection] = room.connections_of("alice").await.try_into().unwrap();
    let mut second = room.join("alice").await;

    let id = connection.as_str();
    let said = done(&["kick", name, "--connection", id, "--json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&said).unwrap(),
        json!({"closed": 1, "failed": 0})
    );
    assert_eq!(
        first.answer().await["data"]["reason"],
        "closed by the server"
    );
    first.closed().await;
    second.receives_nothing_more("alice").await;
    assert_eq!(room.members().await.len(), 1);
}

/// A row whose socket was gone, and whose `$disconnect` was lost.
#[tokio::test]
async fn a_row_of_a_socket_that_is_gone_is_removed() {
    let stack = Stack::find().await;
    let room = stack.room();
    room.insert_row("mara", "bG9zdCBkaXNjb25uZWN0", 120).await;
    done(&["kick", room.id.as_str(), "--user", "mara"]).await;
    assert!(room.members().await.is_empty());
}

#[tokio::test]
async fn who_is_not_there_cannot_be_kicked() {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = room.id.as_str();
    for whom in [["--user", "nobody"], ["--connection", "bm9ib2R5"]] {
        let (code, said) = failed(hermes(&["kick", name, whom[0], whom[1]])).await;
        assert!(code == 1 && said.contains("is not in the room"), "{said}");
    }
    let (code, said) = failed(hermes(&["kick", name])).await;
    assert!(code == 2 && said.contains("--user"), "{said}");
    let long = "x".repeat(257);
    let (code, said) = failed(hermes(&["kick", name, "--user", "u", "--reason", &long])).await;
    assert!(code == 2 && said.contains("at most 256 bytes"), "{said}");
}
