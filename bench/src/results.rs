//! Everything that was measured, and the goals that it is held against.

use std::collections::BTreeMap;

use hermes_cost::{Figures, Measured};

use crate::cold::Cold;
use crate::contender::{
    AUTHORIZER, CONNECT, Contender, DEFAULT, DELIVER, DISCONNECT, EMPTY, Handler, SEND_MESSAGE,
};
use crate::endpoint::{QUOTA_BURST, QUOTA_RATE};
use crate::fanout::{Behaviour, Case, Fanout};
use crate::instructions::Instructions;
use crate::storm::Storm;
use crate::units::{Event, Units};
use crate::warm::{Kind, Warm};

/// Everything that was measured.
pub(crate) struct Results {
    /// Whether it was the quick run.
    pub(crate) quick: bool,
    /// The machine and the programs, a line each.
    pub(crate) machine: Vec<String>,
    /// The day.
    pub(crate) date: String,
    /// The bootstraps' sizes, in bytes.
    pub(crate) sizes: BTreeMap<&'static str, u64>,
    /// Cold starts.
    pub(crate) cold: Vec<Cold>,
    /// Why there are none under a CPU quota.
    pub(crate) no_quota: Option<String>,
    /// Warm calls.
    pub(crate) warm: Vec<Warm>,
    /// The reconnect storm.
    pub(crate) storm: Vec<Storm>,
    /// Instructions; none where callgrind is missing.
    pub(crate) instructions: Vec<Instructions>,
    /// Fan-outs, those under the token bucket too.
    pub(crate) fanouts: Vec<Fanout>,
    /// What events cost in units.
    pub(crate) units: Vec<Units>,
}

/// A goal, and what was measured.
pub(crate) struct Goal {
    /// What.
    pub(crate) what: &'static str,
    /// The goal.
    pub(crate) goal: &'static str,
    /// What was measured.
    pub(crate) measured: String,
    /// Whether it is reached; none where it was not measured.
    pub(crate) reached: Option<bool>,
}

/// The shortest time that the token bucket allows for so many posts, in seconds.
#[expect(clippy::cast_precision_loss, reason = "rooms are below 2^52")]
pub(crate) fn quota_floor(members: usize) -> f64 {
    (members as f64 - QUOTA_BURST).max(0.0) / QUOTA_RATE
}

impl Results {
    /// The cold start of a function at full speed.
    pub(crate) fn cold(
        &self,
        contender: Contender,
        handler: Handler,
        memory_mb: Option<u32>,
    ) -> Option<&Cold> {
        self.cold.iter().find(|cold| {
            (cold.contender, cold.handler, cold.memory_mb) == (contender, handler, memory_mb)
        })
    }

    /// Warm calls of a function.
    pub(crate) fn warm(&self, contender: Contender, handler: Handler, kind: Kind) -> Option<&Warm> {
        self.warm
            .iter()
            .find(|warm| (warm.contender, warm.handler, warm.kind) == (contender, handler, kind))
    }

    /// A fan-out.
    pub(crate) fn fanout(&self, contender: Contender, case: Case) -> Option<&Fanout> {
        self.fanouts.iter().find(|fanout| {
            fanout.contender == contender && fanout.case == case && !fanout.rate.is_empty()
        })
    }

    /// The units of a message.
    pub(crate) fn message(
        &self,
        contender: Contender,
        rows: usize,
        event: Event,
    ) -> Option<&Units> {
        self.units
            .iter()
            .find(|units| (units.contender, units.rows, units.event) == (contender, rows, event))
    }

    /// Sizes of the tables at which messages to 100 members were counted.
    pub(crate) fn tables(&self) -> Vec<usize> {
        let of_100 = Event::Message {
            members: 100,
            uuids: false,
            history: false,
        };
        let rows = self
            .units
            .iter()
            .filter(|units| units.contender == Contender::Hermes && units.event == of_100);
        rows.map(|units| units.rows).collect()
    }

