//! What every implementation of a port must do. Each suite takes an empty store.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::id::{ConnectionId, RoomId, UserId};
use crate::log::{Appended, Draft, Entry, Epoch, Position, Stream};
use crate::partition::Partition;
use crate::ports::{Connections, Credential, Credentials, Log, MEMBERSHIP, Member, Written};
use crate::secret::Secret;
use crate::time::Timestamp;

fn user(text: &str) -> UserId {
    text.parse().expect("a user id")
}

fn room(text: &str) -> RoomId {
    text.parse().expect("a room id")
}

/// The page size of the suite: several pages of a crowd.
const LIMIT: NonZeroUsize = NonZeroUsize::new(100).expect("not zero");

fn partition(text: &str) -> Partition {
    room(text).into()
}

fn member(of: &str, connection: &str, connected_at: Timestamp) -> Member {
    let connection: ConnectionId = connection.parse().expect("a connection id");
    Member {
        user: user(of),
        connection,
        connected_at,
    }
}

async fn everybody(
    store: &impl Connections,
    of: &Partition,
    only: Option<&UserId>,
    now: Timestamp,
) -> Vec<Member> {
    let mut members = Vec::new();
    let mut page = None;
    loop {
        let part = store
            .members(of, only, page.as_ref(), LIMIT, now)
            .await
            .expect("the members are readable");
        members.extend(part.members);
        page = part.next;
        if page.is_none() {
            return members;
        }
    }
}

/// The suite of [`Connections`].
pub async fn connections(store: &impl Connections) {
    let now = Timestamp::from_secs(1_800_000_000);
    let (red, blue) = (partition("red"), partition("blue"));

    assert_eq!(
        everybody(store, &red, None, now).await,
        [],
        "an unknown room is empty"
    );

    // A room knows its own members and no others, whatever their names look like.
    let alice = member("alice", "c1=", now);
    let alice_tab = member("alice", "c2=", now);
    let alicia = member("alicia", "c3=", now);
    let prefix = member("ali", "c4=", now);
    for joined in [&alice, &alice_tab, &alicia, &prefix] {
        store.join(&red, joined).await.expect("joins");
    }
    let other = member("alice", "c5=", now);
    store.join(&blue, &other).await.expect("joins");
    let red_members = everybody(store, &red, None, now).await;
    assert_eq!(red_members.len(), 4);
    assert_eq!(
        everybody(store, &blue, None, now).await,
        std::slice::from_ref(&other)
    );
    assert_eq!(
        everybody(store, &red, Some(&user("alice")), now).await,
        [alice.clone(), alice_tab.clone()]
    );
    assert_eq!(
        everybody(store, &red, Some(&user("ali")), now).await,
        std::slice::from_ref(&prefix)
    );
    assert_eq!(everybody(store, &red, Some(&user("bob")), now).await, []);

    // Joining and leaving twice is joining and leaving.
    store.join(&red, &alice).await.expect("joins again");
    assert_eq!(everybody(store, &red, None, now).await.len(), 4);
    for _ in 0..2 {
        store
            .leave(&red, &alice.user, &alice.connection)
            .await
            .expect("leaves");
    }
    assert_eq!(
        everybody(store, &red, Some(&user("alice")), now).await,
        [alice_tab]
    );
    assert_eq!(
        everybody(store, &blue, None, now).await,
        [other],
        "leaving one room leaves no other"
    );

    // Flaw: no expiry. A row whose $disconnect was lost vanishes, whether or not TTL has removed it.
    let still = now.after(MEMBERSHIP - Duration::from_secs(1));
    let then = now.after(MEMBERSHIP);
    assert_eq!(everybody(store, &blue, None, still).await.len(), 1);
    assert_eq!(everybody(store, &blue, None, then).await, []);

    // Names with every character that has a meaning somewhere.
    let odd = partition("räum/#:%, \"=& 1\u{fffd}😀");
    let odd_member = member("ü=1&'\u{2028}", "c==", now);
    store.join(&odd, &odd_member).await.expect("joins");
    assert_eq!(
        everybody(store, &odd, Some(&odd_member.user), now).await,
        std::slice::from_ref(&odd_member)
    );
    assert_eq!(
        everybody(store, &odd, None, now).await,
        std::slice::from_ref(&odd_member)
    );

    // The partitions of a sharded room have their own members.
    let (first, second) = (
        Partition::from(room("lobby")),
        Partition {
            room: room("lobby"),
            shard: 1,
        },
    );
    store.join(&first, &odd_member).await.expect("joins");
    assert_eq!(everybody(store, &second, None, now).await, []);
    store.join(&second, &alicia).await.expect("joins");
    store
        .leave(&second, &odd_member.user, &odd_member.connection)
        .await
        .expect("leaves");
    assert_eq!(everybody(store, &first, None, now).await, [odd_member]);
    assert_eq!(everybody(store, &second, None, now).await, [alicia]);

    // Flaw: one page only. A room is read whole, however large.
    let crowd = partition("crowd");
    let mut expected = BTreeSet::new();
    for i in 0..450 {
        let one = member(&format!("user-{i:04}"), &format!("connection-{i}"), now);
        store.join(&crowd, &one).await.expect("joins");
        expected.insert(one.connection.to_string());
    }
    let found = everybody(store, &crowd, None, now).await;
    assert_eq!(found.len(), 450, "nobody twice");
    assert_eq!(
        found
            .iter()
            .map(|member| member.connection.to_string())
            .collect::<BTreeSet<_>>(),
        expected
    );
    assert!(found.is_sorted_by_key(|member| member.user.to_string()));
}

