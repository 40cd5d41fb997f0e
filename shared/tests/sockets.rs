//! The lean requests against the SDK's client for `@connections`: the same requests, the same outcomes.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::config::{BehaviorVersion, Builder, Region};
use aws_sdk_apigatewaymanagement::primitives::Blob;
use aws_types::SdkConfig;
use hermes::ConnectionId;
use hermes::aws::ApiGatewaySockets;
use hermes::ports::{Posted, Remedy, Sockets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const FRAME: &str = r#"{"data":"grüezi"}"#;

/// What the fan-out learns of a post: done, closed, or failed, and then what may help.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done(Posted),
    Failed(Remedy),
}

/// A server that behaves towards each connection as its name says, and remembers what it was asked.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (server.requests.clone(), server.connections.clone());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                *connections.lock().unwrap() += 1;
                tokio::spawn(serve(socket, requests.clone()));
            }
        });
        server
    }

    fn config(&self) -> SdkConfig {
        let credentials = Credentials::new("AKID", "secret", Some("token".into()), None, "test");
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(300))
            .operation_attempt_timeout(Duration::from_millis(300));
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .timeout_config(timeouts.build())
            .build()
    }

    fn endpoint(&self) -> String {
        format!("http://{}/dev", self.address)
    }

    /// What the last request said, but for its time, its signature, and what the SDK says of itself.
    fn last_request(&self) -> Vec<String> {
        let own = [
            "x-amz-date:",
            "authorization:",
            "user-agent:",
            "x-amz-user-agent:",
            "amz-sdk-",
        ];
        let request = self.requests.lock().unwrap().pop().unwrap();
        let mut lines: Vec<_> = request.lines().map(str::to_owned).collect();
        lines.retain(|line| !own.iter().any(|name| line.starts_with(name)));
        lines.sort();
        lines
    }
}

async fn serve(mut socket: TcpStream, requests: Arc<Mutex<Vec<String>>>) {
    loop {
        let mut request = Vec::new();
        while !is_complete(&request) {
            if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let request = String::from_utf8(request).unwrap();
        let name = request.split(['/', ' ']).nth(4).unwrap().to_owned();
        requests.lock().unwrap().push(request);
        let answer = |status: &str, kind: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status}\r\nx-amzn-ErrorType: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        };
        let bytes = match name.as_str() {
            "gone" => answer("410 Gone", "GoneException", "{}"),
            "limit" => answer(
                "429 Too Many",
                "LimitExceededException",
                r#"{"message":"slow"}"#,
            ),
            "forbidden" => answer("403 Forbidden", "ForbiddenException", "{}"),
            "large" => answer("413 Too Large", "PayloadTooLargeException", "{}"),
            "moved" => answer("301 Moved", "", ""),
            "bad" => answer("400 Bad Request", "BadRequestException", "no JSON"),
            "broken" => answer("500 Oops", "InternalFailure", "<html>"),
            "busy" => answer("503 Busy", "", ""),
            "silent" => {
                sleep(Duration::from_secs(2)).await;
                return;
            }
            "closing" => return,
            "reset" => {
                socket.set_zero_linger().unwrap();
                return;
            }
            "half" => "HTTP/1.1 200 O".to_owned(),
            _ => answer("200 OK", "", ""),
        };
        if socket.write_all(bytes.as_bytes()).await.is_err() || name == "half" {
            return;
        }
    }
}

/// A post ends with its frame; a close has only a head.
fn is_complete(request: &[u8]) -> bool {
    if request.starts_with(b"DELETE") {
        request.ends_with(b"\r\n\r\n")
    } else {
        request.ends_with(FRAME.as_bytes())
    }
}

async fn lean(sockets: &ApiGatewaySockets, connection: &ConnectionId) -> Outcome {
    match sockets.post(connection, FRAME).await {
        Ok(posted) => Outcome::Done(posted),
        Err(error) => Outcome::Failed(error.remedy),
    }
}

/// The SDK's client, as it was used before.
async fn sdk(client: &Client, connection: &ConnectionId) -> Outcome {
    let post = client.post_to_connection();
    let post = post
        .connection_id(connection.as_str())
        .data(Blob::new(FRAME));
    match post.send().await {
        Ok(_) => Outcome::Done(Posted::Delivered),
        Err(error) => match error.raw_response().map(|answer| answer.status().as_u16()) {
            Some(410) => Outcome::Done(Posted::Gone),
            Some(429) => Outcome::Failed(Remedy::SlowDown),
            Some(status) if status < 500 => Outcome::Failed(Remedy::None),
            _ => Outcome::Failed(Remedy::Later),
        },
    }
}

/// Whether the SDK's client closes a connection, as it was used before.
async fn sdk_closes(client: &Client, connection: &ConnectionId) -> bool {
    let close = client.delete_connection();
    let closed = close.connection_id(connection.as_str()).send().await;
    closed.map_or_else(
        |error| {
            error
                .raw_response()
                .is_some_and(|answer| answer.status().as_u16() == 410)
        },
        |_| true,
    )
}