    fn instructions(&self, contender: Contender, handler: Handler, kind: Kind) -> Option<f64> {
        let found = self.instructions.iter().find(|counted| {
            (counted.contender, counted.handler, counted.kind) == (contender, handler, kind)
        });
        found.map(|counted| counted.count)
    }

    /// The goals of the project (issue 4), held against this run.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        let mut goal = |what, goal, found: Option<(bool, String)>| {
            let (reached, measured) = match found {
                Some((reached, measured)) => (Some(reached), measured),
                None => (None, "not measured".to_owned()),
            };
            goals.push(Goal {
                what,
                goal,
                measured,
                reached,
            });
        };

        let cold = |contender, handler| Some(self.cold(contender, handler, None)?.ms.median());
        let ours = cold(Contender::Hermes, CONNECT);
        let ratio = |other: Option<f64>| Some(other? / ours?);
        goal(
            "cold start, connect with its DynamoDB write",
            "≥ 25 × faster than the Node peer",
            ratio(cold(Contender::Tutorial, CONNECT)).map(|times| {
                let improved = ratio(cold(Contender::Improved, CONNECT)).unwrap_or(f64::NAN);
                (
                    times >= 25.0,
                    format!("{times:.0} × (improved peer: {improved:.0} ×)"),
                )
            }),
        );
        goal(
            "",
            "≤ 12 × the empty bootstrap",
            ratio(cold(Contender::Floor, EMPTY))
                .map(|floor| (1.0 / floor <= 12.0, format!("{:.1} ×", 1.0 / floor))),
        );
        goal(
            "release bootstrap, stripped",
            "≤ 5 MB each",
            self.sizes
                .iter()
                .max_by_key(|(_, size)| **size)
                .map(|(name, size)| {
                    (
                        *size <= 5_000_000,
                        format!("the largest: {name}, {:.2} MB", mb(*size)),
                    )
                }),
        );
        let small = [
            (AUTHORIZER, Kind::AcceptedFirst),
            (CONNECT, Kind::Usual),
            (DISCONNECT, Kind::Usual),
        ];
        let peaks: Option<Vec<f64>> = small
            .into_iter()
            .map(|(handler, kind)| Some(self.warm(Contender::Hermes, handler, kind)?.peak_mb.max()))
            .collect();
        goal(
            "peak memory",
            "≤ 12 MB for authorizer, connect, disconnect",
            peaks.map(|peaks| {
                let all = peaks
                    .iter()
                    .map(|peak| format!("{peak:.1}"))
                    .collect::<Vec<_>>();
                (
                    peaks.iter().all(|peak| *peak <= 12.0),
                    format!("{} MB", all.join(", ")),
                )
            }),
        );
        let plain = |members| Case {
            members,
            behaviour: Behaviour::After(0),
            tls: false,
        };
        let quota = |members| Case {
            members,
            behaviour: Behaviour::Quota,
            tls: false,
        };
        let ten_thousand = self
            .fanout(Contender::Hermes, plain(10_000))
            .or_else(|| self.fanout(Contender::Hermes, quota(10_000)));
        goal(
            "",
            "≤ 30 MB for a fan-out to 10,000",
            ten_thousand.map(|fanout| {
                (
                    fanout.peak_mb.max() <= 30.0,
                    format!("{:.1} MB", fanout.peak_mb.max()),
                )
            }),
        );
        let rate = |contender| Some(self.fanout(contender, plain(1000))?.rate.median());
        let cpu = |contender| Some(self.fanout(contender, plain(1000))?.cpu_us.median());
        let against = |contender| {
            let rates = rate(Contender::Hermes)? / rate(contender)?;
            Some((rates, cpu(contender)? / cpu(Contender::Hermes)?))
        };
        let seconds = |contender| Some(self.fanout(contender, plain(1000))?.seconds.median());
        let sooner = |contender| Some(seconds(contender)? / seconds(Contender::Hermes)?);
        goal(
            "fan-out, room of 1,000, endpoint at once",
            "≥ 20 × the Node peer",
            sooner(Contender::Tutorial).zip(against(Contender::Tutorial)).map(|(times, (_, cpus))| {
                (times >= 20.0, format!("{times:.1} × as fast from the event on; {cpus:.1} × for the same CPU time"))
            }),
        );
        goal(
            "",
            "≥ 60 % of the bare signed client's rate",
            against(Contender::Floor).map(|(rates, cpus)| {
                let reached = rates.min(cpus) >= 0.6;
                (
                    reached,
                    format!(
                        "{:.0} % of the posts a second; {:.0} % for the same CPU time",
                        rates * 100.0,
                        cpus * 100.0
                    ),
                )
            }),
        );
        goal(
            "",
            "≤ 160,000 instructions per post",
            self.instructions(Contender::Hermes, DELIVER, Kind::Usual)
                .map(|count| (count <= 160_000.0, format!("{count:.0}"))),
        );
        for (members, text, most) in [
            (10_000, "≤ 1.2 × the floor for 10,000 members", 1.2),
            (100_000, "≤ 1.05 × for 100,000", 1.05),
        ] {
            let what = if members == 10_000 {
                "fan-out under the token bucket"
            } else {
                ""
            };
            let fanout = self.fanout(Contender::Hermes, quota(members));
            goal(
                what,
                text,
                fanout.map(|fanout| {
                    let times = fanout.seconds.median() / quota_floor(members);
                    (times <= most, format!("{times:.2} ×"))
                }),
            );
        }
        let under_quota: Vec<&Fanout> = self
            .fanouts
            .iter()
            .filter(|fanout| {
                fanout.contender == Contender::Hermes && fanout.case.behaviour == Behaviour::Quota
            })
            .collect();
        goal(
            "",
            "none lost, ≤ 5 % of posts throttled",
            (!under_quota.is_empty()).then(|| {
                let lost = under_quota
                    .iter()
                    .map(|fanout| fanout.lost.max())
                    .fold(0.0, f64::max);
                let throttled = under_quota
                    .iter()
                    .map(|fanout| fanout.throttled.median())
                    .fold(0.0, f64::max);
                let failed = under_quota.iter().any(|fanout| fanout.failure.is_some());
                let reached = lost == 0.0 && throttled <= 0.05 && !failed;
                (
                    reached,
                    format!("{lost:.0} lost, {:.1} % throttled", throttled * 100.0),
                )
            }),
        );
        let tables = self.tables();
        let reads = |rows, uuids| {
            let event = Event::Message {
                members: 100,
                uuids,
                history: false,
            };
            Some(
                self.message(Contender::Hermes, rows, event)?
                    .calls
                    .read_units,
            )
        };
        let of_tables: Option<Vec<f64>> = tables.iter().map(|rows| reads(*rows, false)).collect();
        goal(
            "reading a room of 100",
            "≤ 2 read units at 10⁴, 10⁵, 10⁶ rows (UUIDs ≤ 3)",
            of_tables
                .filter(|units| !units.is_empty())
                .and_then(|units| {
                    let uuids = reads(10_000, true)?;
                    let reached = units.iter().all(|units| *units <= 2.0) && uuids <= 3.0;
                    let each = tables.iter().zip(&units);
                    let each: Vec<String> = each
                        .map(|(rows, units)| format!("{units} at {} rows", thousands(*rows)))
                        .collect();
                    Some((reached, format!("{}; UUIDs: {uuids}", each.join(", "))))
                }),
        );
        goal(
            "a rejected connect",
            "≤ 100 µs of CPU",
            self.warm(Contender::Hermes, AUTHORIZER, Kind::Rejected)
                .map(|warm| {
                    (
                        warm.cpu_us.median() <= 100.0,
                        format!("{:.0} µs", warm.cpu_us.median()),
                    )
                }),
        );
        goal(
            "a reconnect in a warm authorizer",
            "≤ 200 µs of CPU besides its one read",
            self.reconnect_us().map(|(all, read)| {
                (
                    all - read <= 200.0,
                    format!(
                        "{:.0} µs ({all:.0} µs with the read, which takes {read:.0} µs)",
                        all - read
                    ),
                )
            }),
        );
        goals
    }

    /// CPU time of a reconnect, and of a call to `DynamoDB`: what a disconnect takes more than an empty function.
    fn reconnect_us(&self) -> Option<(f64, f64)> {
        let cpu =
            |contender, handler, kind| Some(self.warm(contender, handler, kind)?.cpu_us.median());
        let all = cpu(Contender::Hermes, AUTHORIZER, Kind::AcceptedAgain)?;
        let call = cpu(Contender::Hermes, DISCONNECT, Kind::Usual)?
            - cpu(Contender::Floor, EMPTY, Kind::Usual)?;
        Some((all, call.max(0.0)))
    }

    /// What a bill is made of.
    pub(crate) fn measured(&self) -> Option<Measured> {
        Some(Measured {
            date: self.date.clone(),
            machine: self.machine.first()?.clone(),
            hermes: self.figures(Contender::Hermes)?,
            tutorial: self.figures(Contender::Tutorial)?,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    fn figures(&self, contender: Contender) -> Option<Figures> {
        let cpu = |handler, kind| Some(self.warm(contender, handler, kind)?.cpu_us.median());
        // The largest room and the largest table tell the size of a row best.
        let plain = |units: &&Units| {
            matches!(
                units.event,
                Event::Message {
                    uuids: false,
                    history: false,
                    ..
                }
            )
        };
        let largest = self
            .units
            .iter()
            .filter(|units| units.contender == contender)
            .filter(plain)
            .max_by(|a, b| a.calls.read_units.total_cmp(&b.calls.read_units))?;
        let Event::Message { members, .. } = largest.event else {
            return None;
        };
        // A scan reads the table, and pays half.
        let row_bytes = match contender {
            Contender::Tutorial => largest.calls.read_units * 2.0 * 4096.0 / largest.rows as f64,
            _ => largest.calls.read_units * 4096.0 / members as f64,
        };
        let history = |on: bool| {
            let event = Event::Message {
                members: 100,
                uuids: false,
                history: on,
            };
            Some(
                self.message(contender, *self.tables().first()?, event)?
                    .calls,
            )
        };
        let (history_reads, history_writes) = match (history(true), history(false)) {
            (Some(on), Some(off)) => (
                on.read_units - off.read_units,
                on.write_units - off.write_units,
            ),
            _ => (0.0, 0.0),
        };
        let ping = self
            .units
            .iter()
            .find(|units| units.contender == contender && units.event == Event::Call(DEFAULT));
        let post_us = self
            .fanout(
                contender,
                Case {
                    members: 1000,
                    behaviour: Behaviour::After(0),
                    tls: true,
                },
            )
            .or_else(|| {
                self.fanout(
                    contender,
                    Case {
                        members: 1000,
                        behaviour: Behaviour::After(0),
                        tls: false,
                    },
                )
            })?
            .cpu_us
            .median();
        Some(Figures {
            authorizer_us: cpu(AUTHORIZER, Kind::AcceptedFirst)?.round(),
            connect_us: cpu(CONNECT, Kind::Usual)?.round(),
            disconnect_us: cpu(DISCONNECT, Kind::Usual)?.round(),
            ping_us: cpu(DEFAULT, Kind::Usual).unwrap_or(0.0).round(),
            message_us: cpu(SEND_MESSAGE, Kind::Usual)?.round(),
            post_us: (post_us * 10.0).round() / 10.0,
            row_bytes: row_bytes.round(),
            history_reads,
            history_writes,
            ping_reads: ping.map_or(0.0, |units| units.calls.read_units),
        })
    }
}

/// Bytes as MB.
#[expect(clippy::cast_precision_loss, reason = "sizes are below 2^52")]
pub(crate) fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A count with a comma between thousands.
pub(crate) fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_of_the_bucket() {
        assert_eq!(quota_floor(1000), 0.0);
        assert_eq!(quota_floor(10_000), 0.5);
        assert_eq!(quota_floor(100_000), 9.5);
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(thousands(100), "100");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
