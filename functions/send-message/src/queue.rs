//! A batch of queued messages. Every record is handled: published, buried with its reason, or named
//! to SQS as one to deliver again, which only helps where the failure may pass.

use std::collections::HashSet;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::{StreamExt, stream};
use hermes::frame::Refusal;
use hermes::message::Sequence;
use hermes::ports::{Connections, DeadLetters, DeliveryJobs, Log, Sockets};
use hermes::publish::{Order, Outcome, Publisher};
use hermes::telemetry::{Metric, emit, error_chain};
use hermes::time::{Clock, SystemClock};
use hermes::{Message, MessageId, Timestamp};
use tokio::time::Instant;
use tracing::{error, warn};

/// What SQS must do with a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    Retry,
}

/// The messages of one room, in the order of the batch, each with its record.
#[derive(Default)]
struct Room<'a> {
    records: Vec<&'a SqsMessage>,
    messages: Vec<Message>,
}

pub(crate) async fn handle<L: Log, C: Connections, S: Sockets, J: DeliveryJobs, K: Clock>(
    publisher: &Publisher<L, C, S, J, K>,
    dead_letters: &impl DeadLetters,
    batch: SqsEvent,
    deadline: Instant,
) -> SqsBatchResponse {
    let order = if batch.records.iter().any(is_fifo) {
        Order::Strict
    } else {
        Order::Free
    };
    let mut retry = HashSet::new();
    let mut rooms: Vec<Room<'_>> = Vec::new();
    for record in &batch.records {
        match read(record) {
            Ok(message) => {
                let known = rooms
                    .iter()
                    .position(|room| room.messages[0].room == message.room);
                let room = known.unwrap_or_else(|| {
                    rooms.push(Room::default());
                    rooms.len() - 1
                });
                rooms[room].records.push(record);
                rooms[room].messages.push(message);
            }
            Err(refusal) => {
                if bury(dead_letters, record, &refusal).await == Verdict::Retry {
                    retry.insert(id(record));
                }
            }
        }
    }

    // Rooms side by side, so that a slow one holds up no other; within a room in order. The fan-out
    // bounds the posts of all of them together.
    let failed = stream::iter(rooms).map(async |room| {
        let mut failed = Vec::new();
        let outcomes = publisher.publish(&room.messages, order, deadline).await;
        for (record, outcome) in room.records.into_iter().zip(outcomes) {
            let verdict = match outcome {
                Outcome::Refused(refusal) => bury(dead_letters, record, &refusal).await,
                outcome if outcome.is_retryable() => Verdict::Retry,
                _ => Verdict::Done,
            };
            if verdict == Verdict::Retry {
                failed.push(id(record));
            }
        }
        failed
    });
    retry.extend(
        failed
            .buffer_unordered(batch.records.len().max(1))
            .concat()
            .await,
    );

    let mut response = SqsBatchResponse::default();
    for record in batch
        .records
        .iter()
        .filter(|record| retry.contains(id(record)))
    {
        response.add_failure(id(record));
    }
    response
}

fn id(record: &SqsMessage) -> &str {
    record.message_id.as_deref().unwrap_or_default()
}

/// By the queue's name. (A group the records of a standard queue may have, too.)
fn is_fifo(record: &SqsMessage) -> bool {
    let queue = record.event_source_arn.as_deref();
    queue.is_some_and(|queue| queue.ends_with(".fifo"))
}

fn read(record: &SqsMessage) -> Result<Message, Refusal> {
    let sent_at = record
        .attributes
        .get("SentTimestamp")
        .and_then(|millis| millis.parse().ok());
    let sent_at = sent_at.map_or_else(|| SystemClock.now(), Timestamp::from_millis);
    let body = record.body.as_deref().unwrap_or_default();
    Message::from_queue(body, sent_at, || {
        id(record).parse().unwrap_or_else(|_| MessageId::generate())
    })
}

/// A record that can never succeed goes to the dead-letter queue at once, with its reason; SQS would
/// deliver it in vain `maxReceiveCount` times and then drop the reason.
async fn bury(dead_letters: &impl DeadLetters, record: &SqsMessage, refusal: &Refusal) -> Verdict {
    let record_id = id(record);
    let body = record.body.as_deref().unwrap_or_default();
    let sequence = Sequence::alone(record_id);
    match dead_letters.bury(body, refusal, &sequence).await {
        Ok(()) => {
            warn!(sqs_message_id = record_id, error_code = refusal.code.as_str(), reason = %refusal, "buried {record_id}");
            emit(&[(Metric::Rejected, 1)]);
            Verdict::Done
        }
        Err(error) => {
            error!(
                sqs_message_id = record_id,
                error = error_chain(&error),
                "could not bury {record_id}"
            );
            Verdict::Retry
        }
    }
}
