//! `recover`: what a client has missed of one of its streams.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use hermes::aws::invocation::{connected_at, request_time, respond, session};
use hermes::frame::{Answer, ErrorCode, Fields, Reference, Refusal};
use hermes::log::{History, Position, Stream, StreamKind};
use hermes::ports::Log;
use hermes::telemetry::error_chain;
use tracing::{error, info};

/// Handles one event of the `recover` route. Without `history` there is nothing to recover.
pub async fn handle(
    history: Option<&History<impl Log>>,
    event: &ApiGatewayWebsocketProxyRequest,
) -> ApiGatewayProxyResponse {
    let (reference, answer) = match read(event.body.as_deref().unwrap_or_default()) {
        Ok((reference, asked)) => (reference, recover(history, event, asked).await),
        Err(refusal) => (None, Err(refusal)),
    };
    respond(&answer.unwrap_or_else(Answer::Error), reference.as_ref())
}

type Asked = Result<(StreamKind, Option<Position>), Refusal>;

fn read(frame: &str) -> Result<(Option<Reference>, Asked), Refusal> {
    let fields = Fields::parse(frame)?;
    Ok((fields.reference()?, fields.recover()))
}

async fn recover(
    history: Option<&History<impl Log>>,
    event: &ApiGatewayWebsocketProxyRequest,
    asked: Asked,
) -> Result<Answer, Refusal> {
    let (kind, seen) = asked?;
    let history = history.ok_or_else(|| {
        Refusal::new(
            ErrorCode::UnknownAction,
            "this deployment keeps no history (HistoryDays is 0): reload instead",
        )
    })?;
    let session = session(event)?;
    let user = (kind == StreamKind::User).then_some(session.user);
    let stream = Stream {
        room: session.room,
        user,
    };
    let recovered = history
        .recover(
            &stream,
            seen.as_ref(),
            connected_at(event),
            request_time(event),
        )
        .await;
    let recovered = recovered.map_err(|error| {
        error!(room_id = %stream.room, error = error_chain(&error), "could not recover");
        Refusal::internal()
    })?;
    let (messages, complete) = (recovered.messages.len(), recovered.complete);
    info!(room_id = %stream.room, messages, complete, "recovered {messages} messages");
    Ok(Answer::Recovered(recovered))
}
