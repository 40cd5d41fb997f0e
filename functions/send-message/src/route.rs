//! A client's message to its own room. The ack means that everybody was tried.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use hermes::aws::invocation::{request_time, respond, session};
use hermes::fanout::{Fanout, FanoutError};
use hermes::frame::{Answer, Refusal};
use hermes::ports::{Connections, Sockets};
use hermes::telemetry::error_chain;
use hermes::time::Clock;
use hermes::{Message, MessageId};
use tokio::time::Instant;
use tracing::error;

pub(crate) async fn handle<C: Connections, S: Sockets, K: Clock>(
    fanout: &Fanout<C, S, K>,
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
        Ok(message) => deliver(fanout, message, deadline).await,
        Err(refusal) => Err(refusal),
    };
    let answer = answer.map_or_else(Answer::Error, |id| Answer::Ack { id });
    respond(&answer, reference.as_ref())
}

async fn deliver<C: Connections, S: Sockets, K: Clock>(
    fanout: &Fanout<C, S, K>,
    message: Message,
    deadline: Instant,
) -> Result<MessageId, Refusal> {
    match fanout.deliver(&message, deadline).await {
        Ok(delivery) if delivery.untried == 0 => Ok(message.id),
        Ok(delivery) => {
            error!(message_id = %message.id, untried = delivery.untried, "no time left to deliver {} to all", message.id);
            Err(Refusal::internal())
        }
        Err(FanoutError::Refused(refusal)) => Err(refusal),
        Err(FanoutError::Unreadable(error)) => {
            error!(message_id = %message.id, error = error_chain(&error), "could not deliver {}", message.id);
            Err(Refusal::internal())
        }
    }
}
