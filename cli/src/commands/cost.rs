//! `hermes cost`: what would a month cost?

use std::process::ExitCode;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use hermes_cost::{Bill, Measured, Prices, Workload, bills};
use serde_json::json;

use crate::failure::Failure;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  hermes cost --connections 200 --hours 8 --members 20 --messages 5000
  hermes cost --connections 10000 --rooms 5000 --messages 200000 --no-history
  hermes cost --connections 100000 --hours 3 --members 10000 --messages 500 --json | jq '.bills[0].usd'

It calls nothing: the prices are list prices of us-east-1 without free tiers, each with its date in
cost/prices.json; the times are those that `cargo xtask bench` measured. Not in it: logs, data
transfer, alarms, and what a custom domain costs. `tutorial` is the Node.js design that Hermes grew
from, which scans its table for each message; neither it nor AppSync Events keeps a history.";

/// Say what a month costs, and what it would cost with two other designs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cost {
    /// Connections that are open at the same time
    #[arg(long, value_name = "N", value_parser = count)]
    connections: f64,

    /// Hours of a day for which they are
    #[arg(long, value_name = "H", default_value = "24", value_parser = hours)]
    hours: f64,

    /// Rooms that the connections are in, evenly [default: one, or what --members makes them]
    #[arg(long, value_name = "N", value_parser = count, conflicts_with = "members")]
    rooms: Option<f64>,

    /// Connections in the room of a message, instead of --rooms
    #[arg(long, value_name = "N", value_parser = count)]
    members: Option<f64>,

    /// Messages of a day, in all rooms together
    #[arg(long, value_name = "N", value_parser = number)]
    messages: f64,

    /// Size of a message, in bytes
    #[arg(long, value_name = "N", default_value = "500", value_parser = count)]
    message_bytes: f64,

    /// Days for which messages are kept: the stack's `HistoryDays`
    #[arg(long, value_name = "N", default_value = "7", value_parser = number)]
    history_days: f64,

    /// Keep no history, as with --history-days 0
    #[arg(long, conflicts_with = "history_days")]
    no_history: bool,

    /// Pings that a client sends in an hour
    #[arg(long, value_name = "N", default_value = "12", value_parser = number)]
    pings_per_hour: f64,

    /// The queue is a FIFO queue
    #[arg(long)]
    fifo: bool,

    /// Print `{workload, deliveries, bills: [{design, lines: [{service, what, quantity, usd}], usd}]}`
    #[arg(long)]
    json: bool,
}

impl Cost {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let json = self.json;
        let workload = self.workload();
        let bills = bills(&workload, &Measured::last(), &Prices::list());
        if json {
            let deliveries = workload.deliveries();
            output::json(&json!({"workload": workload, "deliveries": deliveries, "bills": bills}))?;
        } else {
            print(&workload, &bills)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn workload(self) -> Workload {
        let members = match (self.members, self.rooms) {
            (Some(members), _) => members,
            (None, rooms) => (self.connections / rooms.unwrap_or(1.0)).max(1.0),
        };
        Workload {
            connections: self.connections,
            hours: self.hours,
            members,
            messages_per_day: self.messages,
            message_bytes: self.message_bytes,
            history_days: if self.no_history {
                0.0
            } else {
                self.history_days
            },
            pings_per_hour: self.pings_per_hour,
            fifo: self.fifo,
        }
    }
}

fn print(workload: &Workload, bills: &[Bill]) -> Result<(), Failure> {
    for bill in bills {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([bill.design, "PER MONTH", "USD"]);
        for line in &bill.lines {
            let item = format!("{}, {}", line.service, line.what);
            table.add_row([item, quantity(line.quantity), format!("{:.2}", line.usd)]);
        }
        table.add_row(["all".to_owned(), String::new(), format!("{:.2}", bill.usd)]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        output::line(format_args!("{}\n", table.trim_fmt()))?;
    }
    let deliveries = workload.deliveries();
    output::status(format_args!(
        "for {} delivered messages; list prices of us-east-1, without free tiers, logs and data transfer",
        quantity(deliveries)
    ));
    Ok(())
}

/// A number that a person can read: three digits, thousands apart.
fn quantity(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.2} billion", value / 1e9),
        value if value >= 1e6 => format!("{:.2} million", value / 1e6),
        value if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("must be a number, and not below 0".to_owned()),
    }
}

fn count(text: &str) -> Result<f64, String> {
    number(text)
        .ok()
        .filter(|value| *value >= 1.0)
        .ok_or_else(|| "must be a number of at least 1".to_owned())
}

fn hours(text: &str) -> Result<f64, String> {
    number(text)
        .ok()
        .filter(|hours| *hours > 0.0 && *hours <= 24.0)
        .ok_or_else(|| "a day has 24 hours".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_readable() {
        assert_eq!(quantity(0.35), "0.35");
        assert_eq!(quantity(30.0), "30");
        assert_eq!(quantity(648_000.0), "648000");
        assert_eq!(quantity(14_400_000.0), "14.40 million");
    }
}
