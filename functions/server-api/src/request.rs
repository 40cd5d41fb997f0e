//! What the requests are read with: ids in paths, parameters, cursors.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hermes::{RoomId, UserId};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

use crate::problem::Problem;

/// The parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub(crate) T);

/// The parameters of the query string.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

/// An id in a path: as it is, or `~` and its base64url. API Gateway decodes a path before Hermes sees it,
/// so that `%2F` has become a separator by then; the second form reaches Hermes whatever is in it, and has only
/// characters that every signer leaves as they are.
pub(crate) struct Id<T>(pub(crate) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = match text.strip_prefix('~') {
            None => text,
            Some(encoded) => decode(encoded)
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| D::Error::custom("must be base64url of UTF-8 behind the `~`"))?,
        };
        id.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A parameter that is read by its `FromStr`.
pub(crate) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom))
        .transpose()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// Where a list goes on: a room, whose list of it, and a `T`, which callers need not understand.
#[derive(Serialize, Deserialize)]
pub(crate) struct Cursor<T>(String, Option<String>, T);

impl<T: Serialize + DeserializeOwned> Cursor<T> {
    /// The text that stands for a place in a list.
    pub(crate) fn encode(room: &RoomId, user: Option<&UserId>, place: T) -> String {
        let cursor = Self(room.to_string(), user.map(UserId::to_string), place);
        let json = serde_json::to_vec(&cursor).expect("strings and numbers serialize");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// The place that a text stands for.
    ///
    /// # Errors
    ///
    /// A [`Problem`] where it is none of this list's.
    pub(crate) fn decode(text: &str, room: &RoomId, user: Option<&UserId>) -> Result<T, Problem> {
        decode(text)
            .and_then(|json| serde_json::from_slice(&json).ok())
            .filter(|Self(of, whose, _)| {
                of == room.as_str() && whose.as_deref() == user.map(UserId::as_str)
            })
            .map(|Self(.., place)| place)
            .ok_or_else(invalid_cursor)
    }
}

/// A cursor that is none of this list.
pub(crate) fn invalid_cursor() -> Problem {
    Problem::invalid("after", "must be the `next` of an answer to this request")
}
