//! How a run went.

use std::process::ExitCode;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Bench;
use super::load::Sent;
use super::tally::Tally;
use crate::failure::Failure;
use crate::output;
use crate::table::{count, table};

/// How wide the bar of the most frequent latency is.
const BAR: f64 = 40.0;

/// Where the bars begin, in microseconds; each next one reaches twice as far.
const FIRST_BAR_US: u64 = 1000;

/// A run.
#[derive(Serialize)]
pub(super) struct Report {
    clients: usize,
    rooms: usize,
    messages: usize,
    expected: usize,
    received: usize,
    lost: usize,
    duplicated: usize,
    refused: usize,
    broken: usize,
    latency_ms: Option<Latency>,
    seconds: f64,
    estimated_usd: f64,
    #[serde(skip)]
    interrupted: bool,
    #[serde(skip)]
    reason: Option<String>,
    #[serde(skip)]
    latencies: Histogram<u64>,
}

/// Quantiles, in milliseconds.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

impl Latency {
    /// None where nothing was measured.
    fn new(latencies: &Histogram<u64>) -> Option<Self> {
        let ms = |us: u64| us as f64 / 1000.0;
        let quantile = |q| ms(latencies.value_at_quantile(q));
        (!latencies.is_empty()).then(|| Self {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: ms(latencies.max()),
        })
    }

    /// The rows of a table.
    fn rows(latency: Option<&Self>) -> [[String; 2]; 5] {
        let row = |name: &str, ms: fn(&Self) -> f64| {
            let ms =
                latency.map_or_else(|| "–".to_owned(), |latency| format!("{:.1}", ms(latency)));
            [name.to_owned(), ms]
        };
        [
            row("p50", |latency| latency.p50),
            row("p90", |latency| latency.p90),
            row("p99", |latency| latency.p99),
            row("p99.9", |latency| latency.p99_9),
            row("max", |latency| latency.max),
        ]
    }
}

impl Report {
    pub(super) fn new(
        bench: &Bench,
        tally: &Tally,
        sent: &Sent,
        expected: usize,
        broken: usize,
        estimated_usd: f64,
    ) -> Self {
        let counts = tally.counts();
        Self {
            clients: bench.clients.get(),
            rooms: bench.rooms.get(),
            messages: sent.accepted.iter().sum(),
            expected,
            received: counts.received,
            lost: expected.saturating_sub(counts.received),
            duplicated: counts.duplicated,
            refused: sent.refused,
            broken,
            latency_ms: Latency::new(&counts.latencies),
            seconds: sent.took.as_secs_f64(),
            estimated_usd,
            interrupted: sent.interrupted,
            reason: sent.reason.clone(),
            latencies: counts.latencies.clone(),
        }
    }

    /// Prints it; fails where something is missing.
    pub(super) fn print(&self, json: bool) -> Result<ExitCode, Failure> {
        if json {
            output::json(self)?;
        } else {
            self.print_table()?;
        }
        let wrong = [
            (self.lost > 0).then(|| format!("{} lost", count(self.lost, "notification"))),
            (self.refused > 0).then(|| {
                let reason = self.reason.as_deref().unwrap_or("no reason given");
                format!("{} not enqueued ({reason})", count(self.refused, "message"))
            }),
            (self.broken > 0).then(|| format!("{} broke", count(self.broken, "socket"))),
            self.interrupted.then(|| "interrupted".to_owned()),
        ];
        let wrong: Vec<_> = wrong.into_iter().flatten().collect();
        if wrong.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        Err(Failure::new(wrong.join(", "))
            .hint("`hermes tail --failures --since 5m` shows what the functions say of it"))
    }

    fn print_table(&self) -> Result<(), Failure> {
        let rows = Latency::rows(self.latency_ms.as_ref());
        output::line(table(["LATENCY", "MS"], rows, &[1]))?;
        output::line("")?;
        output::line(table(
            ["UP TO MS", "COUNT", ""],
            bars(&self.latencies),
            &[0, 1],
        ))?;
        output::line("")?;
        output::line(format_args!(
            "{} of {} notifications arrived: {} lost, {} duplicated",
            self.received, self.expected, self.lost, self.duplicated
        ))?;
        output::line(format_args!(
            "{} in {:.1} s ({:.1} a second) to {} in {}",
            count(self.messages, "message"),
            self.seconds,
            self.messages as f64 / self.seconds.max(f64::MIN_POSITIVE),
            count(self.clients, "socket"),
            count(self.rooms, "room"),
        ))
    }
}

/// A row for each doubling of the latency.
fn bars(latencies: &Histogram<u64>) -> Vec<[String; 3]> {
    let steps: Vec<_> = latencies
        .iter_log(FIRST_BAR_US, 2.0)
        .map(|step| {
            let (up_to, counted) = (step.value_iterated_to(), step.count_since_last_iteration());
            (up_to, counted)
        })
        .collect();
    let most = steps.iter().map(|(_, counted)| *counted).max().unwrap_or(0);
    let rows = steps.into_iter().skip_while(|(_, counted)| *counted == 0);
    rows.map(|(up_to, counted)| {
        let share = counted as f64 / most.max(1) as f64;
        let width = (share * BAR).ceil() as usize;
        [
            format!("{:.0}", (up_to + 1) as f64 / 1000.0),
            counted.to_string(),
            "█".repeat(width),
        ]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_bars_are_those_of_the_latencies() {
        let mut latencies = Histogram::new(3).unwrap();
        for us in [1500, 1600, 3000, 100_000] {
            latencies.record(us).unwrap();
        }
        let latency = Latency::new(&latencies).unwrap();
        assert_eq!(Latency::rows(Some(&latency))[4], ["max", "100.0"]);
        let Latency { p50, max, .. } = latency;
        assert!(
            (p50 - 1.6).abs() < 0.01 && (max - 100.0).abs() < 0.1,
            "{p50} {max}"
        );
        let rows = bars(&latencies);
        let counts: Vec<_> = rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(counts, ["2", "1", "0", "0", "0", "0", "1"]);
        assert_eq!((rows[0][0].as_str(), rows[0][2].chars().count()), ("2", 40));
    }

    #[test]
    fn of_nothing_there_is_no_latency() {
        let latency = Latency::new(&Histogram::new(3).unwrap());
        assert_eq!(serde_json::to_string(&latency).unwrap(), "null");
        let rows = Latency::rows(latency.as_ref());
        assert!(rows.iter().all(|[_, ms]| ms == "–"), "{rows:?}");
    }
}
