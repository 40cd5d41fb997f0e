//! Signed calls to services of which Hermes needs one or two: Lambda, CloudWatch, CloudWatch Logs. Their
//! SDK crates have 440,000 lines, turn on event streams in all others, and bring a second version of `http`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_types::SdkConfig;
use backon::{ExponentialBuilder, Retryable as _};
use hermes::aws::Http;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::failure::Failure;

/// How long one attempt may take, and the connecting of it.
const ATTEMPT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

/// How long before they expire credentials are asked for again.
const BUFFER: Duration = Duration::from_secs(60);

/// A service, with what its protocol wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Paths, and JSON.
    Lambda,
    /// AWS JSON 1.0.
    CloudWatch,
    /// AWS JSON 1.1.
    Logs,
}

impl Service {
    /// The first part of its host, and what calls are signed for.
    fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::CloudWatch => "monitoring",
            Self::Logs => "logs",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Lambda => "application/json",
            Self::CloudWatch => "application/x-amz-json-1.0",
            Self::Logs => "application/x-amz-json-1.1",
        }
    }

    /// What stands before the operation in the header `x-amz-target`.
    fn target(self) -> &'static str {
        match self {
            Self::Lambda => "",
            Self::CloudWatch => "GraniteServiceVersion20100801.",
            Self::Logs => "Logs_20140328.",
        }
    }
}

/// Makes the calls.
pub(crate) struct Signed {
    config: SdkConfig,
    http: Http,
    credentials: Mutex<Option<Credentials>>,
}

/// Why an attempt failed.
enum Failed {
    Credentials(CredentialsError),
    /// There was no answer.
    Connection(ConnectorError),
    Refused(StatusCode, ErrorMetadata),
}

impl Failed {
    fn is_passing(&self) -> bool {
        match self {
            Self::Credentials(_) => false,
            Self::Connection(_) => true,
            Self::Refused(status, error) => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || error.code().is_some_and(|code| code.contains("Throttling"))
            }
        }
    }

    fn explain(self, operation: &str) -> Failure {
        match self {
            Self::Credentials(error) => Failure::aws(operation, &error),
            Self::Connection(error) => Failure::aws(operation, &error),
            Self::Refused(_, error) => Failure::aws(operation, &error),
        }
    }
}

