//! `$connect`: puts the connection into the room that its token names.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use aws_lambda_events::http::HeaderValue;
use hermes::aws::invocation::{Failure, accepted, respond, session};
use hermes::frame::{Answer, ErrorCode, Refusal};
use hermes::handshake::{SUBPROTOCOL, offers_bearer};
use hermes::partition::Sharding;
use hermes::ports::{Connections, Member};
use hermes::telemetry::{Metric, emit, error_chain};
use hermes::{ConnectionId, Timestamp};
use tracing::{error, info};

/// What the caller is told when it fails. The client sees a 500 and may try again.
const NOT_JOINED: Failure = Failure("the connection could not be put into its room");

/// Handles one event of the `$connect` route.
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
    // A client may also send {"action":"$connect"}, which is no handshake.
    if context.event_type.as_deref() != Some("CONNECT") {
        let refusal = Refusal::new(ErrorCode::UnknownAction, "`$connect` is no action");
        return Ok(respond(&Answer::Error(refusal), None));
    }
    let session = session(&event).map_err(|_| NOT_JOINED)?;
    let connection: ConnectionId = context
        .connection_id
        .as_deref()
        .unwrap_or_default()
        .parse()
        .map_err(|error| {
            error!(%error, "the event's connectionId is wrong");
            NOT_JOINED
        })?;
    let connected_at =
        Timestamp::from_millis(u64::try_from(context.connected_at).unwrap_or_default());
    let member = Member {
        user: session.user,
        connection,
        connected_at,
    };
    let partition = sharding.partition_of(&session.room, &member.user);
    connections.join(&partition, &member).await.map_err(|error| {
        error!(connection_id = %member.connection, error = error_chain(&error), "{} could not join", member.connection);
        NOT_JOINED
    })?;
    info!(connection_id = %member.connection, room_id = %session.room, user_id = %member.user, "{} joined", member.connection);
    emit(&[(Metric::Connected, 1)]);

    let mut response = accepted();
    let protocols = event
        .headers
        .get_all("sec-websocket-protocol")
        .iter()
        .filter_map(|value| value.to_str().ok());
    if offers_bearer(protocols) {
        response.headers.insert(
            "sec-websocket-protocol",
            HeaderValue::from_static(SUBPROTOCOL),
        );
    }
    Ok(response)
}
