//! Appending to the log and recovering from it, over the port in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use hermes::log::{Draft, Epoch, History, Placed, Position, RECOVERED_MAX_BYTES, Stream};
use hermes::memory::{MemoryLog, Torn};
use hermes::{MessageId, Timestamp, UserId};
use serde_json::Value;
use tokio::time::Instant;

const NOW: Timestamp = Timestamp::EPOCH;
const KEEP: Duration = Duration::from_secs(3600);

fn stream() -> Stream {
    Stream {
        room: "demo".parse().unwrap(),
        user: None,
    }
}

struct World {
    history: History<MemoryLog>,
    sender: UserId,
}

impl World {
    fn new() -> Self {
        Self {
            history: History::new(MemoryLog::default(), KEEP),
            sender: "backend".parse().unwrap(),
        }
    }

    async fn append_at(&self, ids: &[&str], data: &str, now: Timestamp) -> Vec<Placed> {
        let ids: Vec<MessageId> = ids.iter().map(|id| id.parse().unwrap()).collect();
        let notification = format!(r#"{{"data":{data}}}"#);
        let drafts: Vec<_> = ids
            .iter()
            .map(|id| Draft {
                sender: &self.sender,
                id,
                notification: &notification,
            })
            .collect();
        let deadline = Instant::now() + Duration::from_secs(20);
        self.history
            .append(&stream(), &drafts, || now, deadline)
            .await
            .unwrap()
    }

    /// Appends `count` small messages.
    async fn fill(&self, count: u64) -> Epoch {
        let mut epoch = None;
        for i in 0..count {
            epoch = Some(
                self.append_at(&[&format!("f-{i}")], &i.to_string(), NOW)
                    .await[0]
                    .position
                    .epoch
                    .clone(),
            );
        }
        epoch.unwrap()
    }

    async fn recover(
        &self,
        seen: Option<&Position>,
        connected_at: Timestamp,
        now: Timestamp,
    ) -> Answer {
        let recovered = self
            .history
            .recover(&stream(), seen, connected_at, now)
            .await
            .unwrap();
        Answer {
            offsets: recovered
                .messages
                .iter()
                .map(|frame| {
                    serde_json::from_str::<Value>(frame).unwrap()["offset"]
                        .as_u64()
                        .unwrap()
                })
                .collect(),
            head: recovered.head.map(|head| head.offset),
            more: recovered.more,
            complete: recovered.complete,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Answer {
    offsets: Vec<u64>,
    head: Option<u64>,
    more: bool,
    complete: bool,
}

fn at(epoch: &Epoch, offset: u64) -> Position {
    Position {
        epoch: epoch.clone(),
        offset,
    }
}

#[tokio::test]
async fn offsets_are_contiguous_from_one_and_an_id_again_is_the_same_place() {
    let world = World::new();
    let first = world.append_at(&["a", "b", "a"], "1", NOW).await;
    let offsets: Vec<u64> = first.iter().map(|placed| placed.position.offset).collect();
    assert_eq!(offsets, [1, 2, 1], "twice in one batch is once");
    assert_eq!(
        first[2].stored.as_deref(),
        Some(r#"{"data":1}"#),
        "the second time may say something else: delivered is what is stored"
    );
    let second = world.append_at(&["c", "b", "d"], "2", NOW).await;
    let offsets: Vec<u64> = second.iter().map(|placed| placed.position.offset).collect();
    assert_eq!(offsets, [3, 2, 4]);
    assert_eq!(
        second[1].stored.as_deref(),
        Some(r#"{"data":1}"#),
        "what is stored, not what came again"
    );
    assert!(second[0].stored.is_none());
    assert_eq!(world.history.log().entries(&stream()).len(), 4);
}

#[tokio::test]
async fn writers_at_the_same_time_leave_no_hole() {
    let world = World::new();
    let ids: Vec<String> = (0..40).map(|i| format!("m-{i}")).collect();
    let appends = ids
        .iter()
        .map(|id| async { world.append_at(&[id], "1", NOW).await });
    let placed = futures::future::join_all(appends).await;
    let mut offsets: Vec<u64> = placed
        .iter()
        .map(|placed| placed[0].position.offset)
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_behind_a_position_comes_in_order_and_in_pages() {
    let world = World::new();
    let epoch = world.fill(25).await;
    let mut seen = at(&epoch, 2);
    let mut all = Vec::new();
    loop {
        let answer = world.recover(Some(&seen), NOW, NOW).await;
        assert!(answer.complete);
        all.extend(answer.offsets.clone());
        seen.offset = *all.last().unwrap();
        if !answer.more {
            assert_eq!(answer.head, Some(25));
            break;
        }
    }
    assert_eq!(all, (3..=25).collect::<Vec<_>>());
    let nothing = world.recover(Some(&seen), NOW, NOW).await;
    assert_eq!(
        nothing,
        Answer {
            offsets: vec![],
            head: Some(25),
            more: false,
            complete: true
        }
    );
}

#[tokio::test]
async fn large_messages_fill_a_frame_and_more_are_announced() {
    let world = World::new();
    let large = format!("\"{}\"", "x".repeat(50 * 1024));
    let epoch = world.append_at(&["a", "b", "c"], &large, NOW).await[0]
        .position
        .epoch
        .clone();
    let recovered = world
        .history
        .recover(&stream(), Some(&at(&epoch, 0)), NOW, NOW)
        .await
        .unwrap();
    assert_eq!(recovered.messages.len(), 2);
    assert!(recovered.more);
    assert!(recovered.messages.iter().map(String::len).sum::<usize>() <= RECOVERED_MAX_BYTES);
    let rest = world.recover(Some(&at(&epoch, 2)), NOW, NOW).await;
    assert_eq!(
        rest,
        Answer {
            offsets: vec![3],
            head: Some(3),
            more: false,
            complete: true
        }
    );
}

#[tokio::test]
async fn a_hole_is_told_and_never_passed_over() {
    let world = World::new();
    let epoch = world.fill(8).await;
    let incomplete = Answer {
        offsets: vec![],
        head: Some(8),
        more: false,
        complete: false,
    };
    world.history.log().lose(&stream(), 5);
    let before_it = world.recover(Some(&at(&epoch, 2)), NOW, NOW).await;
    assert_eq!((before_it.offsets, before_it.more), (vec![3, 4], true));
    assert_eq!(
        world.recover(Some(&at(&epoch, 4)), NOW, NOW).await,
        incomplete
    );
    assert_eq!(
        world.recover(Some(&at(&epoch, 5)), NOW, NOW).await.offsets,
        [6, 7, 8]
    );
    world.history.log().lose(&stream(), 8);
    assert_eq!(
        world.recover(Some(&at(&epoch, 7)), NOW, NOW).await,
        incomplete,
        "the last one, too"
    );
    assert_eq!(
        world.recover(Some(&at(&epoch, 9)), NOW, NOW).await,
        incomplete,
        "a position ahead of the log"
    );
}

#[tokio::test]
async fn another_life_of_the_stream_is_no_continuation() {
    let world = World::new();
    let old = world.fill(5).await;
    world.history.log().lose_head(&stream());
    let lost = world.recover(Some(&at(&old, 3)), NOW, NOW).await;
    assert_eq!(
        lost,
        Answer {
            offsets: vec![],
            head: Some(0),
            more: false,
            complete: false
        },
        "a new one begins, so that who reloads and goes away has a position"
    );
    let new = world.append_at(&["n"], "1", NOW).await[0]
        .position
        .epoch
        .clone();
    assert_ne!(old, new);
    let answer = world.recover(Some(&at(&old, 3)), NOW, NOW).await;
    assert_eq!(
        answer,
        Answer {
            offsets: vec![],
            head: Some(1),
            more: false,
            complete: false
        }
    );
    assert!(
        world.recover(Some(&at(&new, 1)), NOW, NOW).await.complete,
        "what is left of the old life is not in the way"
    );
    assert_eq!(world.recover(None, NOW, NOW).await.offsets, [1]);
}

#[tokio::test]
async fn what_has_expired_is_told() {
    let world = World::new();
    let epoch = world.append_at(&["a"], "1", NOW).await[0]
        .position
        .epoch
        .clone();
    let later = NOW.after(KEEP - Duration::from_secs(1));
    world.append_at(&["b"], "2", later).await;
    let now = NOW.after(KEEP);
    assert!(
        !world.recover(Some(&at(&epoch, 0)), NOW, now).await.complete,
        "the first one has expired"
    );
    assert_eq!(
        world.recover(Some(&at(&epoch, 1)), NOW, now).await.offsets,
        [2]
    );
    let end = later.after(KEEP);
    assert!(
        !world.recover(Some(&at(&epoch, 2)), NOW, end).await.complete,
        "the stream has"
    );
}

#[tokio::test]
async fn who_has_seen_nothing_gets_what_came_since_the_connection_began() {
    let world = World::new();
    let before = NOW.after(Duration::from_secs(100));
    let connected_at = NOW.after(Duration::from_secs(200));
    for i in 0..15 {
        world.append_at(&[&format!("old-{i}")], "1", before).await;
    }
    let quiet = world.recover(None, connected_at, connected_at).await;
    assert_eq!(
        quiet,
        Answer {
            offsets: vec![],
            head: Some(15),
            more: false,
            complete: true
        }
    );
    for i in 0..30 {
        world
            .append_at(&[&format!("new-{i}")], "1", connected_at)
            .await;
    }
    let answer = world.recover(None, connected_at, connected_at).await;
    assert_eq!(
        answer,
        Answer {
            offsets: (16..=45).collect(),
            head: Some(45),
            more: false,
            complete: true
        }
    );
}

/// Who found a stream empty and went away must learn what was the first message.
#[tokio::test]
async fn an_empty_stream_has_a_position_to_come_back_with() {
    let world = World::new();
    let first = world
        .history
        .recover(&stream(), None, NOW, NOW)
        .await
        .unwrap();
    assert!(first.complete && first.messages.is_empty());
    let begin = first.head.unwrap();
    assert_eq!(begin.offset, 0);
    let again = world
        .history
        .recover(&stream(), None, NOW, NOW)
        .await
        .unwrap();
    assert_eq!(again.head, Some(begin.clone()), "a stream begins once");
    world.append_at(&["a", "b"], "1", NOW).await;
    let later = NOW.after(Duration::from_secs(600));
    let answer = world.recover(Some(&begin), later, later).await;
    assert_eq!(
        answer,
        Answer {
            offsets: vec![1, 2],
            head: Some(2),
            more: false,
            complete: true
        }
    );
}

#[tokio::test]
async fn a_first_recovery_that_does_not_fit_begins_with_the_oldest() {
    let world = World::new();
    let large = format!("\"{}\"", "x".repeat(30 * 1024));
    for i in 0..120 {
        world.append_at(&[&format!("m-{i}")], &large, NOW).await;
    }
    let answer = world.recover(None, NOW, NOW).await;
    assert_eq!(
        answer,
        Answer {
            offsets: vec![1, 2, 3, 4],
            head: Some(120),
            more: true,
            complete: true
        }
    );
}

/// Found by the simulation: TTL may delete late, and a page of expired messages has nothing to go on from.
#[tokio::test]
async fn a_first_recovery_ends_at_what_has_expired_and_is_not_deleted_yet() {
    let world = World::new();
    world.fill(25).await;
    let now = NOW.after(KEEP + Duration::from_secs(1));
    let quiet = Answer {
        offsets: vec![],
        head: Some(0),
        more: false,
        complete: true,
    };
    assert_eq!(world.recover(None, now, now).await, quiet);
}

/// Found by the simulation: who is told to reload, goes away and comes back has no other position.
#[tokio::test]
async fn what_follows_a_reload_of_an_expired_stream_is_not_missed() {
    let world = World::new();
    let epoch = world.fill(3).await;
    let now = NOW.after(KEEP + Duration::from_secs(1));
    let told = world
        .history
        .recover(&stream(), Some(&at(&epoch, 3)), now, now)
        .await
        .unwrap();
    assert!(!told.complete);
    world.append_at(&["while-away"], "1", now).await;
    let later = now.after(Duration::from_secs(600));
    let answer = world.recover(told.head.as_ref(), later, later).await;
    assert_eq!((answer.offsets, answer.complete), (vec![1], true));
}

/// A Query is no snapshot: while an append commits it may show one of its rows without the other.
#[tokio::test(start_paused = true)]
async fn a_page_that_is_read_during_a_commit_loses_nothing() {
    let everything = |offsets: Vec<u64>, head| Answer {
        offsets,
        head: Some(head),
        more: false,
        complete: true,
    };
    for torn in [Torn::Head, Torn::Message] {
        let world = World::new();
        let epoch = world.fill(5).await;
        let log = world.history.log();
        log.tear(torn);
        let behind = world.recover(Some(&at(&epoch, 3)), NOW, NOW).await;
        let rest = match torn {
            Torn::Head => {
                assert_eq!((behind.offsets, behind.more), (vec![4], true));
                world.recover(Some(&at(&epoch, 4)), NOW, NOW).await
            }
            Torn::Message => {
                assert_eq!(behind, everything(vec![4, 5], 5));
                world.recover(Some(&at(&epoch, 5)), NOW, NOW).await
            }
        };
        let left = if torn == Torn::Head { vec![5] } else { vec![] };
        assert_eq!(rest, everything(left, 5), "{torn:?}");
        log.tear(Torn::Head);
        let nothing_yet = world.recover(Some(&at(&epoch, 4)), NOW, NOW).await;
        assert_eq!(nothing_yet, everything(vec![5], 5), "it is read again");
        log.tear(torn);
        let since = world.recover(None, NOW, NOW).await;
        // The last message is left to the push, or to the next time.
        assert_eq!(since, everything(vec![1, 2, 3, 4], 4), "{torn:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_last_message_that_stays_away_is_said_to_be_lost() {
    let world = World::new();
    let epoch = world.fill(5).await;
    world.history.log().lose(&stream(), 5);
    for (seen, offsets) in [(Some(at(&epoch, 3)), vec![4]), (None, vec![1, 2, 3, 4])] {
        let before_it = world.recover(seen.as_ref(), NOW, NOW).await;
        assert_eq!((before_it.offsets, before_it.complete), (offsets, true));
    }
    let answer = world.recover(Some(&at(&epoch, 4)), NOW, NOW).await;
    assert_eq!((answer.head, answer.complete), (Some(5), false));
}

#[tokio::test]
async fn who_has_seen_nothing_of_too_much_reloads() {
    let world = World::new();
    world.fill(20 * hermes::memory::LOG_PAGE as u64 + 1).await;
    let before = world.history.log().operations();
    let answer = world.recover(None, NOW, NOW).await;
    assert!(!answer.complete);
    let operations = world.history.log().operations() - before;
    assert!(operations <= 21, "it ends: {operations}");
}
