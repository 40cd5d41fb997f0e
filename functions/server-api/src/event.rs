//! The events of an HTTP API (payload format 2.0) as requests to the router, and its answers.
//!
//! Not by `lambda_http`: it makes a URL of the path, which cuts it at a decoded `?` and resolves a decoded `..`, so
//! that a caller could leave the room that IAM was asked about; and it panics, which callers see as a 500, at what no
//! URL can hold.
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

use crate::problem::{Code, Problem};

/// What an id in a path may have besides letters and digits, where it stands as it is.
pub(crate) const PLAIN: &str = "-_.~:@=";

/// What API Gateway tells of a request, as far as it matters here. It holds bodies and signatures: no `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    route_key: String,
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: Context,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
struct Context {
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

/// What API Gateway makes a response of. It may hold a token: no `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

/// The request reached the function by the route `$default`: API Gateway has no route of its own for it.
#[derive(Debug, Clone, Copy)]
struct Unrouted;

/// Answers an event.
pub async fn answer(router: Router, event: Event) -> Answer {
    let response = match request(event) {
        Ok(request) => router.oneshot(request).await.into_response(),
        Err(problem) => problem.into_response(),
    };
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    });
    Answer {
        status_code: head.status.as_u16(),
        headers: headers.collect(),
        // All answers are JSON.
        body: String::from_utf8_lossy(&body).into_owned(),
        is_base64_encoded: false,
    }
}

fn request(event: Event) -> Result<Request<Body>, Problem> {
    // Already decoded: another character was written as `%XX`, and may not mean what it seems to.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '/' || PLAIN.contains(c);
    if !event.raw_path.chars().all(is_plain) {
        return Err(Problem::not_found(&event.raw_path));
    }
    let target = match event.raw_query_string.as_str() {
        "" => event.raw_path,
        query => format!("{}?{query}", event.raw_path),
    };
    let uri: Uri = target.parse().map_err(|_| {
        let detail = "the query string has a character that must be percent-encoded";
        Problem::new(Code::InvalidRequest, detail)
    })?;
    let body = match event.body {
        Some(body) if event.is_base64_encoded => STANDARD.decode(body).map_err(|_| {
            Problem::new(Code::InvalidRequest, "the body arrived as no valid base64")
        })?,
        body => body.unwrap_or_default().into_bytes(),
    };
    let mut request = Request::new(Body::from(body));
    *request.uri_mut() = uri;
    *request.method_mut() = (event.request_context.http.method.parse())
        .map_err(|_| Problem::new(Code::MethodNotAllowed, "this is no method of HTTP"))?;
    *request.headers_mut() = headers(event.headers);
    if event.route_key == "$default" {
        request.extensions_mut().insert(Unrouted);
    }
    Ok(request)
}

/// Those that can be headers; their values may be any UTF-8.
fn headers(given: BTreeMap<String, String>) -> HeaderMap {
    let parsed = given.into_iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    parsed.collect()
}

/// Refuses what API Gateway has no route for, whatever the router takes it for: IAM was asked about another
/// path. (`/rooms/a%2Fmessages` has become `/rooms/a/messages`.)
pub(crate) async fn routed(request: axum::extract::Request, next: Next) -> Response {
    if request.extensions().get::<Unrouted>().is_some() {
        return Problem::not_found(request.uri().path()).into_response();
    }
    next.run(request).await
}
