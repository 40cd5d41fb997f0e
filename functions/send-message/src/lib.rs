//! `sendMessage`: publishes messages to their rooms, whether a client sent them over its socket (the
//! route) or a backend enqueued them (the SQS trigger).

mod queue;
mod route;

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use hermes::ports::{Connections, DeadLetters, DeliveryJobs, Log, Sockets};
use hermes::publish::Publisher;
use hermes::time::Clock;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What invokes the function; told apart by its fields: only an SQS event has `Records`.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// A batch of queued messages.
    Queue(SqsEvent),
    /// A frame that a client sent.
    Route(Box<ApiGatewayWebsocketProxyRequest>),
}

/// What the function answers to each kind of event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// The records that SQS must deliver again.
    Queue(SqsBatchResponse),
    /// The answer frame.
    Route(Box<ApiGatewayProxyResponse>),
}

/// Handles one event. Begins nothing after `deadline`.
pub async fn handle<L: Log, C: Connections, S: Sockets, J: DeliveryJobs, K: Clock>(
    publisher: &Publisher<L, C, S, J, K>,
    dead_letters: &impl DeadLetters,
    event: Event,
    deadline: Instant,
) -> Response {
    match event {
        Event::Queue(batch) => {
            Response::Queue(queue::handle(publisher, dead_letters, batch, deadline).await)
        }
        Event::Route(frame) => {
            Response::Route(Box::new(route::handle(publisher, &frame, deadline).await))
        }
    }
}
