//! `/rooms/{room}/members`: who is connected, and how a connection is closed.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hermes::closing::{self, Reason};
use hermes::partition::Partition;
use hermes::ports::{Connections, Member, PageToken};
use hermes::time::{Clock, SystemClock};
use hermes::{ConnectionId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Code, Problem};
use crate::request::{Cursor, Id, Path, Query, invalid_cursor, parsed};
use crate::{Api, Ports};

/// How many members an answer has where `limit` does not say.
const LIMIT: u32 = 100;

/// The highest `limit`.
pub(crate) const LIMIT_MAX: u32 = 1000;

/// How many pages one request reads: a sharded room has many that are nearly empty.
const PAGES: usize = 16;

/// A partition, and the last member of it that was read.
type Place = (usize, Option<String>);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The `next` of the answer before
    after: Option<String>,
    /// How many members, at most [default: 100]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Only this user's connections
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, min_length = 1, max_length = 256)]
    user: Option<UserId>,
}

/// A part of a room's members.
#[derive(Serialize, ToSchema)]
pub(crate) struct Members {
    /// The connections. There may be none though there is a `next`.
    members: Vec<Connected>,
    /// Where the list goes on: for `after`. Null at its end.
    #[schema(required)]
    next: Option<String>,
}

/// A connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connected {
    /// Whose it is.
    user_id: String,
    /// Its id, as API Gateway names it.
    connection_id: String,
    /// When it connected, in whole seconds.
    #[schema(format = DateTime)]
    connected_at: String,
}

impl From<Member> for Connected {
    fn from(member: Member) -> Self {
        Self {
            user_id: member.user.to_string(),
            connection_id: member.connection.to_string(),
            connected_at: member.connected_at.to_string(),
        }
    }
}

/// See who is connected
///
/// Every open connection of a room, and since when; ordered by user within each partition of the room. A
/// connection that broke without a word is among them for up to 10 minutes.
#[utoipa::path(
    get,
    path = "/rooms/{room}/members",
    tag = "members",
    operation_id = "members",
    params(crate::openapi::RoomPath, Asked),
    responses(
        (status = 200, description = "A part of the members", body = Members),
        crate::openapi::Refused,
    )
)]
pub(crate) async fn members<P: Ports>(
    State(api): State<Arc<Api<P>>>,
    Path(Id(room)): Path<Id<RoomId>>,
    Query(asked): Query<Asked>,
) -> Result<Json<Members>, Problem> {
    let limit = asked.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid(
            "limit",
            format!("must be 1 to {LIMIT_MAX}"),
        ));
    }
    let only = asked.user.as_ref();
    let partitions: Vec<Partition> = api.sharding.partitions(&room).collect();
    let (mut shard, mut page) = match &asked.after {
        Some(cursor) => place(cursor, &room, only, partitions.len())?,
        None => (0, None),
    };
    let mut members = Vec::new();
    for _ in 0..PAGES {
        let missing = usize::try_from(limit).unwrap_or(usize::MAX) - members.len();
        let (Some(missing), Some(partition)) = (NonZeroUsize::new(missing), partitions.get(shard))
        else {
            break;
        };
        let read = api
            .connections
            .members(partition, only, page.as_ref(), missing, SystemClock.now())
            .await?;
        members.extend(read.members.into_iter().map(Connected::from));
        page = read.next;
        if page.is_none() {
            shard += 1;
        }
    }
    let next = (shard < partitions.len()).then(|| {
        let behind = page.as_ref().map(|page| page.as_str().to_owned());
        let place: Place = (shard, behind);
        Cursor::encode(&room, only, place)
    });
    Ok(Json(Members { members, next }))
}

fn place(
    cursor: &str,
    room: &RoomId,
    only: Option<&UserId>,
    partitions: usize,
) -> Result<(usize, Option<PageToken>), Problem> {
    let (shard, behind) = Cursor::<Place>::decode(cursor, room, only)?;
    if shard >= partitions {
        return Err(invalid_cursor());
    }
    let page = behind.map(|behind| PageToken::parse(&behind, only).ok_or_else(invalid_cursor));
    Ok((shard, page.transpose()?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct How {
    /// Whose connection it is: then not the whole room has to be read to find it
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, min_length = 1, max_length = 256)]
    user: Option<UserId>,
    /// What the client is told, at most 256 bytes [default: `closed by the server`]
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, max_length = 256)]
    reason: Option<Reason>,
}

/// Close a connection
///
/// The client is sent `{"system":"closing","data":{"reason":…}}`, then its socket is closed. Its token stays
/// good: revoke it to keep the user out.
#[utoipa::path(
    delete,
    path = "/rooms/{room}/members/{connection}",
    tag = "members",
    operation_id = "close",
    params(crate::openapi::RoomPath, crate::openapi::ConnectionPath, How),
    responses(
        (status = 204, description = "The connection is closed"),
        crate::openapi::Refused,
    )
)]
pub(crate) async fn close<P: Ports>(
    State(api): State<Arc<Api<P>>>,
    Path((Id(room), Id(connection))): Path<(Id<RoomId>, Id<ConnectionId>)>,
    Query(how): Query<How>,
) -> Result<StatusCode, Problem> {
    let partitions = api.sharding.partitions(&room);
    let user = how.user.as_ref();
    let found = closing::find(
        &api.connections,
        &SystemClock,
        partitions,
        user,
        &connection,
    )
    .await?;
    if found.is_none() {
        let detail = format!("the connection {connection} is not in the room {room}");
        return Err(Problem::new(Code::UnknownMember, detail));
    }
    let reason = how.reason.unwrap_or_default();
    closing::close(&api.sockets, &connection, reason.as_str()).await?;
    info!(room_id = %room, connection_id = %connection, "closed {connection}");
    Ok(StatusCode::NO_CONTENT)
}
