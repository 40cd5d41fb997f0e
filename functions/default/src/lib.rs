//! `ping`, and whatever no other route takes: unknown actions, and text that is no JSON object.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use hermes::aws::invocation::{request_time, respond, session};
use hermes::frame::{Answer, ErrorCode, Fields, Heads, Reference, Refusal};
use hermes::log::Stream;
use hermes::ports::Log;
use hermes::telemetry::error_chain;
use tracing::error;

/// Handles one event of the route `$default`. Without `log`, a `pong` tells nothing of the streams.
pub async fn handle(
    log: Option<&impl Log>,
    event: &ApiGatewayWebsocketProxyRequest,
) -> ApiGatewayProxyResponse {
    let (reference, answer) = match read(event.body.as_deref().unwrap_or_default()) {
        Ok((reference, Request::Ping)) => (reference, pong(log, event).await),
        Ok((reference, Request::Unknown)) => {
            let refusal = "`action` must be one of sendMessage, sendMessageToSQS, recover, ping";
            (
                reference,
                Err(Refusal::new(ErrorCode::UnknownAction, refusal)),
            )
        }
        Err(refusal) => (None, Err(refusal)),
    };
    respond(&answer.unwrap_or_else(Answer::Error), reference.as_ref())
}

enum Request {
    Ping,
    Unknown,
}

fn read(frame: &str) -> Result<(Option<Reference>, Request), Refusal> {
    let fields = Fields::parse(frame)?;
    let request = if fields.action_is("ping") {
        Request::Ping
    } else {
        Request::Unknown
    };
    Ok((fields.reference()?, request))
}

/// Where the connection's streams end, so that a client in a quiet room finds a gap within one ping.
async fn pong(
    log: Option<&impl Log>,
    event: &ApiGatewayWebsocketProxyRequest,
) -> Result<Answer, Refusal> {
    let Some(log) = log else {
        return Ok(Answer::Pong { heads: None });
    };
    let session = session(event)?;
    let room = Stream {
        room: session.room,
        user: None,
    };
    let user = Stream {
        room: room.room.clone(),
        user: Some(session.user),
    };
    let [room, user] = log
        .heads([&room, &user], request_time(event))
        .await
        .map_err(|error| {
            error!(error = error_chain(&error), "could not answer a ping");
            Refusal::internal()
        })?;
    Ok(Answer::Pong {
        heads: Some(Heads { room, user }),
    })
}
