//! The log groups of a stack's functions.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::event::Event;
use crate::failure::Failure;
use crate::settings::Deployment;
use crate::signed::{Service, Signed};

/// How often the logs are asked, and how many at the same time. There are nine, and an account may ask some
/// five times a second (CloudWatch Logs, "Quotas"); who else asks must be let.
const LOOK_EVERY: Duration = Duration::from_secs(3);
const CONCURRENCY: usize = 2;

/// How long after another line one may become visible that was written before it.
const LATE_MS: u64 = 15_000;

/// Where Lambda writes.
const PREFIX: &str = "/aws/lambda/";

/// Reads what is new.
pub(super) struct Logs {
    signed: Signed,
    groups: Vec<Group>,
    next_look: Instant,
}

struct Group {
    name: String,
    function: String,
    /// From here on: milliseconds.
    from: u64,
    /// The ids of the lines behind that which were shown, with their times.
    shown: BTreeMap<String, u64>,
}

impl Logs {
    /// The functions' logs from `start` (milliseconds) on.
    pub(super) fn of(signed: Signed, stack: &Deployment, start: u64) -> Result<Self, Failure> {
        let functions = stack.of_kind("AWS::Lambda::Function");
        let prefix = format!("{}-", stack.name);
        let groups: Vec<_> = functions
            .map(|function| {
                let name = &function.physical;
                Group {
                    name: format!("{PREFIX}{name}"),
                    function: name.strip_prefix(&prefix).unwrap_or(name).to_owned(),
                    from: start,
                    shown: BTreeMap::new(),
                }
            })
            .collect();
        if groups.is_empty() {
            return Err(
                Failure::new(format!("the stack {} has no functions", stack.name))
                    .hint("is it a Hermes stack whose deployment has ended?"),
            );
        }
        Ok(Self {
            signed,
            groups,
            next_look: Instant::now(),
        })
    }

    /// The functions, for a person.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self
            .groups
            .iter()
            .map(|one| one.function.as_str())
            .collect();
        names.join(", ")
    }

    /// What is new, in the order of its times; waits until it is time to look.
    pub(super) async fn next(&mut self) -> Result<Vec<Event>, Failure> {
        sleep_until(self.next_look).await;
        self.next_look = Instant::now() + LOOK_EVERY;
        let signed = &self.signed;
        let looks = stream::iter(&mut self.groups).map(|group| group.look(signed));
        let looks = looks.buffer_unordered(CONCURRENCY);
        let mut events: Vec<Event> = looks.try_concat().await?;
        events.sort_by_key(Event::at_ms);
        Ok(events)
    }
}

impl Group {
    async fn look(&mut self, signed: &Signed) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut question = json!({"logGroupName": self.name, "startTime": self.from});
            if !next.is_null() {
                question["nextToken"] = next;
            }
            let doing = format!("reading the log of {}", self.function);
            let mut answer = signed
                .call(Service::Logs, "FilterLogEvents", &question, &doing)
                .await?;
            let found = answer["events"].as_array().into_iter().flatten();
            events.extend(found.filter_map(|line| self.read(line)));
            next = answer["nextToken"].take();
            if next.is_null() {
                break;
            }
        }
        self.forget();
        Ok(events)
    }

    /// A line that was not shown before.
    fn read(&mut self, line: &Value) -> Option<Event> {
        let at = line["timestamp"].as_u64()?;
        let message = line["message"].as_str()?;
        let id = match line["eventId"].as_str() {
            Some(id) => id.to_owned(),
            // A stand-in for CloudWatch may give none.
            None => format!("{} {at} {message}", line["logStreamName"]),
        };
        if self.shown.insert(id, at).is_some() {
            return None;
        }
        Event::read(&self.function, at, message)
    }

    /// Looks back only as far as a line may be late.
    fn forget(&mut self) {
        let newest = self.shown.values().copied().max().unwrap_or(self.from);
        self.from = self.from.max(newest.saturating_sub(LATE_MS));
        let from = self.from;
        self.shown.retain(|_, at| *at >= from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_once_and_a_late_one_too() {
        let mut group = Group {
            name: "g".to_owned(),
            function: "deliver".to_owned(),
            from: 0,
            shown: BTreeMap::new(),
        };
        let line = |id: &str, at: u64| json!({"eventId": id, "timestamp": at, "message": r#"{"level":"INFO","message":"m"}"#});
        assert!(group.read(&line("a", 100_000)).is_some());
        group.forget();
        assert_eq!(group.from, 85_000);
        assert!(group.read(&line("a", 100_000)).is_none());
        assert!(group.read(&line("late", 90_000)).is_some());
        assert!(group.read(&line("b", 200_000)).is_some());
        group.forget();
        let left: Vec<_> = group.shown.keys().collect();
        assert_eq!(left, ["b"]);
    }
}
