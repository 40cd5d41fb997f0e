//! What every implementation of a port must do. Each suite takes an empty store.

mod log;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::id::{ConnectionId, RoomId, UserId};
use crate::partition::Partition;
use crate::ports::{Connections, Credential, Credentials, MEMBERSHIP, Member, Written};
use crate::secret::Secret;
use crate::time::Timestamp;

pub use log::log;

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