/// The suite of [`Credentials`].
pub async fn credentials(store: &impl Credentials) {
    let (alice, red) = (user("alice"), room("red"));
    let hash = |text: &str| Secret::new(text);
    assert_eq!(store.find(&alice, &red).await.expect("readable"), None);

    // The first write needs that there is no generation yet, every later one that it is still the same.
    assert_eq!(
        store
            .renew(&alice, &red, Some("g0"), "g1", &hash("h1"))
            .await
            .expect("writable"),
        Written::Conflict
    );
    assert_eq!(
        store
            .renew(&alice, &red, None, "g1", &hash("h1"))
            .await
            .expect("writable"),
        Written::Yes
    );
    assert_eq!(
        store
            .renew(&alice, &red, None, "g2", &hash("h2"))
            .await
            .expect("writable"),
        Written::Conflict
    );
    let row = |generation: &str, token: Option<&str>| {
        Some(Credential {
            token_hash: token.map(hash),
            generation: Some(generation.to_owned()),
        })
    };
    assert_eq!(
        store.find(&alice, &red).await.expect("readable"),
        row("g1", Some("h1"))
    );
    assert_eq!(
        store
            .renew(&alice, &red, Some("g1"), "g2", &hash("h2"))
            .await
            .expect("writable"),
        Written::Yes
    );
    assert_eq!(
        store.find(&alice, &red).await.expect("readable"),
        row("g2", Some("h2"))
    );

    // Flaw: issuing undoes a revocation. An issue that read the row before it was revoked writes nothing.
    assert!(store.revoke(&alice, &red, "g3").await.expect("writable"));
    assert_eq!(
        store
            .renew(&alice, &red, Some("g2"), "g4", &hash("h4"))
            .await
            .expect("writable"),
        Written::Conflict
    );
    assert_eq!(
        store.find(&alice, &red).await.expect("readable"),
        row("g3", None)
    );
    assert!(
        !store.revoke(&alice, &red, "g5").await.expect("writable"),
        "there is no token any more"
    );
    assert_eq!(
        store
            .renew(&alice, &red, Some("g5"), "g6", &hash("h6"))
            .await
            .expect("writable"),
        Written::Yes
    );
    assert_eq!(
        store.find(&alice, &red).await.expect("readable"),
        row("g6", Some("h6"))
    );

    // Another room of the user, and another user of the room, are other rows.
    assert_eq!(
        store.find(&alice, &room("blue")).await.expect("readable"),
        None
    );
    assert_eq!(
        store.find(&user("bob"), &red).await.expect("readable"),
        None
    );
    assert!(
        !store
            .revoke(&user("bob"), &red, "g1")
            .await
            .expect("writable")
    );
    assert_eq!(
        store.find(&user("bob"), &red).await.expect("readable"),
        row("g1", None)
    );
}

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
