//! The log's suite.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{room, user};
use crate::log::{Appended, Draft, Entry, Epoch, Position, Stream};
use crate::ports::Log;
use crate::time::Timestamp;

/// The suite of [`Log`].
pub async fn log(store: &impl Log) {
    let now = Timestamp::from_secs(1_800_000_000);
    let until = now.after(Duration::from_secs(3600));
    let stream = Stream {
        room: room("red"),
        user: None,
    };
    let epoch = Epoch::generate();
    let at = |offset: u64| Position {
        epoch: epoch.clone(),
        offset,
    };
    let (alice, bob) = (user("alice"), user("bob"));
    let ids: Vec<_> = (0..40)
        .map(|i| format!("m-{i}").parse().expect("a message id"))
        .collect();
    let senders: Vec<_> = (0..300).map(|i| user(&format!("sender-{i}"))).collect();
    let draft = |sender, i: usize| Draft {
        sender,
        id: &ids[i],
        notification: "{\"n\":1}",
    };

    // An empty stream.
    assert_eq!(store.head(&stream, now).await.expect("readable"), None);
    let page = store.read(&stream, &at(0), now).await.expect("readable");
    assert!(page.entries.is_empty() && page.head.is_none() && page.ended);
    assert!(
        store
            .read_back(&stream, None, now)
            .await
            .expect("readable")
            .ended
    );
    assert_eq!(
        store.find(&stream, &at(1), now).await.expect("readable"),
        None
    );

    // Messages are appended behind the head that the writer saw, and behind no other.
    let append = async |head: Option<Position>, drafts: Vec<Draft<'_>>, now: Timestamp| {
        store
            .append(&stream, head.as_ref(), &epoch, &drafts, now, until)
            .await
            .expect("writable")
    };
    assert_eq!(
        append(Some(at(0)), vec![draft(&alice, 0)], now).await,
        Appended::HeadMoved
    );
    assert_eq!(
        append(None, vec![draft(&alice, 0), draft(&alice, 1)], now).await,
        Appended::Done
    );
    assert_eq!(
        store.head(&stream, now).await.expect("readable"),
        Some(at(2))
    );
    assert_eq!(
        append(None, vec![draft(&alice, 2)], now).await,
        Appended::HeadMoved
    );
    assert_eq!(
        append(Some(at(1)), vec![draft(&alice, 2)], now).await,
        Appended::HeadMoved
    );
    assert_eq!(
        append(Some(at(2)), vec![draft(&alice, 2)], now).await,
        Appended::Done
    );

    // An id is known per sender, and a transaction with a known one writes nothing.
    let known = append(
        Some(at(3)),
        vec![draft(&bob, 2), draft(&alice, 1), draft(&alice, 2)],
        now,
    )
    .await;
    assert_eq!(
        known,
        Appended::Known(BTreeMap::from([(1, at(2)), (2, at(3))]))
    );
    assert_eq!(
        store.head(&stream, now).await.expect("readable"),
        Some(at(3))
    );
    assert_eq!(
        append(Some(at(3)), vec![draft(&bob, 2)], now).await,
        Appended::Done
    );

    // Reading: the messages behind an offset in order, with the head.
    let notification = "{\"n\":1}".to_owned();
    let entry = |offset| Entry {
        position: at(offset),
        notification: notification.clone(),
        appended_at: now,
    };
    let page = store.read(&stream, &at(1), now).await.expect("readable");
    assert_eq!(
        (page.entries, page.last, page.head, page.ended),
        (
            vec![entry(2), entry(3), entry(4)],
            Some(at(4)),
            Some(at(4)),
            true
        )
    );
    let page = store.read(&stream, &at(4), now).await.expect("readable");
    assert_eq!(
        (page.entries, page.head, page.ended),
        (vec![], Some(at(4)), true)
    );
    let page = store.read_back(&stream, None, now).await.expect("readable");
    assert_eq!(page.entries, [entry(4), entry(3), entry(2), entry(1)]);
    assert_eq!((page.head, page.ended), (Some(at(4)), true));
    let page = store
        .read_back(&stream, Some(&at(3)), now)
        .await
        .expect("readable");
    assert_eq!((page.entries, page.head), (vec![entry(2), entry(1)], None));
    assert_eq!(
        store.find(&stream, &at(3), now).await.expect("readable"),
        Some(entry(3))
    );

    // A long stream is read in pages, without a hole between them.
    for chunk in 0..30 {
        let head = at(4 + chunk * 10);
        let drafts = senders[chunk as usize * 10..][..10]
            .iter()
            .map(|sender| draft(sender, 0))
            .collect();
        assert_eq!(append(Some(head), drafts, now).await, Appended::Done);
    }
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(0, |entry: &Entry| entry.position.offset);
        let page = store
            .read(&stream, &at(after), now)
            .await
            .expect("readable");
        read.extend(page.entries);
        assert_eq!(
            page.head.is_some(),
            page.ended,
            "the head is behind the last message"
        );
        if page.ended {
            break;
        }
    }
    assert_eq!(
        read.iter()
            .map(|entry| entry.position.offset)
            .collect::<Vec<_>>(),
        (1..=304).collect::<Vec<_>>()
    );

    // Other streams are others: another room, the room's users, a room named like the pair.
    for other in [
        Stream {
            room: room("blue"),
            user: None,
        },
        Stream {
            room: room("red"),
            user: Some(alice.clone()),
        },
        Stream {
            room: room("red"),
            user: Some(user("alice2")),
        },
        Stream {
            room: room("redalice"),
            user: None,
        },
    ] {
        assert_eq!(store.head(&other, now).await.expect("readable"), None);
        let epoch = Epoch::generate();
        let appended = store
            .append(&other, None, &epoch, &[draft(&alice, 0)], now, until)
            .await
            .expect("writable");
        assert_eq!(appended, Appended::Done, "an id of another stream is free");
        let heads = store.heads([&stream, &other], now).await.expect("readable");
        assert_eq!(heads, [Some(at(304)), Some(Position { epoch, offset: 1 })]);
    }

    // A stream begins once, by whoever comes first; and what exists does not begin again.
    let fresh = Stream {
        room: room("fresh"),
        user: None,
    };
    let (one, other) = (Epoch::generate(), Epoch::generate());
    let begin = Position {
        epoch: one.clone(),
        offset: 0,
    };
    assert_eq!(
        store
            .begin(&fresh, &one, now, until)
            .await
            .expect("writable"),
        begin
    );
    assert_eq!(
        store
            .begin(&fresh, &other, now, until)
            .await
            .expect("writable"),
        begin
    );
    assert_eq!(
        store.head(&fresh, now).await.expect("readable"),
        Some(begin.clone())
    );
    assert_eq!(
        store
            .begin(&stream, &other, now, until)
            .await
            .expect("writable"),
        at(304)
    );
    let appended = store
        .append(&fresh, Some(&begin), &one, &[draft(&alice, 0)], now, until)
        .await;
    assert_eq!(appended.expect("writable"), Appended::Done);

    // What has expired is not there, whether or not TTL has removed it; its ids are free again.
    assert_eq!(store.head(&stream, until).await.expect("readable"), None);
    let page = store.read(&stream, &at(0), until).await.expect("readable");
    assert!(page.entries.is_empty());
    assert!(
        page.last.is_some_and(|last| last.offset >= 10),
        "expired messages are left out, not mistaken for the end"
    );
    assert_eq!(
        store.find(&stream, &at(1), until).await.expect("readable"),
        None
    );
    let later = until.after(Duration::from_secs(3600));
    let second = Epoch::generate();
    let drafts = [draft(&alice, 0)];
    let appended = store
        .append(&stream, None, &second, &drafts, until, later)
        .await
        .expect("writable");
    assert_eq!(appended, Appended::Done);
    let begin = Position {
        epoch: second.clone(),
        offset: 0,
    };
    let page = store.read(&stream, &begin, until).await.expect("readable");
    assert_eq!(
        page.entries[0].position,
        Position {
            epoch: second.clone(),
            offset: 1
        }
    );
    assert_eq!(
        store.head(&stream, until).await.expect("readable"),
        Some(Position {
            epoch: second,
            offset: 1
        })
    );
}
