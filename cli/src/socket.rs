//! Connecting to a room: the WebSocket handshake with the token as a subprotocol, and what its
//! refusals mean.

use std::io;
use std::time::Duration;

use hermes::handshake::SUBPROTOCOL;
use hermes::secret::Secret;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError, UrlError};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::failure::Failure;

/// An open connection.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The application's ping: API Gateway counts it as traffic, and Hermes answers it.
pub(crate) const PING: &str = r#"{"action":"ping"}"#;

/// API Gateway cuts a handshake off at 29 s; a little more is for the way.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(35);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NotConnected {
    /// Trying again cannot help.
    Final(Failure),
    /// The other side could not be reached. It may be wrong (a mistyped name) or just away.
    Unreachable(Failure),
    /// The other side asks to come again: throttled, or a server error.
    Busy(Failure),
}

impl From<NotConnected> for Failure {
    fn from(error: NotConnected) -> Self {
        match error {
            NotConnected::Final(failure)
            | NotConnected::Unreachable(failure)
            | NotConnected::Busy(failure) => failure,
        }
    }
}

/// Opens a connection to `url` with `token`.
///
/// # Errors
///
/// [`NotConnected`].
pub(crate) async fn connect(url: &str, token: &Secret) -> Result<Socket, NotConnected> {
    // One provider of cryptography, the one that the AWS SDK uses; said once per process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let mut request = url
        .into_client_request()
        .map_err(|error| explain(url, error))?;
    let protocols = format!("{SUBPROTOCOL}, {}", token.expose());
    let mut protocols = HeaderValue::try_from(protocols).map_err(|_| {
        NotConnected::Final(
            Failure::usage("the token is no JWT")
                .hint("`hermes token inspect` says what is wrong with it"),
        )
    })?;
    protocols.set_sensitive(true);
    request
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, protocols);

    match timeout(HANDSHAKE_TIMEOUT, tokio_tungstenite::connect_async(request)).await {
        Ok(Ok((socket, _response))) => Ok(socket),
        Ok(Err(error)) => Err(explain(url, error)),
        Err(_elapsed) => Err(explain(url, Error::Io(io::ErrorKind::TimedOut.into()))),
    }
}

/// The URL without its query, which may hold a token.
pub(crate) fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn explain(url: &str, error: Error) -> NotConnected {
    let url = shown(url);
    match error {
        Error::Http(response) => refused(url, response.status()),
        Error::Url(UrlError::TlsFeatureNotEnabled) | Error::HttpFormat(_) | Error::Url(_) => {
            NotConnected::Final(
                Failure::usage(format!("cannot connect to {url}: it is no WebSocket URL"))
                    .hint("it begins with wss:// (the local stack: ws://), as the stack's output WebSocketUrl"),
            )
        }
        Error::Io(error) => NotConnected::Unreachable(
            Failure::new(format!("cannot reach {url}: {error}"))
                .hint("is the URL right (the stack's output WebSocketUrl), and the network up?"),
        ),
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => NotConnected::Final(
            Failure::new(format!("{url} did not confirm the subprotocol `{SUBPROTOCOL}`"))
                .hint("is it the WebSocketUrl of a Hermes stack?"),
        ),
        other => NotConnected::Unreachable(Failure::new(format!(
            "cannot connect to {url}: {other}"
        ))),
    }
}

fn refused(url: &str, status: StatusCode) -> NotConnected {
    match status.as_u16() {
        401 => NotConnected::Final(
            Failure::new(format!(
                "{url} refused the token (401): expired, malformed, or signed with another secret"
            ))
            .hint("`hermes token inspect` says which; a stack keeps to its own JwtSecretArn, and clocks must agree to 10 s"),
        ),
        403 => NotConnected::Final(
            Failure::new(format!(
                "{url} does not admit this user to this room (403): revoked, or the credential is missing or another"
            ))
            .hint("`hermes token inspect` says which, `hermes token issue` admits the user again; where the token is good, look at the URL's stage"),
        ),
        429 | 500..=599 => {
            NotConnected::Busy(Failure::new(format!("{url} is not able to connect now ({status})")))
        }
        _ => NotConnected::Final(
            Failure::new(format!("{url} answered {status} instead of opening a WebSocket"))
                .hint("is it the WebSocketUrl of a Hermes stack, with the stage at its end?"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16) -> NotConnected {
        refused("wss://x/dev", StatusCode::from_u16(status).unwrap())
    }

    #[test]
    fn a_refused_token_is_final_and_a_busy_server_is_not() {
        for (status, says) in [
            (401, "expired, malformed"),
            (403, "revoked"),
            (404, "stage"),
            (200, "WebSocketUrl"),
        ] {
            let NotConnected::Final(failure) = refusal(status) else {
                panic!("{status} is tried again")
            };
            assert!(failure.to_string().contains(says), "{failure}");
        }
        for status in [429, 500, 502, 503] {
            assert!(matches!(refusal(status), NotConnected::Busy(_)), "{status}");
        }
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_a_usage_error_and_shows_no_token() {
        for url in ["demo", "https://x/dev?token=s3cret", "wss://?token=s3cret"] {
            let Err(NotConnected::Final(failure)) = connect(url, &Secret::new("a.b.c")).await
            else {
                panic!("{url} was connected to")
            };
            assert!(!failure.to_string().contains("s3cret"), "{failure}");
            assert!(failure.to_string().contains("wss://"), "{failure}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        drop(listener);
        let result = connect(&url, &Secret::new("a.b.c")).await;
        assert!(matches!(result, Err(NotConnected::Unreachable(_))));
    }
}
