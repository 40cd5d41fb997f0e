//! `GET /rooms/{room}/messages`: what was published to a room.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hermes::frame::OFFSET_MAX;
use hermes::log::{Position, Stream};
use hermes::ports::Log;
use hermes::time::{Clock, SystemClock};
use hermes::{RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Code, Problem};
use crate::request::{Cursor, Id, Path, Query, invalid_cursor, parsed};
use crate::{Api, Ports};

/// How many pages of nothing but expired messages one request passes over.
const PAGES: usize = 8;

/// Sorts before every epoch that is made.
const BEFORE_ALL: &str = "0";

/// Epoch and offset of the last message that was read.
type Place = (String, u64);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The `next` of the answer before; without it, the history begins with the oldest message
    after: Option<String>,
    /// Messages `to` this user in the room, instead of those to everybody
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, min_length = 1, max_length = 256)]
    user: Option<UserId>,
}

/// A part of a stream's history, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct History {
    /// At most 100, exactly as members receive them. There may be none though `more` is true.
    #[schema(value_type = Vec<crate::openapi::Notification>)]
    messages: Vec<Box<RawValue>>,
    /// Where the history goes on: for `after`, now or later.
    next: String,
    /// Whether there is more by now.
    more: bool,
}

/// Read what was published
///
/// The messages that the deployment still keeps, in the order in which members have them. Each has its
/// `epoch` and `offset`; offsets of one epoch are contiguous, but what has expired is left out.
#[utoipa::path(
    get,
    path = "/rooms/{room}/messages",
    tag = "messages",
    operation_id = "history",
    params(crate::openapi::RoomPath, Asked),
    responses(
        (status = 200, description = "A part of the history", body = History),
        crate::openapi::Refused,
    )
)]
pub(crate) async fn history<P: Ports>(
    State(api): State<Arc<Api<P>>>,
    Path(Id(room)): Path<Id<RoomId>>,
    Query(asked): Query<Asked>,
) -> Result<Json<History>, Problem> {
    let log = api.log.as_ref().ok_or_else(|| {
        Problem::new(
            Code::NoHistory,
            "this deployment keeps no history (HistoryDays is 0)",
        )
    })?;
    let mut after = match &asked.after {
        Some(cursor) => place(cursor, &room, asked.user.as_ref())?,
        None => Position {
            epoch: BEFORE_ALL.parse().expect("an epoch"),
            offset: 0,
        },
    };
    let stream = Stream {
        room,
        user: asked.user,
    };
    let mut messages = Vec::new();
    let mut more = true;
    for _ in 0..PAGES {
        let page = log.read(&stream, &after, SystemClock.now()).await?;
        more = !page.ended;
        after = page.last.unwrap_or(after);
        let frames = page
            .entries
            .iter()
            .map(|entry| entry.to_frame(stream.kind()));
        messages.extend(
            frames.map(|frame| RawValue::from_string(frame).expect("a notification is JSON")),
        );
        if !more || !messages.is_empty() {
            break;
        }
    }
    let place: Place = (after.epoch.as_str().to_owned(), after.offset);
    let next = Cursor::encode(&stream.room, stream.user.as_ref(), place);
    Ok(Json(History {
        messages,
        next,
        more,
    }))
}

fn place(cursor: &str, room: &RoomId, user: Option<&UserId>) -> Result<Position, Problem> {
    let (epoch, offset) = Cursor::<Place>::decode(cursor, room, user)?;
    let epoch = epoch.parse().map_err(|_| invalid_cursor())?;
    if offset > OFFSET_MAX {
        return Err(invalid_cursor());
    }
    Ok(Position { epoch, offset })
}
