//! The sockets that API Gateway holds, reached over its `@connections` API.
//!
//! A post costs what the whole system does most, so it does without the SDK's client: the same request, at
//! a fraction of its instructions (`shared/examples/posts.rs` counts them). Closing goes the same way, so that no
//! function contains that client. `tests/sockets.rs` compares the outcome of both.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_http::label::{EncodingStrategy, fmt_string};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::http::Http;
use super::signature::{Signable, Signer, SigningError, hash};
use crate::id::ConnectionId;
use crate::ports::{PortError, PostError, Posted, Remedy, Sockets};

const CONTENT: &str = "application/octet-stream";
const AGENT: &str = concat!("hermes/", env!("CARGO_PKG_VERSION"));
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The sockets of one API and stage.
#[derive(Debug)]
pub struct ApiGatewaySockets {
    http: Http,
    signer: Signer,
    scheme: Scheme,
    authority: Authority,
    /// As it stands in the header `host`: without the scheme's own port.
    host: String,
    /// What the paths begin with, without a slash at the end.
    stage: String,
    attempt_timeout: Duration,
    /// The frame that was posted last: all members of a room get the same.
    frame: Mutex<Frame>,
}

/// What is no endpoint.
#[derive(Debug, thiserror::Error)]
#[error("it is no URL of http or https")]
pub struct InvalidEndpoint;

#[derive(Debug, Clone, Default)]
struct Frame {
    bytes: Bytes,
    hash: String,
}

/// Why a post or a close failed that was not answered by 410.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the request could not be signed")]
    Signing(#[from] SigningError),
    #[error("this is no request")]
    Request(#[from] http::Error),
    #[error("there was no answer")]
    NoAnswer(#[from] hyper_util::client::legacy::Error),
    #[error("there was no answer within {0:?}")]
    Timeout(Duration),
    #[error("API Gateway answered {status} {kind}")]
    Refused { status: StatusCode, kind: String },
}

impl Failure {
    /// No answer at all (a timeout, a broken connection) may pass, like 429 and 5xx.
    fn remedy(&self) -> Remedy {
        match self {
            Self::Refused { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => {
                Remedy::SlowDown
            }
            Self::Refused { status, .. } if !status.is_server_error() => Remedy::None,
            _ => Remedy::Later,
        }
    }
}

impl ApiGatewaySockets {
    /// The sockets behind `endpoint`, such as `https://{api}.execute-api.{region}.amazonaws.com/{stage}`.
    ///
    /// # Errors
    ///
    /// [`InvalidEndpoint`].
    pub fn new(config: &SdkConfig, endpoint: &str) -> Result<Self, InvalidEndpoint> {
        let uri: Uri = endpoint.parse().map_err(|_| InvalidEndpoint)?;
        let parts = uri.into_parts();
        let (scheme, authority) = parts.scheme.zip(parts.authority).ok_or(InvalidEndpoint)?;
        let own_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(InvalidEndpoint),
        };
        let host = match authority.port_u16() {
            Some(port) if port != own_port => format!("{}:{port}", authority.host()),
            _ => authority.host().to_owned(),
        };
        let timeouts = config.timeout_config();
        let connect_timeout = timeouts.and_then(TimeoutConfig::connect_timeout);
        let attempt_timeout = timeouts.and_then(TimeoutConfig::operation_attempt_timeout);
        Ok(Self {
            http: Http::new(connect_timeout),
            signer: Signer::new(config),
            scheme,
            authority,
            host,
            stage: parts
                .path_and_query
                .map(|path| path.path().trim_end_matches('/').to_owned())
                .unwrap_or_default(),
            attempt_timeout: attempt_timeout.unwrap_or(Duration::MAX),
            frame: Mutex::default(),
        })
    }

    /// Posts a frame; without one, closes the connection.
    async fn attempt(
        &self,
        connection: &ConnectionId,
        frame: Option<&str>,
    ) -> Result<Posted, Failure> {
        let attempt = timeout(self.attempt_timeout, self.ask(connection, frame));
        attempt
            .await
            .unwrap_or(Err(Failure::Timeout(self.attempt_timeout)))
    }

    async fn ask(&self, connection: &ConnectionId, frame: Option<&str>) -> Result<Posted, Failure> {
        let request = self.request(connection, frame, SystemTime::now()).await?;
        let response = self.http.request(request).await?;
        let (head, mut body) = response.into_parts();
        // A connection can be used again when its answer is read to the end.
        while let Some(Ok(_)) = body.frame().await {}
        match head.status {
            status if status.is_success() => Ok(Posted::Delivered),
            StatusCode::GONE => Ok(Posted::Gone),
            status => {
                let kind = head.headers.get("x-amzn-errortype");
                Err(Failure::Refused {
                    status,
                    kind: kind.map(text).unwrap_or_default(),
                })
            }
        }
    }

    async fn request(
        &self,
        connection: &ConnectionId,
        frame: Option<&str>,
        now: SystemTime,
    ) -> Result<Request<SdkBody>, Failure> {
        let connection = fmt_string(connection.as_str(), EncodingStrategy::Default);
        let path = format!("{}/@connections/{connection}", self.stage);
        let (method, content_type) = match frame {
            Some(_) => (Method::POST, Some(CONTENT)),
            None => (Method::DELETE, None),
        };
        let Frame { bytes, hash } = self.frame(frame.unwrap_or_default());
        let signable = Signable {
            method: method.as_str(),
            path: &path,
            content_type,
            host: &self.host,
            payload: &hash,
        };
        let signature = self.signer.sign(&signable, now).await?;
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()?;
        let mut request = Request::new(SdkBody::from(bytes));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, signature.authorization);
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(DATE, signature.date);
        if let Some(token) = signature.token {
            headers.insert(TOKEN, token);
        }
        Ok(request)
    }

    fn frame(&self, text: &str) -> Frame {
        let mut last = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        if last.hash.is_empty() || last.bytes != text {
            *last = Frame {
                bytes: Bytes::copy_from_slice(text.as_bytes()),
                hash: hash(text.as_bytes()),
            };
        }
        last.clone()
    }
}

impl Sockets for ApiGatewaySockets {
    async fn post(&self, connection: &ConnectionId, frame: &str) -> Result<Posted, PostError> {
        let outcome = self.attempt(connection, Some(frame)).await;
        outcome.map_err(|failure| PostError {
            remedy: failure.remedy(),
            source: failure.into(),
        })
    }

    async fn close(&self, connection: &ConnectionId) -> Result<(), PortError> {
        let close = || self.attempt(connection, None);
        let closed = close
            .retry(backoff())
            .when(|failure| failure.remedy() != Remedy::None)
            .await;
        match closed {
            Ok(Posted::Delivered | Posted::Gone) => Ok(()),
            Err(failure) => Err(PortError::new("closing the connection", failure)),
        }
    }
}

/// How a failed close is tried again: two more attempts, as many as the SDK makes.
fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_times(2)
        .with_jitter()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
