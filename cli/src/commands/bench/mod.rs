//! `hermes bench`: loads a deployed stack, and says how it did.

mod clients;
mod estimate;
mod load;
mod report;
mod tally;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hermes::{MessageId, RoomId, UserId};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::interrupt::interrupt;
use crate::output;
use crate::queue::Queue;
use crate::settings::{Setting, Settings};
use crate::table::count;

use clients::Clients;
use estimate::Estimate;
use load::Load;
use report::Report;
use tally::Tally;

/// What a run may cost before it has to be agreed to, in US dollars.
const AGREED_USD: f64 = 0.05;

/// The most sockets of one process: each is a file, and a system gives 1,024 at first.
const CLIENTS_MAX: usize = 10_000;

/// API Gateway ends every connection after two hours.
const DURATION_MAX: Duration = Duration::from_secs(90 * 60);

const EXAMPLES: &str = "\
Examples:
  hermes bench --clients 20 --rate 5
  hermes bench --clients 1000 --rooms 50 --rate 200 --duration 5m --yes
  hermes bench --clients 20 --rate 5 --json | jq .latency_ms

Sockets of the user hermes-bench in the rooms hermes-bench-0, …; messages through the queue, at a steady
rate whether the stack keeps up or not. A latency is the time from before the call to SQS until the frame
is here, so it holds the way from this machine and back: run it near the stack. What is lost was not pushed
in time; a real client would recover it. What comes twice is counted; a real client drops it. A run that
would cost more than $0.05 by list prices needs --yes; more than some 1,000 sockets need a higher
`ulimit -n`. Ctrl-C ends the sending, and once more the waiting.

Exit codes:
  0  everything arrived
  1  something was lost or refused, a socket broke, or it was interrupted
  2  wrong arguments, or the cost was not agreed to";

/// Load a deployed stack, and show how long messages take
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// How many sockets are open
    #[arg(long, value_name = "N", value_parser = clients)]
    clients: NonZeroUsize,

    /// How many messages are sent in a second, in all rooms together
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: f64,

    /// For how long messages are sent
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    duration: Duration,

    /// How many rooms the sockets are in, evenly
    #[arg(long, value_name = "N", default_value = "1")]
    rooms: NonZeroUsize,

    /// Size of a message's data, in bytes
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    bytes: u32,

    /// How long is waited for what has not arrived at the end
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    drain: Duration,

    /// Agree to what it costs
    #[arg(long)]
    yes: bool,

    /// Print `{clients, rooms, messages, expected, received, lost, duplicated, refused, broken,
    /// latency_ms: {p50, p90, p99, p99_9, max}, seconds, estimated_usd}`; `latency_ms` is null where
    /// nothing arrived
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        if self.rooms > self.clients {
            return Err(Failure::usage(format!(
                "{} rooms are more than {} clients",
                self.rooms, self.clients
            )));
        }
        let messages = self.messages();
        let estimate = Estimate::new(&self, messages);
        self.agree(&estimate)?;

        let url = settings.required(Setting::MessageQueueUrl).await?;
        let queue = Queue::new(settings.sdk().await?, url);
        let rooms: Vec<RoomId> = (0..self.rooms.get()).map(room).collect();
        let run = MessageId::generate();
        let tally = Arc::new(Tally::new(messages, rooms.len(), run.as_str()));

        let bar = bar(self.clients.get(), "sockets open");
        let clients = tokio::select! {
            clients = Clients::open(settings, &rooms, self.clients.get(), &tally, &bar) => clients?,
            () = interrupt() => return Err(Failure::new("interrupted before all sockets were open")),
        };
        bar.finish_and_clear();

        let bar = self::bar(messages, "messages sent");
        let load = Load {
            queue: &queue,
            rooms: &rooms,
            run: run.as_str(),
            bytes: usize::try_from(self.bytes).unwrap_or(usize::MAX),
            rate: self.rate,
        };
        let mut sent = load.run(&tally, &bar, interrupt()).await;
        bar.finish_and_clear();

        let expected = clients.expected(&sent.accepted);
        let bar = self::bar(expected, "notifications arrived");
        tokio::select! {
            () = tally.until(expected, self.drain, &bar) => {}
            () = interrupt() => sent.interrupted = true,
        }
        bar.finish_and_clear();
        let broken = clients.close(interrupt()).await;

        let report = Report::new(&self, &tally, &sent, expected, broken, estimate.usd);
        report.print(self.json)
    }

    fn messages(&self) -> usize {
        let messages = (self.rate * self.duration.as_secs_f64()).round() as usize;
        messages.max(1)
    }

    fn agree(&self, estimate: &Estimate) -> Result<(), Failure> {
        let says = format!(
            "{} to {}: {} deliveries, about ${:.3} by list prices",
            count(estimate.messages, "message"),
            count(self.clients.get(), "socket"),
            estimate.deliveries,
            estimate.usd
        );
        if estimate.usd > AGREED_USD && !self.yes {
            return Err(Failure::usage(says).hint(format!(
                "agree with --yes; up to ${AGREED_USD} nobody is asked"
            )));
        }
        output::status(says);
        Ok(())
    }
}

/// The room with a number.
fn room(number: usize) -> RoomId {
    format!("hermes-bench-{number}").parse().expect("an id")
}

/// Whose sockets they are.
fn user() -> UserId {
    "hermes-bench".parse().expect("an id")
}

fn bar(length: usize, what: &str) -> ProgressBar {
    // On standard error, and only where that is a terminal.
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{elapsed}}");
    let style = ProgressStyle::with_template(&template).expect("the template is valid");
    ProgressBar::new(length as u64).with_style(style)
}

fn clients(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|clients: &NonZeroUsize| clients.get() <= CLIENTS_MAX)
        .ok_or_else(|| format!("must be 1 to {CLIENTS_MAX}"))
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| (0.01..=3000.0).contains(rate))
        .ok_or_else(|| "must be a number from 0.01 to 3000".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() || duration > DURATION_MAX {
        return Err("must be more than nothing, and 90m at most".to_owned());
    }
    Ok(duration)
}
