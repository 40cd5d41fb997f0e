//! `hermes history`: what was published to a room.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hermes::aws::DynamoLog;
use hermes::log::{Entry, Epoch, Position, Stream};
use hermes::ports::Log as _;
use hermes::time::{Clock as _, SystemClock};
use hermes::{RoomId, Timestamp, UserId};
use owo_colors::OwoColorize as _;

use crate::failure::Failure;
use crate::interrupt::interrupt;
use crate::notification::Notification;
use crate::output::{self, one_line};
use crate::settings::Settings;
use crate::table::count;

/// How often the log is asked for what is new.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Sorts before every epoch that is made.
const BEFORE_ALL: &str = "0";

const EXAMPLES: &str = "\
Examples:
  hermes history demo
  hermes history demo --since 10m --json | jq .data
  hermes history demo --after 1041 --limit 10
  hermes history demo --user alice --follow

Without --after it shows the last messages, oldest first; with it those behind an offset of the
stream's present epoch. With --follow it goes on with what is published, asking once a second, until
Ctrl-C. Messages to one user (`to`) stand in that user's own stream: --user. Each 100 messages are one
query; nothing is changed.";

/// Show what was published to a room
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct History {
    /// The room
    #[arg(value_name = "ROOM")]
    room: RoomId,

    /// The messages to this user in the room, instead of those to everybody
    #[arg(long, value_name = "USER")]
    user: Option<UserId>,

    /// Only messages behind this offset
    #[arg(long, value_name = "OFFSET", conflicts_with = "since")]
    after: Option<u64>,

    /// Only messages of the last time, such as 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    since: Option<Duration>,

    /// Show no more than these [with --follow: before what is new]
    #[arg(long, value_name = "N", default_value = "100")]
    limit: NonZeroUsize,

    /// Go on with what is published, until Ctrl-C
    #[arg(long)]
    follow: bool,

    /// Print each message as members receive it, one JSON document per line
    #[arg(long)]
    json: bool,
}

impl History {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let log = settings.log().await?.ok_or_else(|| {
            Failure::new("this stack keeps no history (HistoryDays is 0)")
                .hint("deploy it with another HistoryDays; what was published before is gone")
        })?;
        let reader = Reader {
            log,
            stream: Stream {
                room: self.room.clone(),
                user: self.user.clone(),
            },
        };
        let now = SystemClock.now();
        // Before what is shown is read: what is published after that comes behind it.
        let head = if self.follow {
            Some(reader.head().await?)
        } else {
            None
        };
        let (entries, more) = match self.after {
            Some(offset) => reader.behind(offset, self.limit.get()).await?,
            None => {
                let since = self.since.map_or(Timestamp::EPOCH, |since| {
                    let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
                    Timestamp::from_millis(now.as_millis().saturating_sub(since))
                });
                reader.last(since, self.limit.get()).await?
            }
        };
        for entry in &entries {
            self.print(&reader.stream, entry)?;
        }
        if let Some(head) = head {
            let last = entries.last().map(|entry| entry.position.clone());
            return self.follow(&reader, last.unwrap_or(head)).await;
        }
        let shown = count(entries.len(), "message");
        let room = one_line(self.room.as_str());
        let more = if more { ", and more (--limit)" } else { "" };
        output::status(format_args!("{shown} of {room}{more}"));
        Ok(ExitCode::SUCCESS)
    }

    async fn follow(&self, reader: &Reader, start: Position) -> Result<ExitCode, Failure> {
        let follow = async {
            let mut position = start;
            loop {
                let page = reader
                    .log
                    .read(&reader.stream, &position, SystemClock.now());
                let page = page.await?;
                for entry in &page.entries {
                    self.print(&reader.stream, entry)?;
                }
                position = page.last.unwrap_or(position);
                if page.ended {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        };
        tokio::select! {
            end = follow => end,
            () = interrupt() => Ok(ExitCode::SUCCESS),
        }
    }

    fn print(&self, stream: &Stream, entry: &Entry) -> Result<(), Failure> {
        let frame = entry.to_frame(stream.kind());
        match Notification::read(&frame) {
            Some(notification) if self.json => output::line(notification.json()),
            Some(notification) => {
                let offset = format!("{:>7}", entry.position.offset);
                output::line(format_args!(
                    "{} {}",
                    offset.dimmed(),
                    notification.pretty()
                ))
            }
            None => output::line(one_line(&frame)),
        }
    }
}

/// A stream of the log.
struct Reader {
    log: DynamoLog,
    stream: Stream,
}

impl Reader {
    /// Where the stream ends; before everything where it has not begun.
    async fn head(&self) -> Result<Position, Failure> {
        let head = self.log.head(&self.stream, SystemClock.now()).await?;
        Ok(head.unwrap_or_else(|| at(BEFORE_ALL, 0)))
    }

    /// The first messages behind an offset of the present epoch, and whether there are more.
    async fn behind(&self, offset: u64, limit: usize) -> Result<(Vec<Entry>, bool), Failure> {
        let mut position = Position {
            offset: offset.min(hermes::frame::OFFSET_MAX),
            ..self.head().await?
        };
        let mut entries = Vec::new();
        loop {
            let page = self
                .log
                .read(&self.stream, &position, SystemClock.now())
                .await?;
            entries.extend(page.entries);
            position = page.last.unwrap_or(position);
            if page.ended || entries.len() > limit {
                let more = entries.len() > limit;
                entries.truncate(limit);
                return Ok((entries, more));
            }
        }
    }

    /// The last messages that were appended at `since` or later, oldest first, and whether there are more.
    async fn last(&self, since: Timestamp, limit: usize) -> Result<(Vec<Entry>, bool), Failure> {
        let mut entries = VecDeque::new();
        let mut before = None;
        loop {
            let page = self
                .log
                .read_back(&self.stream, before.as_ref(), SystemClock.now())
                .await?;
            for entry in page.entries {
                if entry.appended_at < since {
                    return Ok((entries.into(), false));
                }
                if entries.len() == limit {
                    return Ok((entries.into(), true));
                }
                entries.push_front(entry);
            }
            if page.ended || page.last.is_none() {
                return Ok((entries.into(), false));
            }
            before = page.last;
        }
    }
}

fn at(epoch: &str, offset: u64) -> Position {
    let epoch: Epoch = epoch.parse().expect("an epoch");
    Position { epoch, offset }
}
