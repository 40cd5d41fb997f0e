//! Between an invocation's event and the rules: what every route of the WebSocket API does alike.

use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use lambda_runtime::{Context, Diagnostic};
use tokio::time::Instant;
use tracing::error;

use crate::frame::{Answer, Reference, Refusal};
use crate::session::Session;
use crate::telemetry::{Metric, emit};
use crate::time::{Clock, SystemClock, Timestamp};

/// What is kept of an invocation's time to end it in order: an unfinished post to give up, an answer
/// to send.
const RESERVE: Duration = Duration::from_secs(1);

/// An invocation failed, in words that the caller may see; why is in the log. API Gateway answers a
/// handshake that fails so with 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub &'static str);

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: "Failure".to_owned(),
            error_message: failure.0.to_owned(),
        }
    }
}

/// Until when an invocation may begin something.
pub fn deadline(context: &Context) -> Instant {
    let left = Timestamp::from_millis(context.deadline).since(SystemClock.now());
    Instant::now() + left.saturating_sub(RESERVE)
}

/// The time of a request, as API Gateway took it.
pub fn request_time(event: &ApiGatewayWebsocketProxyRequest) -> Timestamp {
    Timestamp::from_millis(
        u64::try_from(event.request_context.request_time_epoch).unwrap_or_default(),
    )
}

/// When the connection of a request was opened.
pub fn connected_at(event: &ApiGatewayWebsocketProxyRequest) -> Timestamp {
    Timestamp::from_millis(u64::try_from(event.request_context.connected_at).unwrap_or_default())
}

/// Who sent a frame.
///
/// # Errors
///
/// A [`Refusal`] for the client, after the log was told that the route has no authorizer.
pub fn session(event: &ApiGatewayWebsocketProxyRequest) -> Result<Session, Refusal> {
    Session::from_context(&event.request_context.authorizer.fields).map_err(|error| {
        error!(%error, "refused a frame without a session");
        Refusal::internal()
    })
}

/// The route response that carries `answer` to the client. A refusal is an answer too: its status is
/// 200, because API Gateway replaces the body of a failed integration by its own.
pub fn respond(answer: &Answer, reference: Option<&Reference>) -> ApiGatewayProxyResponse {
    if let Answer::Error(_) = answer {
        emit(&[(Metric::Rejected, 1)]);
    }
    let mut response = accepted();
    response.body = Some(answer.to_frame(reference).into());
    response
}

/// The answer to `$connect` and `$disconnect`: nothing that a client would see.
pub fn accepted() -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = 200;
    response
}
