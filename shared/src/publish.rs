//! Publishing: a message is first appended to the log, then delivered. From the append on it is safe:
//! whoever it does not reach now recovers it.

use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::fanout::Fanout;
use crate::frame::Refusal;
use crate::log::{
    APPEND_MAX_BYTES, APPEND_MAX_MESSAGES, Draft, History, Placed, Position, Stream, with_position,
};
use crate::message::Message;
use crate::ports::{Connections, DeliveryJobs, Log, Sockets};
use crate::telemetry::{Metric, emit, error_chain};
use crate::time::Clock;

/// Publishes messages to their rooms.
pub struct Publisher<L, C, S, J, K> {
    history: Option<History<L>>,
    fanout: Fanout<C, S, J, K>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is accepted.
    Accepted {
        /// Where it stands in the log; none where the log is off.
        position: Option<Position>,
        /// Whether every connection was tried or left to a delivery job.
        delivered: bool,
    },
    /// It can never be published.
    Refused(Refusal),
    /// It could not be appended: publishing it again is safe, and may succeed.
    Unavailable,
}

impl Outcome {
    /// Whether publishing the message again can mend something.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::Accepted {
                    delivered: false,
                    ..
                }
        )
    }
}

/// Whether a later message may overtake one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It may.
    Free,
    /// It may not: behind the first failure that a retry can mend nothing is published.
    Strict,
}

impl<L: Log, C: Connections, S: Sockets, J: DeliveryJobs, K: Clock> Publisher<L, C, S, J, K> {
    /// A publisher; without `history`, nothing is kept.
    pub fn new(history: Option<History<L>>, fanout: Fanout<C, S, J, K>) -> Self {
        Self { history, fanout }
    }

    /// Publishes messages of one room in their order. Says for each what became of it.
    pub async fn publish(
        &self,
        messages: &[Message],
        order: Order,
        deadline: Instant,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; messages.len()];
        let mut notifications = Vec::with_capacity(messages.len());
        for (message, outcome) in messages.iter().zip(&mut outcomes) {
            notifications.push(message.to_notification().unwrap_or_else(|refusal| {
                *outcome = Some(Outcome::Refused(refusal));
                String::new()
            }));
        }
        let open: Vec<usize> = (0..messages.len())
            .filter(|&i| outcomes[i].is_none())
            .collect();
        let mut stopped = false;
        for run in runs(&open, messages, &notifications) {
            let placed = if stopped {
                None
            } else {
                self.append(&run, messages, &notifications, deadline).await
            };
            let Some(placed) = placed else {
                stopped = order == Order::Strict;
                run.iter()
                    .for_each(|&i| outcomes[i] = Some(Outcome::Unavailable));
                continue;
            };
            for (&i, placed) in run.iter().zip(placed) {
                if stopped {
                    outcomes[i] = Some(Outcome::Unavailable);
                    continue;
                }
                let outcome = self
                    .deliver(&messages[i], &notifications[i], placed, deadline)
                    .await;
                stopped = order == Order::Strict && outcome.is_retryable();
                outcomes[i] = Some(outcome);
            }
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.expect("each message is in a run or refused"))
            .collect()
    }

    /// Appends messages of one stream. None where it failed; an empty place where the log is off.
    async fn append(
        &self,
        run: &[usize],
        messages: &[Message],
        notifications: &[String],
        deadline: Instant,
    ) -> Option<Vec<Option<Placed>>> {
        let Some(history) = &self.history else {
            return Some(vec![None; run.len()]);
        };
        let stream = Stream::of(&messages[run[0]]);
        let draft = |&i: &usize| Draft {
            sender: &messages[i].sender,
            id: &messages[i].id,
            notification: &notifications[i],
        };
        let drafts: Vec<Draft<'_>> = run.iter().map(draft).collect();
        match history
            .append(&stream, &drafts, || self.fanout.clock().now(), deadline)
            .await
        {
            Ok(placed) => Some(placed.into_iter().map(Some).collect()),
            Err(error) => {
                error!(room_id = %stream.room, error = error_chain(&error), "could not append to the log");
                None
            }
        }
    }

    async fn deliver(
        &self,
        message: &Message,
        notification: &str,
        placed: Option<Placed>,
        deadline: Instant,
    ) -> Outcome {
        let stream = Stream::of(message);
        let (frame, position) = match placed {
            None => (notification.to_owned(), None),
            Some(Placed { position, stored }) => {
                // Of a message that was published before, what the log has is delivered again.
                let notification = stored.as_deref().unwrap_or(notification);
                (
                    with_position(notification, stream.kind(), &position),
                    Some(position),
                )
            }
        };
        let frame = RawValue::from_string(frame).expect("a notification is JSON");
        let delivered = self.fanout.deliver(message, &frame, deadline).await;
        if let Err(error) = &delivered {
            warn!(message_id = %message.id, error = error_chain(error), "could not deliver {} to all", message.id);
        }
        emit(&[(Metric::Accepted, 1)]);
        Outcome::Accepted {
            position,
            delivered: delivered.is_ok(),
        }
    }
}

/// Cuts messages into runs of one stream that fit one append each, without changing their order.
fn runs(open: &[usize], messages: &[Message], notifications: &[String]) -> Vec<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for &i in open {
        bytes += notifications[i].len();
        match runs.last_mut() {
            Some(run)
                if messages[run[0]].to == messages[i].to
                    && run.len() < APPEND_MAX_MESSAGES
                    && bytes <= APPEND_MAX_BYTES =>
            {
                run.push(i);
            }
            _ => {
                bytes = notifications[i].len();
                runs.push(vec![i]);
            }
        }
    }
    runs
}
