//! A listener against a server in the same process.

use std::sync::{Arc, Mutex};

use futures::stream::FusedStream as _;
use futures::{SinkExt as _, StreamExt as _};
use hermes::claims::TokenSigner;
use hermes::issue::Issuer;
use hermes::memory::MemoryCredentials;
use hermes::secret::{JwtSecret, Secret};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::reader::PING;
use super::*;

const TIMING: Timing = Timing {
    ping_every: Duration::from_secs(60),
    answer_within: Duration::from_millis(200),
    replace_after: Duration::from_secs(60),
    overlap: Duration::from_millis(300),
    first_delay: Duration::from_millis(10),
    longest_delay: Duration::from_millis(50),
};

struct Server {
    listener: TcpListener,
}

impl Server {
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/dev", listener.local_addr().unwrap());
        (Self { listener }, url)
    }

    /// Opens the next connection. Gives the token too.
    async fn accept(&self) -> (WebSocketStream<TcpStream>, String) {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut offered = String::new();
        #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
        let choose = |request: &Request, mut response: Response| {
            let protocols = request.headers().get("sec-websocket-protocol").unwrap();
            offered = protocols.to_str().unwrap().to_owned();
            let chosen = HeaderValue::from_static("bearer");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", chosen);
            Ok(response)
        };
        let socket = accept_hdr_async(stream, choose).await.unwrap();
        let token = offered.strip_prefix("bearer, ").unwrap().to_owned();
        (socket, token)
    }

    async fn refuse(&self, status: u16) {
        let (stream, _) = self.listener.accept().await.unwrap();
        #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
        let refuse = |_: &Request, _: Response| {
            let mut response = ErrorResponse::new(None);
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Err(response)
        };
        assert!(accept_hdr_async(stream, refuse).await.is_err());
    }
}

fn notification(id: &str) -> Frame {
    Frame::text(format!(
        r#"{{"user_id":"system","data":1,"room_id":"demo","id":"{id}"}}"#
    ))
}

/// A listener that has enough after `count`, and the ids that it showed.
#[expect(clippy::type_complexity, reason = "named once")]
fn tail<'a>(
    url: &str,
    tokens: Tokens<&'a MemoryCredentials>,
    timing: Timing,
    count: usize,
) -> (
    Tail<&'a MemoryCredentials, impl FnMut(&Notification) -> Result<Wish, Failure>>,
    Arc<Mutex<Vec<String>>>,
) {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let shown = Arc::clone(&ids);
    let show = move |notification: &Notification| {
        let mut shown = shown.lock().unwrap();
        shown.push(notification.key().unwrap().1);
        Ok(if shown.len() == count {
            Wish::Enough
        } else {
            Wish::More
        })
    };
    (Tail::new(url.to_owned(), tokens, timing, show), ids)
}

fn fixed<'a>() -> Tokens<&'a MemoryCredentials> {
    Tokens::Fixed(Secret::new("a.b.c"))
}

fn own(credentials: &MemoryCredentials) -> Tokens<&MemoryCredentials> {
    let secret = JwtSecret::new(Secret::new("k".repeat(64))).unwrap();
    Tokens::Own {
        issuer: Issuer::new(
            credentials,
            TokenSigner::new(&secret),
            Secret::new("passcode"),
        ),
        credentials,
        user: "alice".parse().unwrap(),
        room: "demo".parse().unwrap(),
    }
}

fn shown(ids: &Mutex<Vec<String>>) -> Vec<String> {
    ids.lock().unwrap().clone()
}

