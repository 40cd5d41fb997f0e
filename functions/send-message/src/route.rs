//! A client's message to its own room. The ack means that the message is in the log, or, where the log
//! is off, that everybody was tried.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use hermes::Message;
use hermes::aws::invocation::{request_time, respond, session};
use hermes::frame::{Answer, Refusal};
use hermes::log::Stream;
use hermes::ports::{Connections, DeliveryJobs, Log, Sockets};
use hermes::publish::{Order, Outcome, Publisher};
use hermes::time::Clock;
use tokio::time::Instant;

pub(crate) async fn handle<L: Log, C: Connections, S: Sockets, J: DeliveryJobs, K: Clock>(
    publisher: &Publisher<L, C, S, J, K>,
    event: &ApiGatewayWebsocketProxyRequest,
    deadline: Instant,
) -> ApiGatewayProxyResponse {
    let session = match session(event) {
        Ok(session) => session,
        Err(refusal) => return respond(&Answer::Error(refusal), None),
    };
    let frame = event.body.as_deref().unwrap_or_default();
    let (reference, message) = Message::from_client(frame, &session, request_time(event));
    let answer = match message {
        Ok(message) => publish(publisher, message, deadline).await,
        Err(refusal) => Answer::Error(refusal),
    };
    respond(&answer, reference.as_ref())
}

async fn publish<L: Log, C: Connections, S: Sockets, J: DeliveryJobs, K: Clock>(
    publisher: &Publisher<L, C, S, J, K>,
    message: Message,
    deadline: Instant,
) -> Answer {
    let stream = Stream::of(&message);
    let outcome = publisher
        .publish(std::slice::from_ref(&message), Order::Free, deadline)
        .await
        .pop();
    match outcome {
        // What is in the log is safe: whoever was not reached recovers it.
        Some(Outcome::Accepted {
            position: Some(position),
            ..
        }) => Answer::Ack {
            id: message.id,
            place: Some((stream.kind(), position)),
        },
        Some(Outcome::Accepted {
            position: None,
            delivered: true,
        }) => Answer::Ack {
            id: message.id,
            place: None,
        },
        Some(Outcome::Refused(refusal)) => Answer::Error(refusal),
        _ => Answer::Error(Refusal::internal()),
    }
}
