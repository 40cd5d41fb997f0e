//! `hermes tail`: what the functions do, from their logs, as it happens.

mod event;
mod logs;

use std::cell::Cell;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hermes::RoomId;
use hermes::time::{Clock as _, SystemClock};

use crate::failure::Failure;
use crate::interrupt::{after, interrupt};
use crate::output;
use crate::settings::Settings;
use crate::signed::Signed;

use event::Event;
use logs::Logs;

const EXAMPLES: &str = "\
Examples:
  hermes tail
  hermes tail --failures --since 1h
  hermes tail --room demo --json | jq .latency_ms
  hermes tail --failures --count 1 --timeout 10m    # wait for the first failure

One line for each thing that a function wrote: deliveries with their counts and latency, refused
handshakes, failures. Nothing else than the functions' logs is read, every three seconds, from
their log groups; CloudWatch shows a line some seconds after it was written. Lines below the stack's
LogLevel are not written at all. It ends with 0 after --count events, and without --count after --timeout
or Ctrl-C; with 1 where --count was not reached.";

/// Show deliveries, failures and latencies as the functions log them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tail {
    /// Only failures: warnings, errors, time-outs, and deliveries that left somebody out
    #[arg(long)]
    failures: bool,

    /// Only of this room
    #[arg(long, value_name = "ROOM")]
    room: Option<RoomId>,

    /// Begin so far back, such as 5m or 2h
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    since: Duration,

    /// End after this many events
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,

    /// End after this time; exit code 1 where --count was not reached
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,

    /// Print what was logged, with `function`, one JSON document per line
    #[arg(long)]
    json: bool,
}

impl Tail {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let stack = settings.deployment().await?;
        let since = u64::try_from(self.since.as_millis()).unwrap_or(u64::MAX);
        let start = SystemClock.now().as_millis().saturating_sub(since);
        let mut logs = Logs::of(Signed::new(settings.sdk().await?), &stack, start)?;
        output::status(format_args!("following {}", logs.names()));

        let shown = Cell::new(0);
        let follow = async {
            loop {
                for event in logs.next().await? {
                    if !self.wants(&event) {
                        continue;
                    }
                    if self.json {
                        output::json(&event.document())?;
                    } else {
                        output::line(event.pretty())?;
                    }
                    shown.set(shown.get() + 1);
                    if self.count.is_some_and(|count| shown.get() >= count.get()) {
                        return Ok(());
                    }
                }
            }
        };
        let why = tokio::select! {
            end = follow => return end.map(|()| ExitCode::SUCCESS),
            () = after(self.timeout) => "in time",
            () = interrupt() => "before the interrupt",
        };
        match self.count {
            None => Ok(ExitCode::SUCCESS),
            Some(count) => Err(Failure::new(format!(
                "{} of {count} events came {why}",
                shown.get()
            ))),
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let room = self.room.as_ref();
        (!self.failures || event.is_failure())
            && room.is_none_or(|room| event.room() == Some(room.as_str()))
    }
}
