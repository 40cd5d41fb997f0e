//! `sendMessageToSQS`: a client publishes to its own room through the queue. The ack means that the
//! message is enqueued.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use hermes::aws::invocation::{request_time, respond, session};
use hermes::frame::{Answer, Refusal};
use hermes::ports::MessageQueue;
use hermes::telemetry::error_chain;
use hermes::{Message, MessageId};
use tracing::{error, info};

/// Handles one event of the `sendMessageToSQS` route.
pub async fn handle(
    queue: &impl MessageQueue,
    event: ApiGatewayWebsocketProxyRequest,
) -> ApiGatewayProxyResponse {
    let session = match session(&event) {
        Ok(session) => session,
        Err(refusal) => return respond(&Answer::Error(refusal), None),
    };
    let frame = event.body.as_deref().unwrap_or_default();
    let (reference, message) = Message::from_client(frame, &session, request_time(&event));
    let answer = match message {
        Ok(message) => enqueue(queue, message).await,
        Err(refusal) => Err(refusal),
    };
    let answer = answer.map_or_else(Answer::Error, |id| Answer::Ack { id, place: None });
    respond(&answer, reference.as_ref())
}

async fn enqueue(queue: &impl MessageQueue, message: Message) -> Result<MessageId, Refusal> {
    // What could not be delivered is refused here, where the client still learns of it.
    message.to_notification()?;
    queue.enqueue(&message.to_queue_body()?, &message.sequence()).await.map_err(|error| {
        error!(message_id = %message.id, error = error_chain(&error), "could not enqueue {}", message.id);
        Refusal::internal()
    })?;
    info!(message_id = %message.id, room_id = %message.room, "enqueued {}", message.id);
    Ok(message.id)
}
