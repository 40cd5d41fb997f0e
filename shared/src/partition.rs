//! How the members of a room are spread over the Connections table.
//!
//! A partition of DynamoDB takes 1,000 writes a second. A room that more people join in a second than
//! that is *sharded*, when the deployment names it: each user belongs to one of its partitions, and a
//! broadcast reads all of them. Every other room is one partition, and pays nothing for this.

use std::collections::BTreeMap;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::id::{RoomId, UserId};

/// The most partitions of one room.
pub const SHARDS_MAX: u16 = 256;

/// A part of a room's members that is read by one query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// The room.
    #[serde(rename = "room_id")]
    pub room: RoomId,
    /// Counted from 0.
    #[serde(default)]
    pub shard: u16,
}

impl Partition {
    /// Its name in a table. The first partition is named like the room, so that a room can become
    /// sharded while people are in it. No id can contain U+001F.
    pub fn key(&self) -> String {
        match self.shard {
            0 => self.room.to_string(),
            shard => format!("{}\u{1f}{shard}", self.room),
        }
    }

    /// Reads a name in a table back.
    pub fn from_key(key: &str) -> Option<Self> {
        let (room, shard) = match key.split_once('\u{1f}') {
            Some((room, shard)) => (room, shard.parse().ok()?),
            None => (key, 0),
        };
        Some(Self {
            room: room.parse().ok()?,
            shard,
        })
    }
}

/// The whole of a room that is not sharded.
impl From<RoomId> for Partition {
    fn from(room: RoomId) -> Self {
        Self { room, shard: 0 }
    }
}

/// Which rooms are sharded, into how many partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharding(BTreeMap<RoomId, u16>);

/// The text is no map of rooms to numbers of partitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be JSON such as {{\"lobby\": 16}}: rooms, and 1 to {SHARDS_MAX} partitions for each")]
pub struct InvalidSharding;

impl FromStr for Sharding {
    type Err = InvalidSharding;

    fn from_str(text: &str) -> Result<Self, InvalidSharding> {
        let text: BTreeMap<String, u16> =
            serde_json::from_str(text).map_err(|_| InvalidSharding)?;
        let rooms = text.into_iter().map(|(room, shards)| {
            let room = room.parse().map_err(|_| InvalidSharding)?;
            if (1..=SHARDS_MAX).contains(&shards) {
                Ok((room, shards))
            } else {
                Err(InvalidSharding)
            }
        });
        Ok(Self(rooms.collect::<Result<_, _>>()?))
    }
}

impl Sharding {
    fn shards(&self, room: &RoomId) -> u16 {
        self.0.get(room).copied().unwrap_or(1)
    }

    /// All partitions of a room.
    pub fn partitions(&self, room: &RoomId) -> impl Iterator<Item = Partition> + use<> {
        let room = room.clone();
        (0..self.shards(&room)).map(move |shard| Partition {
            room: room.clone(),
            shard,
        })
    }

    /// The partitions that a user's connections may be in: the user's own, and the first one, where they were
    /// before the room became sharded.
    pub fn partitions_of(&self, room: &RoomId, user: &UserId) -> Vec<Partition> {
        let mut partitions = vec![self.partition_of(room, user), room.clone().into()];
        partitions.dedup();
        partitions
    }

    /// The partition that a user's new connections are in.
    pub fn partition_of(&self, room: &RoomId, user: &UserId) -> Partition {
        let shard = match self.shards(room) {
            1 => 0,
            shards => {
                let digest = digest::digest(&digest::SHA256, user.as_str().as_bytes());
                let bits = digest
                    .as_ref()
                    .iter()
                    .take(8)
                    .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
                u16::try_from(bits % u64::from(shards)).expect("less than the number of shards")
            }
        };
        Partition {
            room: room.clone(),
            shard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn room(text: &str) -> RoomId {
        text.parse().unwrap()
    }

    #[test]
    fn a_room_that_is_not_named_is_one_partition_under_its_own_name() {
        let sharding: Sharding = r#"{"lobby": 16}"#.parse().unwrap();
        let partitions: Vec<_> = sharding.partitions(&room("demo")).collect();
        assert_eq!(partitions, [Partition::from(room("demo"))]);
        assert_eq!(partitions[0].key(), "demo");
        assert_eq!(
            sharding.partition_of(&room("demo"), &"alice".parse().unwrap()),
            partitions[0]
        );
    }

    #[test]
    fn a_name_in_a_table_is_read_back() {
        for shard in [0, 1, 255] {
            let partition = Partition {
                room: room("lobby"),
                shard,
            };
            assert_eq!(Partition::from_key(&partition.key()), Some(partition));
        }
        for wrong in ["", "lobby\u{1f}x", "\u{1f}1"] {
            assert_eq!(Partition::from_key(wrong), None);
        }
    }

    #[test]
    fn the_users_of_a_sharded_room_are_spread_over_its_partitions() {
        let sharding: Sharding = r#"{"lobby": 16}"#.parse().unwrap();
        let all: HashSet<_> = sharding
            .partitions(&room("lobby"))
            .map(|partition| partition.key())
            .collect();
        assert_eq!(all.len(), 16);
        let mut counts = std::collections::HashMap::new();
        for i in 0..16_000 {
            let user = format!("user-{i}").parse().unwrap();
            let partition = sharding.partition_of(&room("lobby"), &user);
            assert_eq!(partition, sharding.partition_of(&room("lobby"), &user));
            *counts.entry(partition.key()).or_insert(0) += 1;
        }
        assert_eq!(counts.keys().cloned().collect::<HashSet<_>>(), all);
        assert!(
            counts.values().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn what_is_no_sharding_is_refused() {
        for text in [
            "lobby=16",
            "[]",
            r#"{"lobby": 0}"#,
            r#"{"lobby": 257}"#,
            r#"{"": 2}"#,
            r#"{"lobby": "2"}"#,
        ] {
            assert_eq!(text.parse::<Sharding>(), Err(InvalidSharding), "{text}");
        }
        assert_eq!("{}".parse::<Sharding>(), Ok(Sharding::default()));
    }
}