fn sdk_client(config: &SdkConfig, endpoint: &str) -> Client {
    let config = Builder::from(config)
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

#[tokio::test]
async fn what_becomes_of_a_post_is_what_the_sdk_says() {
    let server = Server::start().await;
    let (config, endpoint) = (server.config(), server.endpoint());
    let client = sdk_client(&config, &endpoint);
    let sockets = ApiGatewaySockets::new(&config, &endpoint).unwrap();
    let failed = Outcome::Failed;
    for (name, expected) in [
        ("open", Outcome::Done(Posted::Delivered)),
        ("gone", Outcome::Done(Posted::Gone)),
        ("limit", failed(Remedy::SlowDown)),
        ("forbidden", failed(Remedy::None)),
        ("large", failed(Remedy::None)),
        ("moved", failed(Remedy::None)),
        ("bad", failed(Remedy::None)),
        ("broken", failed(Remedy::Later)),
        ("busy", failed(Remedy::Later)),
        ("silent", failed(Remedy::Later)),
        ("closing", failed(Remedy::Later)),
        ("reset", failed(Remedy::Later)),
        ("half", failed(Remedy::Later)),
    ] {
        let connection = name.parse().unwrap();
        assert_eq!(sdk(&client, &connection).await, expected, "SDK: {name}");
        assert_eq!(lean(&sockets, &connection).await, expected, "lean: {name}");
    }
}

/// Closed, or already gone: the same. What may pass is tried three times, as the SDK does by itself.
#[tokio::test]
async fn what_becomes_of_a_close_is_what_the_sdk_says() {
    let server = Server::start().await;
    let (config, endpoint) = (server.config(), server.endpoint());
    let client = sdk_client(&config, &endpoint);
    let sockets = ApiGatewaySockets::new(&config, &endpoint).unwrap();
    for (name, closes, attempts) in [
        ("open", true, 1),
        ("gone", true, 1),
        ("forbidden", false, 1),
        ("moved", false, 1),
        ("bad", false, 1),
        ("limit", false, 3),
        ("broken", false, 3),
        ("busy", false, 3),
        ("silent", false, 3),
        ("closing", false, 3),
        ("half", false, 3),
    ] {
        let connection = name.parse().unwrap();
        assert_eq!(
            sdk_closes(&client, &connection).await,
            closes,
            "SDK: {name}"
        );
        server.requests.lock().unwrap().clear();
        let closed = sockets.close(&connection).await;
        assert_eq!(closed.is_ok(), closes, "lean: {name}");
        assert_eq!(server.requests.lock().unwrap().len(), attempts, "{name}");
    }
}

#[tokio::test]
async fn nobody_listening_is_worth_another_attempt() {
    let server = Server::start().await;
    // Nothing listens on port 1.
    let (config, endpoint) = (server.config(), "http://127.0.0.1:1/dev");
    let connection = "open".parse().unwrap();
    let sockets = ApiGatewaySockets::new(&config, endpoint).unwrap();
    let expected = Outcome::Failed(Remedy::Later);
    assert_eq!(lean(&sockets, &connection).await, expected);
    let client = sdk_client(&config, endpoint);
    assert_eq!(sdk(&client, &connection).await, expected);
}

#[tokio::test]
async fn the_request_is_the_one_that_the_sdk_sends() {
    let server = Server::start().await;
    let config = server.config();
    for stage in ["", "/", "/dev", "/dev/", "/_aws/execute-api/abc/dev"] {
        let endpoint = format!("http://{}{stage}", server.address);
        let client = sdk_client(&config, &endpoint);
        let sockets = ApiGatewaySockets::new(&config, &endpoint).unwrap();
        for name in ["L0SM9cOFvHcCIhw=", "a+b/c==", "~ %2F?#[]@!$&'()*,;:"] {
            let connection = name.parse().unwrap();
            lean(&sockets, &connection).await;
            let ours = server.last_request();
            sdk(&client, &connection).await;
            assert_eq!(ours, server.last_request(), "{stage} {name}");
            sockets.close(&connection).await.unwrap();
            let ours = server.last_request();
            assert!(sdk_closes(&client, &connection).await);
            assert_eq!(ours, server.last_request(), "closing {stage} {name}");
        }
    }
}

#[tokio::test]
async fn connections_are_used_again_whatever_was_answered() {
    let server = Server::start().await;
    let sockets = ApiGatewaySockets::new(&server.config(), &server.endpoint()).unwrap();
    for name in ["open", "gone", "limit", "forbidden", "broken", "open"] {
        lean(&sockets, &name.parse().unwrap()).await;
    }
    assert_eq!(*server.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn each_post_carries_its_own_frame() {
    let server = Server::start().await;
    let sockets = ApiGatewaySockets::new(&server.config(), &server.endpoint()).unwrap();
    let connection = "open".parse().unwrap();
    for frame in [FRAME.to_owned(), format!("1{FRAME}"), FRAME.to_owned()] {
        sockets.post(&connection, &frame).await.unwrap();
        let request = server.requests.lock().unwrap().pop().unwrap();
        assert_eq!(request.split("\r\n\r\n").nth(1), Some(frame.as_str()));
    }
}

#[tokio::test]
async fn an_endpoint_is_a_url() {
    let config = Server::start().await.config();
    for endpoint in ["", "dev", "/dev", "127.0.0.1:80", "wss://example.com/dev"] {
        assert!(
            ApiGatewaySockets::new(&config, endpoint).is_err(),
            "{endpoint}"
        );
    }
}
