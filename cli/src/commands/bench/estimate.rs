//! What a run costs, before it is made.

use hermes_cost::{DAYS, Measured, Prices, Workload, bills};

use super::Bench;
use super::clients::PING_EVERY;

/// The one line of a bill that a run does not make larger.
const IDLE: &str = "requests: polling, idle too";

/// Days for which messages are kept where nothing else is known: the stack's default.
const HISTORY_DAYS: f64 = 7.0;

/// How much a run is.
pub(super) struct Estimate {
    pub(super) messages: usize,
    pub(super) deliveries: usize,
    /// By list prices of us-east-1.
    pub(super) usd: f64,
}

impl Estimate {
    pub(super) fn new(bench: &Bench, messages: usize) -> Self {
        let (clients, rooms) = (bench.clients.get(), bench.rooms.get());
        let members = clients as f64 / rooms as f64;
        // A run as a day of each day of a month.
        let workload = Workload {
            connections: clients as f64,
            hours: (bench.duration + bench.drain).as_secs_f64() / 3600.0,
            members,
            messages_per_day: messages as f64,
            message_bytes: f64::from(bench.bytes),
            history_days: HISTORY_DAYS,
            pings_per_hour: 3600.0 / PING_EVERY.as_secs_f64(),
            fifo: false,
        };
        let [bill, ..] = bills(&workload, &Measured::last(), &Prices::list());
        let lines = bill.lines.iter().filter(|line| line.what != IDLE);
        Self {
            messages,
            deliveries: messages * clients / rooms,
            usd: lines.map(|line| line.usd).sum::<f64>() / DAYS,
        }
    }
}
