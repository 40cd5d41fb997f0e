//! `$disconnect`: takes the connection out of its room. API Gateway calls it at best once; the rows of
//! connections for which it did not are removed by a 410 or by their TTL.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use hermes::ConnectionId;
use hermes::aws::invocation::{Failure, accepted, respond, session};
use hermes::frame::{Answer, ErrorCode, Refusal};
use hermes::partition::Sharding;
use hermes::ports::Connections;
use hermes::telemetry::{Metric, emit, error_chain};
use tracing::{error, info};

/// What the caller is told when it fails. The row stays until its TTL removes it.
const NOT_LEFT: Failure = Failure("the connection could not be taken out of its room");

/// Handles one event of the `$disconnect` route.
///
/// # Errors
///
/// [`Failure`], after the log was told why.
pub async fn handle(
    connections: &impl Connections,
    sharding: &Sharding,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, Failure> {
    let context = &event.request_context;
    // A client may also send {"action":"$disconnect"}, which closes nothing.
    if context.event_type.as_deref() != Some("DISCONNECT") {
        let refusal = Refusal::new(
            ErrorCode::UnknownAction,
            "`$disconnect` is no action: close the socket",
        );
        return Ok(respond(&Answer::Error(refusal), None));
    }
    let session = session(&event).map_err(|_| NOT_LEFT)?;
    let connection: ConnectionId = context
        .connection_id
        .as_deref()
        .unwrap_or_default()
        .parse()
        .map_err(|error| {
            error!(%error, "the event's connectionId is wrong");
            NOT_LEFT
        })?;
    let partition = sharding.partition_of(&session.room, &session.user);
    connections.leave(&partition, &session.user, &connection).await.map_err(|error| {
        error!(connection_id = %connection, error = error_chain(&error), "{connection} could not leave");
        NOT_LEFT
    })?;
    info!(
        connection_id = %connection,
        room_id = %session.room,
        user_id = %session.user,
        status_code = context.disconnect_status_code,
        "{connection} left"
    );
    emit(&[(Metric::Disconnected, 1)]);
    Ok(accepted())
}
