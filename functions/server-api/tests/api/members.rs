//! `/rooms/{room}/members`.

use std::collections::BTreeSet;
use std::time::Duration;

use hermes::Timestamp;
use hermes::memory::MemoryLog;
use hermes::ports::{Connections, Member};
use hermes::time::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Backend, in_path};

/// All pages of a list of members, and how many pages there were.
async fn list(backend: &Backend, query: &str) -> (Vec<Value>, usize) {
    let (mut members, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let answer = backend
            .ask("GET", &format!("/rooms/demo/members?{query}{after}"))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        members.extend(page["members"].as_array().unwrap().clone());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return (members, pages),
        }
    }
}

#[tokio::test]
async fn members_are_listed_with_their_time() {
    let backend = Backend::default();
    let before = SystemClock.now().as_secs();
    backend.join("alice", "demo", "c1=").await;
    backend.join("bob", "other", "c2=").await;
    let (members, _) = list(&backend, "").await;
    let [member] = members.try_into().unwrap();
    assert_eq!(
        (&member["user_id"], &member["connection_id"]),
        (&json!("alice"), &json!("c1="))
    );
    let times = [before, before + 1].map(|s| Timestamp::from_secs(s).to_string());
    assert!(
        times.contains(&member["connected_at"].as_str().unwrap().to_owned()),
        "{member}"
    );
}

#[tokio::test]
async fn cursors_lead_through_a_sharded_room_once() {
    for sharding in ["{}", r#"{"demo":16}"#] {
        let backend = Backend::with(sharding.parse().unwrap(), Some(MemoryLog::default()));
        let mut joined = BTreeSet::new();
        for number in 0..50 {
            backend
                .join(&format!("user-{number}"), "demo", &format!("c{number}"))
                .await;
            joined.insert(format!("c{number}"));
        }
        for (query, least) in [("", 1), ("limit=7", 8), ("limit=1", 50)] {
            let (members, pages) = list(&backend, query).await;
            let ids = members
                .iter()
                .map(|member| member["connection_id"].as_str().unwrap().to_owned());
            let ids: Vec<_> = ids.collect();
            assert_eq!(ids.len(), 50, "{sharding} {query}");
            assert_eq!(BTreeSet::from_iter(ids), joined);
            assert!(pages >= least, "{sharding} {query}: {pages}");
        }
    }
}

#[tokio::test]
async fn one_users_connections_are_listed_alone() {
    let backend = Backend::with(r#"{"demo":4}"#.parse().unwrap(), None);
    for (user, connection) in [
        ("alice", "c1"),
        ("bob", "c2"),
        ("alice", "c3"),
        ("alice2", "c4"),
    ] {
        backend.join(user, "demo", connection).await;
    }
    for query in ["user=alice", "user=alice&limit=1"] {
        let (members, _) = list(&backend, query).await;
        let ids: Vec<_> = members
            .iter()
            .map(|member| &member["connection_id"])
            .collect();
        assert_eq!(ids, ["c1", "c3"], "{query}");
    }
}

#[tokio::test]
async fn wrong_parameters_are_refused() {
    let backend = Backend::default();
    backend.join("alice", "demo", "c1").await;
    backend.join("alice", "demo", "c2").await;
    let first = backend
        .ask("GET", "/rooms/demo/members?limit=1&user=alice")
        .await
        .json();
    let next = first["next"].as_str().unwrap();
    let of_another = format!("user=bob&after={next}");
    let of_nobody = format!("after={next}");
    let place = |place: &str| {
        use base64::Engine as _;
        format!(
            "after={}",
            base64::engine::general_purpose::URL_SAFE_NO_PAD
                .encode(format!(r#"["demo",null,{place}]"#))
        )
    };
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "user=",
        "after=x",
        &of_another,
        &of_nobody,
        &place("[1,null]"),
        &place("[0,\"\"]"),
        &place("[0,\"alice\"]"),
        &place("[0,\"\\u001fc1\"]"),
        &place("[-1,null]"),
    ] {
        let answer = backend
            .ask("GET", &format!("/rooms/demo/members?{query}"))
            .await;
        answer.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_connection_is_told_and_closed() {
    let backend = Backend::default();
    let alice = backend.join("alice", "demo", "c1=").await;
    let bob = backend.join("bob", "demo", "c2=").await;
    let path = "/rooms/demo/members/c1=?reason=maintenance%20at%20%22noon%22";
    let answer = backend.ask("DELETE", path).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    assert_eq!(
        backend.0.sockets.received(&alice),
        [r#"{"system":"closing","data":{"reason":"maintenance at \"noon\""}}"#]
    );
    assert!(!backend.0.sockets.is_open(&alice));
    assert!(backend.0.sockets.is_open(&bob));

    let path = format!("/rooms/demo/members/{}?user=bob", in_path("c2="));
    assert_eq!(backend.ask("DELETE", &path).await.status, 204);
    assert_eq!(
        backend.0.sockets.received(&bob),
        [r#"{"system":"closing","data":{"reason":"closed by the server"}}"#]
    );
}

/// A client that takes no frame is closed all the same.
#[tokio::test]
async fn a_connection_that_cannot_be_told_is_closed() {
    let backend = Backend::default();
    let alice = backend.join("alice", "demo", "c1").await;
    backend.0.sockets.break_off(&alice);
    assert_eq!(
        backend.ask("DELETE", "/rooms/demo/members/c1").await.status,
        204
    );
    assert!(!backend.0.sockets.is_open(&alice));
}

#[tokio::test]
async fn only_a_member_of_the_room_is_closed() {
    let backend = Backend::default();
    let alice = backend.join("alice", "demo", "c1").await;
    let expired = Member {
        user: "eve".parse().unwrap(),
        connection: "c9".parse().unwrap(),
        connected_at: Timestamp::from_millis(
            SystemClock.now().as_millis() - Duration::from_secs(9000).as_millis() as u64,
        ),
    };
    let room: hermes::RoomId = "demo".parse().unwrap();
    backend
        .0
        .connections
        .join(&room.into(), &expired)
        .await
        .unwrap();
    for path in [
        "other/members/c1",
        "demo/members/c2",
        "demo/members/c1?user=bob",
        "demo/members/c9",
    ] {
        let answer = backend.ask("DELETE", &format!("/rooms/{path}")).await;
        answer.problem(404, "unknown_member");
    }
    assert!(backend.0.sockets.is_open(&alice));
    for query in [format!("?reason={}", "x".repeat(257)), "?user=".to_owned()] {
        let answer = backend
            .ask("DELETE", &format!("/rooms/demo/members/c1{query}"))
            .await;
        answer.problem(400, "invalid_request");
    }
}
