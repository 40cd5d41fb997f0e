//! CloudEvents 1.0 as messages: <https://github.com/cloudevents/spec/tree/v1.0.2>.
//!
//! The message's data is the whole event in its JSON format, so that clients find its `type` where they
//! look for one. Events are unique by source and id, as messages are by sender and id: the one is the other.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hermes::frame::{ErrorCode, Refusal};
use hermes::id::InvalidId;
use hermes::{Message, RoomId, Timestamp};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use crate::problem::{Code, Problem};

/// What the attributes are called as headers.
const PREFIX: &str = "ce-";

/// The headers of a binary CloudEvent.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the headers to the OpenAPI document")]
pub(crate) struct Headers {
    /// `1.0`, where the request is a CloudEvent in binary mode: then the body is its data
    #[param(rename = "ce-specversion")]
    specversion: Option<String>,
    /// Of a CloudEvent in binary mode: the message's id
    #[param(rename = "ce-id")]
    id: Option<String>,
    /// Of a CloudEvent in binary mode: the message's sender
    #[param(rename = "ce-source")]
    source: Option<String>,
    /// Of a CloudEvent in binary mode
    #[param(rename = "ce-type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    to: Option<String>,
    data: Option<IgnoredAny>,
    data_base64: Option<String>,
}

/// Reads an event in its JSON format.
///
/// # Errors
///
/// [`ErrorCode::InvalidJson`] or [`ErrorCode::InvalidMessage`], naming the attribute and its rule.
pub(crate) fn read(text: &str, room: &RoomId, sent_at: Timestamp) -> Result<Message, Refusal> {
    let invalid = |what: String| Refusal::new(ErrorCode::InvalidMessage, what);
    let data: Box<RawValue> = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Refusal::new(
            ErrorCode::InvalidJson,
            format!("this is not JSON ({place}): send one CloudEvent"),
        )
    })?;
    if !data.get().starts_with('{') {
        return Err(invalid("a CloudEvent is a JSON object".to_owned()));
    }
    let event: Event = serde_json::from_str(data.get())
        .map_err(|error| invalid(format!("this is no CloudEvent: {error}")))?;
    if event.specversion != "1.0" {
        return Err(invalid("`specversion` must be 1.0".to_owned()));
    }
    if event.kind.is_empty() {
        return Err(invalid("`type` must not be empty".to_owned()));
    }
    match (&event.data, &event.data_base64) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "`data` and `data_base64` exclude each other".to_owned(),
            ));
        }
        (None, Some(bytes)) if STANDARD.decode(bytes).is_err() => {
            return Err(invalid("`data_base64` must be base64".to_owned()));
        }
        _ => {}
    }
    let rule = |name: &str, rule: InvalidId| invalid(format!("`{name}` {rule}"));
    Ok(Message {
        sender: event
            .source
            .parse()
            .map_err(|error| rule("source", error))?,
        room: room.clone(),
        data,
        id: event.id.parse().map_err(|error| rule("id", error))?,
        sent_at,
        to: (event.to.map(|to| to.parse()).transpose()).map_err(|error| rule("to", error))?,
    })
}

/// The JSON format of an event whose attributes are headers, and whose data is the body.
///
/// # Errors
///
/// A [`Problem`] where a header or the body cannot be read.
pub(crate) fn from_headers(
    headers: &HeaderMap,
    media_type: &str,
    body: &[u8],
) -> Result<String, Problem> {
    let mut event = Map::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        let text = value
            .to_str()
            .ok()
            .and_then(|text| percent_decode_str(text).decode_utf8().ok())
            .ok_or_else(|| {
                Problem::invalid(
                    name.as_str(),
                    "must be percent-encoded UTF-8 (CloudEvents, HTTP binding)",
                )
            })?;
        event.insert(attribute.to_owned(), Value::String(text.into_owned()));
    }
    if !media_type.is_empty() {
        event.insert("datacontenttype".to_owned(), Value::from(media_type));
    }
    let is_json = media_type.is_empty()
        || media_type.eq_ignore_ascii_case("application/json")
        || media_type.to_ascii_lowercase().ends_with("+json");
    let mut data = None;
    match std::str::from_utf8(body) {
        _ if body.is_empty() => {}
        Ok(text) if is_json => {
            let json: Result<Box<RawValue>, _> = serde_json::from_str(text);
            data = Some(json.map_err(|_| {
                let detail = "the data of the event is not JSON, as its Content-Type says";
                Problem::new(Code::InvalidJson, detail)
            })?);
        }
        Ok(text) if media_type.to_ascii_lowercase().starts_with("text/") => {
            event.insert("data".to_owned(), Value::from(text));
        }
        _ => {
            event.insert("data_base64".to_owned(), Value::from(STANDARD.encode(body)));
        }
    }
    let event = Value::Object(event).to_string();
    Ok(match (data, event.strip_suffix('}')) {
        // Byte for byte.
        (Some(data), Some(attributes)) => format!("{attributes},\"data\":{data}}}"),
        _ => event,
    })
}