/// Flaw: the socket object overwrites the object that holds `connect`, so no reconnect.
#[tokio::test]
async fn a_lost_connection_is_opened_again() {
    let (server, url) = Server::start().await;
    let (mut tail, ids) = tail(&url, fixed(), TIMING, 2);
    let script = async {
        let (mut socket, token) = server.accept().await;
        assert_eq!(token, "a.b.c");
        socket.send(Frame::text("no JSON at all")).await.unwrap();
        socket.send(notification("m-1")).await.unwrap();
        drop(socket);
        server.refuse(503).await;
        let (mut socket, _) = server.accept().await;
        socket.close(None).await.unwrap();
        let (mut socket, _) = server.accept().await;
        socket.send(notification("m-2")).await.unwrap();
    };
    let (result, ()) = tokio::join!(tail.run(), script);
    result.unwrap();
    assert_eq!(shown(&ids), ["m-1", "m-2"]);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_a_refusal_is_final() {
    let (server, url) = Server::start().await;
    let (mut tail, _) = tail(&url, fixed(), TIMING, 1);
    let script = async {
        server.refuse(429).await;
        server.refuse(403).await;
    };
    let (result, ()) = tokio::join!(tail.run(), script);
    assert!(result.unwrap_err().to_string().contains("(403)"));
    assert!(!tail.was_connected());
}

/// Flaw: no heartbeat.
#[tokio::test]
async fn a_connection_without_an_answer_to_a_ping_is_dead() {
    let timing = Timing {
        ping_every: Duration::from_millis(50),
        ..TIMING
    };
    let (server, url) = Server::start().await;
    let (mut tail, ids) = tail(&url, fixed(), timing, 1);
    let script = async {
        let (mut answers, _) = server.accept().await;
        for _ in 0..3 {
            let ping = answers.next().await.unwrap().unwrap();
            assert_eq!(ping.to_text().unwrap(), PING);
            let pong = Frame::text(r#"{"system":"pong","data":{}}"#);
            answers.send(pong).await.unwrap();
        }
        // From here on the connection is open, but nobody is there.
        let (mut alive, _) = server.accept().await;
        alive.send(notification("m-1")).await.unwrap();
        drop(answers);
    };
    let (result, ()) = tokio::join!(tail.run(), script);
    result.unwrap();
    assert_eq!(shown(&ids), ["m-1"]);
}

#[tokio::test]
async fn an_old_connection_is_replaced_without_losing_or_repeating_a_message() {
    let timing = Timing {
        replace_after: Duration::from_millis(100),
        ..TIMING
    };
    let (server, url) = Server::start().await;
    let (mut tail, ids) = tail(&url, fixed(), timing, 4);
    let script = async {
        let (mut old, _) = server.accept().await;
        old.send(notification("m-1")).await.unwrap();
        // A successor that does not come about stops nothing.
        server.refuse(503).await;
        old.send(notification("m-2")).await.unwrap();
        let (mut new, _) = server.accept().await;
        // One for whose members both were read.
        old.send(notification("m-3")).await.unwrap();
        new.send(notification("m-3")).await.unwrap();
        while old.next().await.is_some() {}
        assert!(old.is_terminated(), "the old one was closed");
        new.send(notification("m-4")).await.unwrap();
    };
    let (result, ()) = tokio::join!(tail.run(), script);
    result.unwrap();
    assert_eq!(shown(&ids), ["m-1", "m-2", "m-3", "m-4"]);
}

#[tokio::test]
async fn each_connection_has_its_own_token_until_the_user_is_revoked() {
    let credentials = MemoryCredentials::default();
    let (server, url) = Server::start().await;
    let (mut tail, _) = tail(&url, own(&credentials), TIMING, 1);
    let script = async {
        let (one, first) = server.accept().await;
        // `exp` is in whole seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        drop(one);
        let (two, second) = server.accept().await;
        assert_ne!(first, second);
        let (alice, demo) = ("alice".parse().unwrap(), "demo".parse().unwrap());
        hermes::issue::revoke(&&credentials, &alice, &demo)
            .await
            .unwrap();
        drop(two);
    };
    let (result, ()) = tokio::join!(tail.run(), script);
    assert!(result.unwrap_err().to_string().contains("were revoked"));
}
