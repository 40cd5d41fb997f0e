//! A batch of queued messages. Every record is handled: delivered, buried with its reason, or named
//! to SQS as one to deliver again, which only helps where the failure may pass.

use std::collections::HashSet;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::{StreamExt, stream};
use hermes::fanout::{Fanout, FanoutError};
use hermes::frame::Refusal;
use hermes::ports::{Connections, DeadLetters, Sockets};
use hermes::telemetry::{Metric, emit, error_chain};
use hermes::time::{Clock, SystemClock};
use hermes::{Message, MessageId, RoomId, Timestamp};
use tokio::time::Instant;
use tracing::{error, warn};

/// What SQS must do with a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    Retry,
}

/// The records of one room, in the order of the batch.
type Room<'a> = (RoomId, Vec<(&'a SqsMessage, Message)>);

pub(crate) async fn handle<C: Connections, S: Sockets, K: Clock>(
    fanout: &Fanout<C, S, K>,
    dead_letters: &impl DeadLetters,
    batch: SqsEvent,
    deadline: Instant,
) -> SqsBatchResponse {
    let mut retry = HashSet::new();
    let mut rooms: Vec<Room<'_>> = Vec::new();
    for record in &batch.records {
        match read(record) {
            Ok(message) => match rooms.iter_mut().find(|(room, _)| *room == message.room) {
                Some((_, messages)) => messages.push((record, message)),
                None => rooms.push((message.room.clone(), vec![(record, message)])),
            },
            Err(refusal) => {
                if bury(dead_letters, record, &refusal).await == Verdict::Retry {
                    retry.insert(id(record));
                }
            }
        }
    }

    // Rooms side by side, so that a slow one holds up no other; within a room in order. The fan-out
    // bounds the posts of all of them together.
    let failed = stream::iter(rooms).map(async |(_, messages)| {
        let mut failed = Vec::new();
        for (record, message) in messages {
            if deliver(fanout, dead_letters, record, &message, deadline).await == Verdict::Retry {
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

async fn deliver<C: Connections, S: Sockets, K: Clock>(
    fanout: &Fanout<C, S, K>,
    dead_letters: &impl DeadLetters,
    record: &SqsMessage,
    message: &Message,
    deadline: Instant,
) -> Verdict {
    match fanout.deliver(message, deadline).await {
        Ok(delivery) if delivery.untried == 0 => Verdict::Done,
        Ok(delivery) => {
            warn!(message_id = %message.id, untried = delivery.untried, "no time left to deliver {} to all", message.id);
            Verdict::Retry
        }
        Err(FanoutError::Refused(refusal)) => bury(dead_letters, record, &refusal).await,
        Err(FanoutError::Unreadable(error)) => {
            error!(message_id = %message.id, error = error_chain(&error), "could not deliver {}", message.id);
            Verdict::Retry
        }
    }
}

/// A record that can never succeed goes to the dead-letter queue at once, with its reason; SQS would
/// deliver it in vain `maxReceiveCount` times and then drop the reason.
async fn bury(dead_letters: &impl DeadLetters, record: &SqsMessage, refusal: &Refusal) -> Verdict {
    let record_id = id(record);
    match dead_letters
        .bury(record.body.as_deref().unwrap_or_default(), refusal)
        .await
    {
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
