//! Problem details (RFC 9457): the answer to every request that Hermes refuses or cannot do.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hermes::frame::{ErrorCode, Refusal};
use hermes::issue::IssueError;
use hermes::ports::PortError;
use hermes::telemetry::error_chain;
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use crate::event::PLAIN;

/// Where the kinds of problems are described; each is an anchor.
const KINDS: &str = "https://github.com/hermes-notifications/hermes/blob/main/docs/server-api.md#";

/// The kind of a problem, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// The body is no JSON.
    InvalidJson,
    /// A message is wrong: `errors` names each.
    InvalidMessage,
    /// A parameter or a field of the request is missing or wrong.
    InvalidRequest,
    /// The API has no such path.
    NotFound,
    /// The connection is not in the room.
    UnknownMember,
    /// The deployment keeps no history.
    NoHistory,
    /// The path has no such method.
    MethodNotAllowed,
    /// The body or a notification is too large.
    PayloadTooLarge,
    /// The body's `Content-Type` is none that Hermes reads.
    UnsupportedMediaType,
    /// A service behind Hermes failed: the request may be sent again.
    Unavailable,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson | Self::InvalidMessage | Self::InvalidRequest => {
                StatusCode::BAD_REQUEST
            }
            Self::NotFound | Self::UnknownMember | Self::NoHistory => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::InvalidJson => "Invalid JSON",
            Self::InvalidMessage => "Invalid message",
            Self::InvalidRequest => "Invalid request",
            Self::NotFound => "Not found",
            Self::UnknownMember => "Unknown member",
            Self::NoHistory => "No history",
            Self::MethodNotAllowed => "Method not allowed",
            Self::PayloadTooLarge => "Payload too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Unavailable => "Unavailable",
        }
    }
}

/// What is wrong with one message of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// Where it stands: a JSON pointer (RFC 6901) into the body, as a URI fragment.
    #[schema(example = "#/3")]
    pub(crate) pointer: String,
    /// What is wrong, for people.
    pub(crate) detail: String,
}

/// Problem details (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of the problem, as a URI.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of the problem, for people.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong with this request and what to do, for people.
    detail: String,
    /// The kind of the problem, for programs.
    code: Code,
    /// Every message that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// The ids of the messages that were enqueued before the others failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    accepted: Vec<String>,
}

impl Problem {
    /// A problem of the kind `code` that says `detail`.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{KINDS}{}", code.title().to_lowercase().replace(' ', "-")),
            title: code.title(),
            status: code.status().as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
            accepted: Vec::new(),
        }
    }

    /// A parameter or a field is missing or wrong.
    pub(crate) fn invalid(name: &str, rule: impl std::fmt::Display) -> Self {
        Self::new(Code::InvalidRequest, format!("`{name}` {rule}"))
    }

    /// The API has no such path.
    pub(crate) fn not_found(path: &str) -> Self {
        let detail = format!(
            "{path} is no path of this API: an id that is not only letters, digits and {PLAIN} is written as `~` and its \
             base64url"
        );
        Self::new(Code::NotFound, detail)
    }

    /// These messages are wrong; there is at least one.
    pub(crate) fn of_messages(faults: Vec<(Fault, ErrorCode)>) -> Self {
        let is_large = |(_, code): &(Fault, ErrorCode)| *code == ErrorCode::PayloadTooLarge;
        let code = if faults.iter().all(is_large) {
            Code::PayloadTooLarge
        } else {
            Code::InvalidMessage
        };
        let detail = faults.first().map(|(fault, _)| fault.detail.clone());
        Self {
            errors: faults.into_iter().map(|(fault, _)| fault).collect(),
            ..Self::new(code, detail.unwrap_or_default())
        }
    }

    /// These messages were enqueued before.
    #[must_use]
    pub(crate) fn after(self, accepted: Vec<String>) -> Self {
        Self { accepted, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.code {
            ErrorCode::InvalidJson => Code::InvalidJson,
            ErrorCode::PayloadTooLarge => Code::PayloadTooLarge,
            ErrorCode::Internal => Code::Unavailable,
            _ => Code::InvalidMessage,
        };
        Self::new(code, refusal.message)
    }
}

/// What failed is for the log, never for the caller.
impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        error!(error = error_chain(&error), "a request failed");
        Self::new(
            Code::Unavailable,
            "the request failed and may be sent again",
        )
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        error!(
            error = error_chain(&error),
            "could not issue or revoke a token"
        );
        Self::new(
            Code::Unavailable,
            "the request failed and may be sent again",
        )
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Code::InvalidRequest, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Code::InvalidRequest, rejection.body_text())
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = format!("a body may have {} bytes", crate::BODY_MAX_BYTES);
            return Self::new(Code::PayloadTooLarge, detail);
        }
        Self::new(Code::InvalidRequest, rejection.body_text())
    }
}