impl Signed {
    /// Calls with the credentials of `config`, in its region, or at its endpoint.
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self {
            config: config.clone(),
            http: Http::new(Some(CONNECT)),
            credentials: Mutex::default(),
        }
    }

    /// Calls an operation of a service that is named in a header. `doing` is what it is called in a failure.
    ///
    /// # Errors
    ///
    /// [`Failure`], after some attempts.
    pub(crate) async fn call(
        &self,
        service: Service,
        operation: &str,
        body: &Value,
        doing: &str,
    ) -> Result<Value, Failure> {
        let request = || {
            Request::post(format!("{}/", self.endpoint(service)))
                .header("content-type", service.content_type())
                .header("x-amz-target", format!("{}{operation}", service.target()))
                .body(body.to_string())
                .expect("a request")
        };
        self.send(service, request, doing).await
    }

    /// Reads what stands at a path of a service.
    ///
    /// # Errors
    ///
    /// [`Failure`], after some attempts.
    pub(crate) async fn get(
        &self,
        service: Service,
        path: &str,
        doing: &str,
    ) -> Result<Value, Failure> {
        let request = || {
            Request::get(format!("{}{path}", self.endpoint(service)))
                .body(String::new())
                .expect("names and numbers make a URL")
        };
        self.send(service, request, doing).await
    }

    fn endpoint(&self, service: Service) -> String {
        if let Some(url) = self.config.endpoint_url() {
            return url.trim_end_matches('/').to_owned();
        }
        let suffix = if self.region().starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        format!("https://{}.{}.{suffix}", service.name(), self.region())
    }

    fn region(&self) -> &str {
        self.config.region().map_or("", AsRef::as_ref)
    }

    async fn send(
        &self,
        service: Service,
        request: impl Fn() -> Request<String>,
        doing: &str,
    ) -> Result<Value, Failure> {
        let attempt = || self.attempt(service, request());
        attempt
            .retry(
                ExponentialBuilder::default()
                    .with_max_times(3)
                    .with_jitter(),
            )
            .when(Failed::is_passing)
            .await
            .map_err(|failed| failed.explain(doing))
    }

    async fn attempt(
        &self,
        service: Service,
        mut request: Request<String>,
    ) -> Result<Value, Failed> {
        let credentials = self.credentials().await.map_err(Failed::Credentials)?;
        self.sign(service, credentials, &mut request)
            .map_err(|error| Failed::Connection(ConnectorError::user(error)))?;
        let exchange = async {
            let answer = self.http.request(request.map(SdkBody::from)).await?;
            let (head, body) = answer.into_parts();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((head, body.collect().await?))
        };
        let (head, body) = timeout(ATTEMPT, exchange)
            .await
            .map_err(|elapsed| Failed::Connection(ConnectorError::timeout(elapsed.into())))?
            .map_err(|error| Failed::Connection(ConnectorError::io(error)))?;
        let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        if head.status.is_success() {
            return Ok(body);
        }
        let error = error(&head.headers, &body, head.status);
        Err(Failed::Refused(head.status, error))
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let mut known = self.credentials.lock().await;
        let is_good = |one: &Credentials| {
            one.expiry()
                .is_none_or(|expiry| expiry > SystemTime::now() + BUFFER)
        };
        if let Some(credentials) = known.as_ref().filter(|one| is_good(one)) {
            return Ok(credentials.clone());
        }
        let provider = self
            .config
            .credentials_provider()
            .ok_or_else(|| CredentialsError::not_loaded("no provider is configured"))?;
        let fresh = provider.provide_credentials().await?;
        *known = Some(fresh.clone());
        Ok(fresh)
    }

    fn sign(
        &self,
        service: Service,
        credentials: Credentials,
        request: &mut Request<String>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let identity = Identity::from(credentials);
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(self.region())
            .name(service.name())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.uri().to_string(),
            headers,
            SignableBody::Bytes(request.body().as_bytes()),
        )?;
        let (instructions, _signature) = sign(signable, &parameters)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}

/// The code stands in a header or in the body, with a namespace before it or a URL behind it.
fn error(headers: &HeaderMap, body: &Value, status: StatusCode) -> ErrorMetadata {
    let header = headers.get("x-amzn-errortype");
    let code = header
        .and_then(|value| value.to_str().ok())
        .or_else(|| body["__type"].as_str())
        .unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let message = ["message", "Message"]
        .iter()
        .find_map(|name| body[*name].as_str());
    let mut error = ErrorMetadata::builder();
    if !code.is_empty() {
        error = error.code(code);
    }
    error
        .message(message.map_or_else(|| status.to_string(), str::to_owned))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_has_its_code_wherever_it_stands() {
        let mut headers = HeaderMap::new();
        let body = json!({"__type": "com.amazon.logs#AccessDeniedException", "Message": "no"});
        let from_body = error(&headers, &body, StatusCode::BAD_REQUEST);
        assert_eq!(from_body.code(), Some("AccessDeniedException"));
        assert_eq!(from_body.message(), Some("no"));
        let value = "ResourceNotFoundException:http://internal.amazon.com/x";
        headers.insert("x-amzn-errortype", value.parse().unwrap());
        let from_header = error(&headers, &Value::Null, StatusCode::NOT_FOUND);
        assert_eq!(from_header.code(), Some("ResourceNotFoundException"));
        assert_eq!(from_header.message(), Some("404 Not Found"));
    }

    #[test]
    fn what_passes_is_tried_again() {
        let refused = |status, code: &str| {
            Failed::Refused(status, ErrorMetadata::builder().code(code).build()).is_passing()
        };
        assert!(refused(StatusCode::BAD_GATEWAY, ""));
        assert!(refused(StatusCode::BAD_REQUEST, "ThrottlingException"));
        assert!(!refused(StatusCode::BAD_REQUEST, "ValidationException"));
    }
}
