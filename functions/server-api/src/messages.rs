//! `POST /rooms/{room}/messages`: enqueues messages for a room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use hermes::frame::{ErrorCode, Refusal};
use hermes::ports::{MessageQueue, PortError};
use hermes::time::{Clock, SystemClock};
use hermes::{Message, RoomId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use tracing::info;
use utoipa::ToSchema;

use crate::cloud_event;
use crate::problem::{Code, Fault, Problem};
use crate::request::{Id, Path};
use crate::{Api, Ports};

/// The most messages of one request.
pub(crate) const BATCH_MAX: usize = 100;

/// How long enqueueing may take: the function has 29 s, the longest that API Gateway waits is 30 s.
const TIME: Duration = Duration::from_secs(20);

/// The messages are enqueued: each reaches the room, unless its dead letter says why not.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The id of each message, in the order of the body.
    ids: Vec<String>,
}

/// Publish messages to a room
///
/// Enqueues a message, or an array of at most 100, in its order. The answer 202 means that all are
/// enqueued. Where there is no answer, or 503, send the same messages with the same ids again: a message is
/// delivered once for each sender and id, while history is kept.
///
/// A CloudEvent (1.0; structured, batched or binary) becomes a message whose `data` is the event in its
/// JSON format. Its `source` is the sender and its `id` the message's, so that the same rule says what is
/// a repetition; an extension attribute `to` names the one user who receives it.
#[utoipa::path(
    post,
    path = "/rooms/{room}/messages",
    tag = "messages",
    operation_id = "publish",
    params(crate::openapi::RoomPath, cloud_event::Headers),
    request_body(content(
        (crate::openapi::MessageBody = "application/json"),
        (crate::openapi::CloudEventBody = "application/cloudevents+json"),
        (crate::openapi::CloudEventBatch = "application/cloudevents-batch+json"),
    )),
    responses(
        (status = 202, description = "All messages are enqueued", body = Accepted),
        crate::openapi::Refused,
        crate::openapi::BodyRefused,
    )
)]
pub(crate) async fn publish<P: Ports>(
    State(api): State<Arc<Api<P>>>,
    Path(Id(room)): Path<Id<RoomId>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let body = body?;
    let messages = read(&headers, &body, &room, SystemClock.now())?;
    let deadline = Instant::now() + TIME;
    let mut ids = Vec::with_capacity(messages.len());
    // One after another, so that a FIFO queue keeps their order.
    for (body, message) in &messages {
        let sequence = message.sequence();
        let enqueued = timeout_at(deadline, api.queue.enqueue(body, &sequence))
            .await
            .unwrap_or_else(|late| Err(PortError::new("enqueueing the messages in time", late)));
        if let Err(error) = enqueued {
            return Err(Problem::from(error).after(ids));
        }
        ids.push(message.id.to_string());
    }
    let count = ids.len();
    info!(room_id = %room, messages = count, "enqueued {count} messages for {room}");
    Ok((StatusCode::ACCEPTED, Json(Accepted { ids })))
}

/// A message and the body that the queue carries.
type Queued = (String, Message);

fn read(
    headers: &HeaderMap,
    body: &[u8],
    room: &RoomId,
    now: Timestamp,
) -> Result<Vec<Queued>, Problem> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let message = |text: &str| Message::from_backend(text, room, now);
    let event = |text: &str| cloud_event::read(text, room, now);
    match media_type.to_ascii_lowercase().as_str() {
        "application/cloudevents+json" => one(text(body)?, event),
        "application/cloudevents-batch+json" => many(text(body)?, event),
        _ if headers.contains_key("ce-specversion") => one(
            &cloud_event::from_headers(headers, media_type, body)?,
            event,
        ),
        "application/json" => {
            let text = text(body)?;
            if text.trim_start().starts_with('[') {
                many(text, message)
            } else {
                one(text, message)
            }
        }
        _ => Err(Problem::new(
            Code::UnsupportedMediaType,
            "send `Content-Type: application/json`, application/cloudevents+json or \
             application/cloudevents-batch+json, or the headers of a binary CloudEvent",
        )),
    }
}

fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body)
        .map_err(|_| Problem::new(Code::InvalidJson, "the body is not UTF-8, as JSON must be"))
}

fn one(
    text: &str,
    read: impl Fn(&str) -> Result<Message, Refusal>,
) -> Result<Vec<Queued>, Problem> {
    match queued(text, &read) {
        Ok(queued) => Ok(vec![queued]),
        Err(refusal) if refusal.code == ErrorCode::InvalidJson => Err(refusal.into()),
        Err(refusal) => Err(Problem::of_messages(vec![fault("#".to_owned(), refusal)])),
    }
}

fn many(
    text: &str,
    read: impl Fn(&str) -> Result<Message, Refusal>,
) -> Result<Vec<Queued>, Problem> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::new(
            Code::InvalidJson,
            format!("this is not a JSON array ({place})"),
        )
    })?;
    if !(1..=BATCH_MAX).contains(&elements.len()) {
        return Err(Problem::new(
            Code::InvalidRequest,
            format!(
                "a batch has 1 to {BATCH_MAX} messages, this one {}",
                elements.len()
            ),
        ));
    }
    let (mut messages, mut faults) = (Vec::new(), Vec::new());
    let mut taken = BTreeMap::new();
    for (index, element) in elements.into_iter().enumerate() {
        let queued = queued(element.get(), &read).and_then(|(body, message)| {
            let names = (message.sender.to_string(), message.id.to_string());
            match taken.insert(names, index) {
                None => Ok((body, message)),
                Some(first) => Err(Refusal::new(
                    ErrorCode::InvalidMessage,
                    format!(
                        "`id` is that of message {first} too: only one of them would be delivered"
                    ),
                )),
            }
        });
        match queued {
            Ok(queued) => messages.push(queued),
            Err(refusal) => faults.push(fault(format!("#/{index}"), refusal)),
        }
    }
    if faults.is_empty() {
        Ok(messages)
    } else {
        Err(Problem::of_messages(faults))
    }
}

fn queued(text: &str, read: impl Fn(&str) -> Result<Message, Refusal>) -> Result<Queued, Refusal> {
    let message = read(text)?;
    // What could not be delivered is refused here, where the backend still learns of it.
    message.to_notification()?;
    Ok((message.to_queue_body()?, message))
}

fn fault(pointer: String, refusal: Refusal) -> (Fault, ErrorCode) {
    let detail = refusal.message;
    (Fault { pointer, detail }, refusal.code)
}
