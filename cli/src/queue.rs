//! Sending many messages to a queue: batches of ten; to a standard queue several at a time, and failed
//! entries once more; to a FIFO queue one after the other, and nothing behind a failed one.

use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchRequestEntry};
use aws_types::SdkConfig;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::{StreamExt as _, stream};
use hermes::message::Sequence;

use crate::failure::Failure;

/// SQS takes this many messages in one call.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const BATCH_MESSAGES: usize = 10;

/// And this many bytes of them. It was the limit until 2025 (now it is 1 MiB) and still is in some
/// stand-ins for SQS; a larger batch would cost the same, because every 64 KiB are paid for.
const BATCH_BYTES: usize = 256 * 1024;

/// How many calls are under way at the same time, to a standard queue: it promises no order anyway.
const CONCURRENCY: usize = 8;

/// A body that can be sent.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Which input it comes from, counted from 1.
    pub(crate) line: usize,
    /// The message's id, which the body holds too.
    pub(crate) id: hermes::MessageId,
    /// The body.
    pub(crate) body: String,
    /// Where it stands in a FIFO queue.
    pub(crate) sequence: Sequence,
}

/// What came of sending.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The entries that SQS confirmed, as indices.
    pub(crate) confirmed: Vec<usize>,
    /// The entries that SQS refused, as indices, and why.
    pub(crate) refused: Vec<(usize, String)>,
    /// The first call that failed as a whole. After it, and in a FIFO queue after a refused entry,
    /// nothing more was tried.
    pub(crate) failure: Option<Failure>,
}

/// A queue.
pub(crate) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue at `url`.
    pub(crate) fn new(config: &SdkConfig, url: String) -> Self {
        Self {
            client: Client::new(config),
            url,
        }
    }

    /// The queue's name.
    pub(crate) fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// Sends all entries, until `stop` is ready: then what is under way is finished. `progress` is
    /// told how many more are done.
    pub(crate) async fn send(
        &self,
        entries: &[Entry],
        stop: impl Future<Output = ()>,
        progress: impl Fn(usize),
    ) -> Sent {
        let failed = Cell::new(false);
        let mut outcomes = stream::iter(batches(entries))
            .take_while(|_| std::future::ready(!failed.get()))
            .take_until(stop)
            .map(|batch| self.send_batch(entries, batch))
            .buffer_unordered(if self.is_fifo() { 1 } else { CONCURRENCY })
            .boxed_local();
        let mut sent = Sent::default();
        while let Some(outcome) = outcomes.next().await {
            progress(outcome.confirmed.len() + outcome.refused.len());
            let breaks_order = self.is_fifo() && !outcome.refused.is_empty();
            failed.set(failed.get() || outcome.failure.is_some() || breaks_order);
            sent.confirmed.extend(outcome.confirmed);
            sent.refused.extend(outcome.refused);
            sent.failure = sent.failure.or(outcome.failure);
        }
        sent.confirmed.sort_unstable();
        sent.refused.sort_unstable();
        sent
    }

    /// Only a FIFO queue takes a sequence; its name, and so its URL, ends in `.fifo`.
    fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    /// Sends one batch, and what SQS had no place for once more, a few times: but not to a FIFO queue,
    /// where the others of the batch would then be in front of it.
    async fn send_batch(&self, entries: &[Entry], batch: Range<usize>) -> Sent {
        let mut sent = Sent::default();
        let mut waiting: Vec<usize> = batch.collect();
        let mut delays = backoff().build();
        loop {
            let failed = match self.call(entries, &waiting).await {
                Ok(failed) => failed,
                Err(failure) => {
                    sent.failure = Some(failure);
                    return sent;
                }
            };
            let mut again = Vec::new();
            for index in waiting {
                match failed.iter().find(|entry| entry.id == index.to_string()) {
                    None => sent.confirmed.push(index),
                    // SQS says that the message itself is at fault: it would be so again.
                    Some(entry) if entry.sender_fault || self.is_fifo() => {
                        sent.refused.push((index, reason(entry)));
                    }
                    Some(entry) => again.push((index, reason(entry))),
                }
            }
            if again.is_empty() {
                return sent;
            }
            match delays.next() {
                Some(delay) => tokio::time::sleep(delay).await,
                None => {
                    sent.refused.extend(again);
                    return sent;
                }
            }
            waiting = again.into_iter().map(|(index, _)| index).collect();
        }
    }

    async fn call(
        &self,
        entries: &[Entry],
        batch: &[usize],
    ) -> Result<Vec<BatchResultErrorEntry>, Failure> {
        let requests = batch.iter().map(|index| {
            let Entry { body, sequence, .. } = &entries[*index];
            let fifo = self.is_fifo();
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .set_message_group_id(fifo.then(|| sequence.group.clone()))
                .set_message_deduplication_id(fifo.then(|| sequence.deduplication.clone()))
                .build()
                .expect("an id and a body are all that is required")
        });
        let answer = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(requests.collect()))
            .send()
            .await
            .map_err(|error| Failure::aws("sending to the queue", &error))?;
        Ok(answer.failed)
    }
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(4)
        .with_jitter()
}

fn reason(entry: &BatchResultErrorEntry) -> String {
    match entry.message() {
        Some(message) => format!("{} ({})", message, entry.code),
        None => entry.code.clone(),
    }
}

/// Cuts the entries into batches that SQS takes, in their order.
fn batches(entries: &[Entry]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, entry) in entries.iter().enumerate() {
        let full = index - start == BATCH_MESSAGES || bytes + entry.body.len() > BATCH_BYTES;
        if full && index > start {
            batches.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += entry.body.len();
    }
    if start < entries.len() {
        batches.push(start..entries.len());
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(sizes: &[usize]) -> Vec<Entry> {
        sizes
            .iter()
            .map(|size| Entry {
                line: 1,
                id: "m".parse().unwrap(),
                body: "x".repeat(*size),
                sequence: Sequence::alone("m"),
            })
            .collect()
    }

    #[test]
    fn a_batch_has_ten_messages_at_most() {
        assert_eq!(batches(&entries(&[])), []);
        assert_eq!(batches(&entries(&[1; 11])), [0..10, 10..11]);
        assert_eq!(batches(&entries(&[1; 21])), [0..10, 10..20, 20..21]);
    }

    #[test]
    fn a_batch_is_not_larger_than_sqs_takes() {
        let large = 120 * 1024;
        assert_eq!(batches(&entries(&[large; 5])), [0..2, 2..4, 4..5]);
        assert_eq!(batches(&entries(&[BATCH_BYTES, 1, 1])), [0..1, 1..3]);
        assert_eq!(
            batches(&entries(&[BATCH_BYTES + 1, BATCH_BYTES + 1])),
            [0..1, 1..2]
        );
    }
}
