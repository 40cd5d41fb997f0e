//! `hermes rooms`: the rooms in which somebody is.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use hermes::ports::Member;
use hermes::time::{Clock as _, SystemClock};
use hermes::{RoomId, Timestamp, UserId};
use hermes_cost::Prices;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, one_line};
use crate::settings::Settings;
use crate::table::{age, count, table};

const EXAMPLES: &str = "\
Examples:
  hermes rooms
  hermes rooms --limit 10 --sort newest
  hermes rooms --json | jq -r 'select(.connections > 1000) | .room_id'

It reads the whole table of connections, a page of 1 MB at a time, and says what that cost: of a million
connections a fifth of a cent. A connection that broke without a word counts for up to 10 minutes.";

/// List the rooms in which somebody is connected
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Rooms {
    /// List no more than these
    #[arg(long, value_name = "N", default_value = "100")]
    limit: NonZeroUsize,

    /// What comes first
    #[arg(long, value_enum, default_value_t = Sort::Connections)]
    sort: Sort,

    /// Print `{room_id, connections, users, oldest, newest}` for each room, one per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The most connections
    Connections,
    /// The most users
    Users,
    /// The room's name
    Room,
    /// The longest connection
    Oldest,
    /// The latest connection
    Newest,
}

/// A room in which somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Room {
    room_id: RoomId,
    connections: usize,
    users: usize,
    oldest: Timestamp,
    newest: Timestamp,
}

impl Rooms {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let connections = settings.connections().await?;
        let (mut found, mut read_units) = (Found::default(), 0.0);
        let mut part = None;
        while let Some(next) = connections.scan(part.as_ref(), SystemClock.now()).await? {
            read_units += next.read_units;
            for (room, member) in &next.members {
                found.add(room, member);
            }
            part = Some(next);
        }
        let mut rooms = found.rooms(self.sort);
        let (all, sockets) = (rooms.len(), rooms.iter().map(|room| room.connections).sum());
        rooms.truncate(self.limit.get());
        self.print(&rooms)?;

        let shown = if rooms.len() < all {
            format!("{} of {}", rooms.len(), count(all, "room"))
        } else {
            count(all, "room")
        };
        let usd = Prices::list().dynamodb_reads.of(read_units);
        output::status(format_args!(
            "{shown}, {} in all; reading them cost {read_units} read units ({})",
            count(sockets, "connection"),
            dollars(usd)
        ));
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, rooms: &[Room]) -> Result<(), Failure> {
        if self.json {
            return rooms.iter().try_for_each(output::json);
        }
        if rooms.is_empty() {
            return Ok(());
        }
        let now = SystemClock.now();
        let rows = rooms.iter().map(|room| {
            [
                one_line(room.room_id.as_str()),
                room.connections.to_string(),
                room.users.to_string(),
                age(room.oldest, now),
                age(room.newest, now),
            ]
        });
        let header = ["ROOM", "CONNECTIONS", "USERS", "OLDEST", "NEWEST"];
        output::line(table(header, rows, &[1, 2]))
    }
}

fn dollars(usd: f64) -> String {
    if usd < 0.0001 {
        return "less than $0.0001".to_owned();
    }
    format!("${usd:.4}")
}

/// What was read of the rooms so far.
#[derive(Default)]
struct Found(HashMap<RoomId, (HashSet<UserId>, usize, Timestamp, Timestamp)>);

impl Found {
    fn add(&mut self, room: &RoomId, member: &Member) {
        let at = member.connected_at;
        let (users, connections, oldest, newest) = self
            .0
            .entry(room.clone())
            .or_insert_with(|| (HashSet::new(), 0, at, at));
        users.insert(member.user.clone());
        *connections += 1;
        *oldest = at.min(*oldest);
        *newest = at.max(*newest);
    }

    fn rooms(self, sort: Sort) -> Vec<Room> {
        let rooms = self.0.into_iter();
        let mut rooms: Vec<Room> = rooms
            .map(|(room_id, (users, connections, oldest, newest))| Room {
                room_id,
                connections,
                users: users.len(),
                oldest,
                newest,
            })
            .collect();
        rooms.sort_by(|one, other| {
            let order = match sort {
                Sort::Connections => other.connections.cmp(&one.connections),
                Sort::Users => other.users.cmp(&one.users),
                Sort::Room => std::cmp::Ordering::Equal,
                Sort::Oldest => one.oldest.cmp(&other.oldest),
                Sort::Newest => other.newest.cmp(&one.newest),
            };
            order.then_with(|| one.room_id.cmp(&other.room_id))
        });
        rooms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let mut found = Found::default();
        for (room, user, at) in [
            ("b", "alice", 100),
            ("b", "alice", 50),
            ("a", "bob", 70),
            ("a", "carol", 60),
            ("c", "dave", 10),
        ] {
            let member = Member {
                user: user.parse().unwrap(),
                connection: format!("c{at}").parse().unwrap(),
                connected_at: Timestamp::from_secs(at),
            };
            found.add(&room.parse().unwrap(), &member);
        }
        found
    }

    #[test]
    fn a_room_has_its_connections_users_and_ages() {
        let rooms = found().rooms(Sort::Connections);
        let b = Room {
            room_id: "b".parse().unwrap(),
            connections: 2,
            users: 1,
            oldest: Timestamp::from_secs(50),
            newest: Timestamp::from_secs(100),
        };
        assert_eq!(rooms[1], b);
    }

    #[test]
    fn equal_rooms_come_by_name() {
        for (sort, order) in [
            (Sort::Connections, "abc"),
            (Sort::Users, "abc"),
            (Sort::Room, "abc"),
            (Sort::Oldest, "cba"),
            (Sort::Newest, "bac"),
        ] {
            let rooms = found().rooms(sort);
            let names: String = rooms.iter().map(|room| room.room_id.as_str()).collect();
            assert_eq!(names, order, "{sort:?}");
        }
    }
}
