//! `hermes members`: who is connected to a room.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Args;
use hermes::ports::{Connections as _, Member};
use hermes::time::{Clock as _, SystemClock};
use hermes::{ConnectionId, RoomId, Timestamp, UserId};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, one_line};
use crate::settings::Settings;
use crate::table::{age, count, table};

/// How many rows are read at once.
const PAGE: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  hermes members demo
  hermes members demo --user alice
  hermes members demo --json | jq -r .user_id | sort -u

A room in which nobody is has no members, and is no error. A connection that broke without a word is
among them for up to 10 minutes.";

/// List who is connected to a room, and since when
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Members {
    /// The room
    #[arg(value_name = "ROOM")]
    room: RoomId,

    /// Only this user's connections
    #[arg(long, value_name = "USER")]
    user: Option<UserId>,

    /// List no more than these
    #[arg(long, value_name = "N", default_value = "1000")]
    limit: NonZeroUsize,

    /// Print `{user_id, connection_id, connected_at}` for each connection, one per line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    user_id: &'a UserId,
    connection_id: &'a ConnectionId,
    connected_at: Timestamp,
}

impl Members {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let (members, more) = self.read(settings).await?;
        if self.json {
            members.iter().try_for_each(|member| {
                output::json(&Document {
                    user_id: &member.user,
                    connection_id: &member.connection,
                    connected_at: member.connected_at,
                })
            })?;
        } else if !members.is_empty() {
            let now = SystemClock.now();
            let rows = members.iter().map(|member| {
                [
                    one_line(member.user.as_str()),
                    member.connection.to_string(),
                    member.connected_at.to_string(),
                    age(member.connected_at, now),
                ]
            });
            output::line(table(["USER", "CONNECTION", "SINCE", "AGE"], rows, &[]))?;
        }
        let shown = count(members.len(), "connection");
        let room = one_line(self.room.as_str());
        let more = if more { ", and more (--limit)" } else { "" };
        output::status(format_args!("{shown} in {room}{more}"));
        Ok(ExitCode::SUCCESS)
    }

    /// The members, and whether there are more than were asked for.
    async fn read(&self, settings: &Settings) -> Result<(Vec<Member>, bool), Failure> {
        let connections = settings.connections().await?;
        let sharding = settings.sharding().await?;
        // A user's own partitions would do, had the room always had as many as now.
        let partitions = sharding.partitions(&self.room);
        let limit = self.limit.get();
        let size = NonZeroUsize::new(limit.min(PAGE)).unwrap_or(self.limit);
        let mut members = Vec::new();
        for partition in partitions {
            let mut page = None;
            loop {
                let now = SystemClock.now();
                let read = connections
                    .members(&partition, self.user.as_ref(), page.as_ref(), size, now)
                    .await?;
                members.extend(read.members);
                if members.len() > limit {
                    members.truncate(limit);
                    return Ok((members, true));
                }
                page = read.next;
                if page.is_none() {
                    break;
                }
            }
        }
        Ok((members, false))
    }
}
