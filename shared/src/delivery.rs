//! A delivery job: what is left to do of a fan-out, for another invocation.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::{MessageId, UserId};
use crate::partition::Partition;
use crate::ports::PageToken;

/// A notification, and which connections are still to receive it: those of a partition (of one user,
/// if `to`) behind `after`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryJob {
    /// Where the connections are.
    #[serde(flatten)]
    pub partition: Partition,
    /// Where given, only this user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<UserId>,
    /// Where given, only those behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
    /// Where given, only those up to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<PageToken>,
    /// The message's id, for the log lines.
    pub id: MessageId,
    /// When the message was accepted, in milliseconds since the Unix epoch, for the latency.
    pub sent_at_ms: u64,
    /// The notification frame.
    pub frame: Box<RawValue>,
}

impl DeliveryJob {
    /// The same for the connections behind `after`.
    pub(crate) fn behind(&self, after: Option<PageToken>) -> Self {
        Self {
            after,
            ..self.clone()
        }
    }

    /// The same for the connections up to `until`.
    pub(crate) fn until(self, until: Option<PageToken>) -> Self {
        Self { until, ..self }
    }

    /// Whether the connection at this point is meant.
    pub(crate) fn includes(&self, point: &PageToken) -> bool {
        self.until.as_ref().is_none_or(|until| point <= until)
    }

    /// Whether connections behind this point are meant.
    pub(crate) fn goes_behind(&self, point: &PageToken) -> bool {
        self.until.as_ref().is_none_or(|until| point < until)
    }
}
