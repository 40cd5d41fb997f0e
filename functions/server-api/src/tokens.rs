//! `/tokens`: what admits a user to a room.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use hermes::closing::{Closed, Reason, close_all};
use hermes::issue;
use hermes::time::{Clock, SystemClock};
use hermes::{RoomId, UserId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::info;
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Code, Problem};
use crate::request::{Id, Path, Query, parsed};
use crate::{Api, Ports};

/// How long a token is good where the request does not say.
const TTL: u32 = 3600;

/// How long closing sockets may take: the function has 29 s.
const TIME: Duration = Duration::from_secs(20);

/// The longest that a token may be good: a day.
pub(crate) const TTL_MAX: u32 = 24 * 3600;

/// For whom a token is, where, and how long.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Wanted {
    /// Who connects with it.
    #[schema(value_type = crate::openapi::Name, example = "alice")]
    user_id: UserId,
    /// The one room that it admits to.
    #[schema(value_type = crate::openapi::Name, example = "demo")]
    room_id: RoomId,
    /// For how many seconds it admits [default: 3600].
    #[serde(default = "ttl")]
    #[schema(minimum = 1, maximum = 86400, default = 3600)]
    ttl_seconds: u32,
}

fn ttl() -> u32 {
    TTL
}

/// A token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Issued {
    /// The JWT that the client connects with.
    token: String,
    /// Until when it admits.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Issue a token
///
/// For one user in one room. Issuing again leaves earlier tokens good (a second tab works) until they are
/// revoked or expire.
#[utoipa::path(
    post,
    path = "/tokens",
    tag = "tokens",
    operation_id = "issue",
    request_body = Wanted,
    responses(
        (status = 201, description = "The token", body = Issued),
        crate::openapi::Refused,
        crate::openapi::BodyRefused,
    )
)]
pub(crate) async fn issue<P: Ports>(
    State(api): State<Arc<Api<P>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl axum::response::IntoResponse, Problem> {
    let wanted = read(&headers, &body?)?;
    let ttl = Duration::from_secs(wanted.ttl_seconds.into());
    let (user, room) = (&wanted.user_id, &wanted.room_id);
    let issued = api.issuer.issue(user, room, ttl, SystemClock.now()).await?;
    info!(user_id = %user, room_id = %room, renewed = issued.renewed, "issued a token to {user} for {room}");
    let token = Issued {
        token: issued.jwt.expose().to_owned(),
        expires_at: issued.expires_at.to_string(),
    };
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, no_store, Json(token)))
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Wanted, Problem> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    if !content_type.is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json")) {
        let detail = "send `Content-Type: application/json`";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let wanted: Wanted = match serde_json::from_slice(body) {
        Ok(wanted) if is_object => wanted,
        Err(error) if is_object && error.is_data() => {
            return Err(Problem::new(Code::InvalidRequest, error.to_string()));
        }
        _ => return Err(Problem::new(Code::InvalidJson, "send one JSON object")),
    };
    if !(1..=TTL_MAX).contains(&wanted.ttl_seconds) {
        let rule = format!("must be 1 to {TTL_MAX}");
        return Err(Problem::invalid("ttl_seconds", rule));
    }
    Ok(wanted)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct How {
    /// Whether to close the user's sockets in the room too: then the answer takes two seconds, in which
    /// handshakes end that were under way
    #[serde(default)]
    #[param(default = false)]
    close: bool,
    /// What the clients are told, at most 256 bytes [default: `closed by the server`]
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, max_length = 256)]
    reason: Option<Reason>,
}

/// What was revoked and closed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Revoked {
    /// Whether the user had a token in the room.
    revoked: bool,
    /// How many sockets were closed.
    closed: usize,
    /// How many may be open still: send the request again.
    failed: usize,
}

/// Revoke a user's tokens in a room
///
/// From the answer on none of them opens a socket. Those that are open stay so unless `close` is set. It
/// ends tokens, not rights: who issues a new one admits the user again.
#[utoipa::path(
    delete,
    path = "/tokens/{user}/{room}",
    tag = "tokens",
    operation_id = "revoke",
    params(crate::openapi::UserPath, crate::openapi::RoomPath, How),
    responses(
        (status = 200, description = "The tokens are revoked", body = Revoked),
        crate::openapi::Refused,
    )
)]
pub(crate) async fn revoke<P: Ports>(
    State(api): State<Arc<Api<P>>>,
    Path((Id(user), Id(room))): Path<(Id<UserId>, Id<RoomId>)>,
    Query(how): Query<How>,
) -> Result<Json<Revoked>, Problem> {
    let revoked = issue::revoke(api.issuer.credentials(), &user, &room).await?;
    let closed = if how.close {
        // The user's own would do, had the room always had as many partitions as now.
        let partitions: Vec<_> = api.sharding.partitions(&room).collect();
        let reason = how.reason.unwrap_or_default();
        let (connections, sockets) = (&api.connections, &api.sockets);
        close_all(
            connections,
            sockets,
            &SystemClock,
            &user,
            &partitions,
            reason.as_str(),
            Instant::now() + TIME,
        )
        .await?
    } else {
        Closed::default()
    };
    info!(user_id = %user, room_id = %room, closed = closed.closed, "revoked the tokens of {user} in {room}");
    Ok(Json(Revoked {
        revoked,
        closed: closed.closed,
        failed: closed.failed.len(),
    }))
}
