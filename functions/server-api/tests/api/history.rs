//! `GET /rooms/{room}/messages`.

use std::time::Duration;

use base64::Engine as _;
use hermes::Timestamp;
use hermes::log::{Draft, History, Stream};
use hermes::memory::LOG_PAGE;
use hermes::partition::Sharding;
use hermes::time::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::Backend;

/// Publishes `count` messages as they stood at `now`, kept for a minute.
async fn publish(backend: &Backend, user: Option<&str>, count: usize, now: Timestamp) {
    let log = backend.0.log.as_ref().unwrap();
    let history = History::new(log, Duration::from_secs(60));
    let stream = Stream {
        room: "demo".parse().unwrap(),
        user: user.map(|user| user.parse().unwrap()),
    };
    for number in 0..count {
        let id = format!("{}-{number}", now.as_millis()).parse().unwrap();
        let notification = json!({"data": number}).to_string();
        let draft = Draft {
            sender: &"system".parse().unwrap(),
            id: &id,
            notification: &notification,
        };
        let deadline = Instant::now() + Duration::from_secs(9);
        history
            .append(&stream, &[draft], || now, deadline)
            .await
            .unwrap();
    }
}

async fn page(backend: &Backend, query: &str) -> (Vec<Value>, String, bool) {
    let answer = backend
        .ask("GET", &format!("/rooms/demo/messages{query}"))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let page = answer.json();
    (
        page["messages"].as_array().unwrap().clone(),
        page["next"].as_str().unwrap().to_owned(),
        page["more"].as_bool().unwrap(),
    )
}

fn cursor(json: &str) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json)
}

#[tokio::test]
async fn cursors_lead_through_all_messages_and_on_to_later_ones() {
    let backend = Backend::default();
    let now = SystemClock.now();
    publish(&backend, None, 2 * LOG_PAGE + 3, now).await;
    publish(&backend, Some("bob"), 1, now).await;
    let (mut offsets, mut query) = (Vec::new(), String::new());
    loop {
        let (messages, next, more) = page(&backend, &query).await;
        offsets.extend(
            messages
                .iter()
                .map(|message| message["offset"].as_u64().unwrap()),
        );
        query = format!("?after={next}");
        if !more {
            break;
        }
    }
    assert_eq!(offsets, (1..=2 * LOG_PAGE as u64 + 3).collect::<Vec<_>>());

    let (messages, next, more) = page(&backend, &query).await;
    assert_eq!((messages.len(), more), (0, false));
    publish(&backend, None, 1, now.after(Duration::from_secs(1))).await;
    let (messages, _, _) = page(&backend, &format!("?after={next}")).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["stream"], "room");
}

#[tokio::test]
async fn a_users_own_messages_are_another_list() {
    let backend = Backend::default();
    publish(&backend, Some("bob"), 2, SystemClock.now()).await;
    let (messages, ..) = page(&backend, "?user=bob").await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["stream"], "user");
    let (messages, next, more) = page(&backend, "").await;
    assert_eq!((messages.len(), more), (0, false));
    publish(&backend, None, 1, SystemClock.now()).await;
    let (messages, ..) = page(&backend, &format!("?after={next}")).await;
    assert_eq!(
        messages.len(),
        1,
        "the cursor of an empty room leads to its first message"
    );
}

/// What TTL has not deleted yet is passed over, and not mistaken for the end.
#[tokio::test]
async fn a_page_of_expired_messages_is_not_the_end() {
    let backend = Backend::default();
    let now = SystemClock.now();
    let long_ago = Timestamp::from_millis(now.as_millis() - 3_600_000);
    publish(&backend, None, 9 * LOG_PAGE, long_ago).await;
    publish(&backend, None, 1, now).await;
    let (messages, next, more) = page(&backend, "").await;
    assert_eq!((messages.len(), more), (0, true));
    let (messages, _, more) = page(&backend, &format!("?after={next}")).await;
    assert_eq!((messages.len(), more), (1, false));
}

/// A cursor of another list would begin somewhere, and pass over messages without a word.
#[tokio::test]
async fn a_cursor_leads_through_its_own_list_only() {
    let backend = Backend::default();
    publish(&backend, None, 1, SystemClock.now()).await;
    publish(&backend, Some("bob"), 1, SystemClock.now()).await;
    let (_, of_room, _) = page(&backend, "").await;
    let (_, of_bob, _) = page(&backend, "?user=bob").await;
    for path in [
        format!("other/messages?after={of_room}"),
        format!("demo/messages?user=bob&after={of_room}"),
        format!("demo/messages?after={of_bob}"),
        format!("demo/messages?user=eve&after={of_bob}"),
        format!("demo/members?after={of_room}"),
    ] {
        let answer = backend.ask("GET", &format!("/rooms/{path}")).await;
        answer.problem(400, "invalid_request");
    }
}

/// Nobody was given such a place, but whoever makes one gets an answer.
#[tokio::test]
async fn a_place_that_is_not_yet_reached_has_nothing_behind_it() {
    let backend = Backend::default();
    publish(&backend, None, 3, SystemClock.now()).await;
    for place in [
        r#"["demo",null,["~",0]]"#,
        r#"["demo",null,["0",9007199254740991]]"#,
    ] {
        let (messages, _, more) = page(&backend, &format!("?after={}", cursor(place))).await;
        assert!(
            !more && (messages.is_empty() || messages.len() == 3),
            "{place}"
        );
    }
}

#[tokio::test]
async fn what_is_no_cursor_is_refused() {
    let backend = Backend::default();
    let long_epoch = format!(r#"["{}",1]"#, "x".repeat(65));
    for place in [
        r#"["",1]"#,
        r#"["e",-1]"#,
        r#"["e",9007199254740992]"#,
        r#"["e\u001f",1]"#,
        "[]",
        "7",
        &long_epoch,
    ] {
        let cursor = cursor(&format!(r#"["demo",null,{place}]"#));
        let answer = backend
            .ask("GET", &format!("/rooms/demo/messages?after={cursor}"))
            .await;
        answer.problem(400, "invalid_request");
    }
    for query in ["after=", "after=*", "after=a&after=b", "user=", "user=%1F"] {
        let answer = backend
            .ask("GET", &format!("/rooms/demo/messages?{query}"))
            .await;
        answer.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_deployment_without_history_says_so() {
    let backend = Backend::with(Sharding::default(), None);
    let answer = backend.ask("GET", "/rooms/demo/messages").await;
    answer.problem(404, "no_history");
}
