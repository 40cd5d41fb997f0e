//! The HTTP client of the functions, made of the crates that the SDK's own is made of: hyper, rustls,
//! aws-lc, and the certificates of the operating system.
//!
//! It speaks HTTP/1.1, which every service that Hermes calls does: the SDK's would bring HTTP/2 and
//! proxies along, which would only make each function larger.

use std::sync::LazyLock;
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::Request;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{HttpConnector as TcpConnector, capture_connection};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::load_native_certs;
use tracing::warn;

/// Reading the system's certificates takes milliseconds: once for all clients.
static TLS: LazyLock<ClientConfig> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(load_native_certs().certs);
    if roots.is_empty() {
        warn!("the system has no root certificates: no https");
    }
    ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("aws-lc has the default versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth()
});

/// A client with its connections, which are kept open and used again.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpsConnector<TcpConnector>, SdkBody>,
}

impl Http {
    /// A client that waits for `connect_timeout` at most until a TCP connection is open. (For how long
    /// it may wait for an answer, its users say.)
    pub fn new(connect_timeout: Option<Duration>) -> Self {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(connect_timeout);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(TLS.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(https),
        }
    }

    /// Sends a request.
    pub fn request(&self, request: Request<SdkBody>) -> ResponseFuture {
        self.client.request(request)
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        // The SDK closes a connection over which a server error came.
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || {
                connection.connection_metadata().as_ref()?;
                let connection = connection.clone();
                let poison = move || {
                    if let Some(connected) = connection.connection_metadata().as_ref() {
                        connected.poison();
                    }
                };
                let metadata = ConnectionMetadata::builder().proxied(false);
                Some(metadata.poison_fn(poison).build())
            });
        }
        let response = self.request(request);
        HttpConnectorFuture::new(async move {
            let response = response
                .await
                .map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
