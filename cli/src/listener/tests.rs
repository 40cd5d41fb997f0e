//! A listener against a server in the same process.

use std::sync::{Arc, Mutex};

use futures::stream::FusedStream as _;
use futures::{SinkExt as _, StreamExt as _};
use hermes::claims::TokenSigner;
use hermes::issue::Issuer;
use hermes::memory::MemoryCredentials;
use hermes::secret::{JwtSecret, Secret};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::*;
use crate::socket::PING;

const TIMING: Timing = Timing {
    ping_every: Duration::from_secs(60),
    answer_within: Duration::from_millis(200),
    overtaken_within: Duration::from_millis(20),
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

/// Loses a connection, but nothing that was sent on it: where a socket is dropped with frames that
/// nobody read, the system throws away also what is under way to the other side.
async fn lose(mut socket: WebSocketStream<TcpStream>) {
    socket.get_mut().shutdown().await.unwrap();
    tokio::spawn(async move {
        while socket
            .get_mut()
            .read(&mut [0; 1024])
            .await
            .is_ok_and(|read| read > 0)
        {}
    });
}

/// The listener and its server's script at the same time. The script gives what is to stay open until the
/// listener has enough.
async fn play<R, S>(run: impl Future<Output = R>, script: impl Future<Output = S>) -> R {
    let both = async { tokio::join!(run, script) };
    tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .expect("both end")
        .0
}

fn notification(id: &str) -> Frame {
    Frame::text(format!(
        r#"{{"user_id":"system","data":1,"room_id":"demo","id":"{id}"}}"#
    ))
}

/// A notification in the log.
fn place(stream: &str, offset: u64) -> String {
    format!(
        r#"{{"user_id":"system","data":1,"room_id":"demo","id":"{stream}-{offset}","stream":"{stream}","epoch":"e","offset":{offset}}}"#
    )
}

/// The next question: what was seen of the stream, and how to answer with these offsets.
async fn asked(
    socket: &mut WebSocketStream<TcpStream>,
) -> (Value, impl Fn(u64, &[u64], bool) -> Frame + use<>) {
    let frame = socket.next().await.unwrap().unwrap();
    let request: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
    assert_eq!(request["action"], "recover", "{request}");
    let (stream, reference) = (request["stream"].clone(), request["ref"].clone());
    let answer = move |head: u64, offsets: &[u64], complete: bool| {
        let stream = stream.as_str().unwrap();
        let messages: Vec<Value> = offsets
            .iter()
            .map(|offset| serde_json::from_str(&place(stream, *offset)).unwrap())
            .collect();
        let more = offsets.last().is_some_and(|last| *last < head);
        let data = json!({"stream": stream, "epoch": "e", "head": head, "complete": complete, "more": more, "messages": messages});
        Frame::text(json!({"system": "recovered", "ref": reference, "data": data}).to_string())
    };
    (request, answer)
}

/// The questions of a new connection about the room, seen up to `seen`, and the user, who has nothing.
async fn asked_for_both(
    socket: &mut WebSocketStream<TcpStream>,
    seen: Option<u64>,
) -> impl Fn(u64, &[u64], bool) -> Frame + use<> {
    let (request, room) = asked(socket).await;
    assert_eq!(request["stream"], "room");
    assert_eq!(request.get("offset"), seen.map(Value::from).as_ref());
    assert_eq!(request.get("epoch"), seen.map(|_| json!("e")).as_ref());
    let (request, user) = asked(socket).await;
    assert_eq!(request["stream"], "user");
    socket.send(user(0, &[], true)).await.unwrap();
    room
}

/// Answers the questions of a new connection as a deployment without a log does.
async fn has_no_log(socket: &mut WebSocketStream<TcpStream>) {
    for _ in 0..2 {
        let (request, _) = asked(socket).await;
        let data = json!({"code": "unknown_action", "message": "no history"});
        let error = json!({"system": "error", "ref": request["ref"], "data": data});
        socket.send(Frame::text(error.to_string())).await.unwrap();
    }
}

/// A listener that has enough after `count`, and the ids that it showed.
#[expect(clippy::type_complexity, reason = "named once")]
fn listener<'a>(
    url: &str,
    tokens: Tokens<&'a MemoryCredentials>,
    timing: Timing,
    count: usize,
) -> (
    Listener<&'a MemoryCredentials, impl FnMut(&Notification) -> Result<Wish, Failure>>,
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
    (Listener::new(url.to_owned(), tokens, timing, show), ids)
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
    let (mut listener, ids) = listener(&url, fixed(), TIMING, 2);
    let script = async {
        let (mut socket, token) = server.accept().await;
        assert_eq!(token, "a.b.c");
        socket.send(Frame::text("no JSON at all")).await.unwrap();
        socket.send(notification("m-1")).await.unwrap();
        lose(socket).await;
        server.refuse(503).await;
        let (mut socket, _) = server.accept().await;
        socket.close(None).await.unwrap();
        let (mut socket, _) = server.accept().await;
        socket.send(notification("m-2")).await.unwrap();
        socket
    };
    let result = play(listener.run(), script).await;
    result.unwrap();
    assert_eq!(shown(&ids), ["m-1", "m-2"]);
}

/// Flaw: no backoff, no error handler.
#[tokio::test]
async fn a_busy_server_is_asked_again_and_a_refusal_is_final() {
    let (server, url) = Server::start().await;
    let (mut listener, _) = listener(&url, fixed(), TIMING, 1);
    let script = async {
        server.refuse(429).await;
        server.refuse(403).await;
    };
    let result = play(listener.run(), script).await;
    assert!(result.unwrap_err().to_string().contains("(403)"));
    assert!(!listener.was_connected());
}

/// Flaw: no heartbeat.
#[tokio::test]
async fn a_connection_without_an_answer_to_a_ping_is_dead() {
    let timing = Timing {
        ping_every: Duration::from_millis(50),
        ..TIMING
    };
    let (server, url) = Server::start().await;
    let (mut listener, ids) = listener(&url, fixed(), timing, 1);
    let script = async {
        let (mut answers, _) = server.accept().await;
        has_no_log(&mut answers).await;
        for _ in 0..3 {
            let ping = answers.next().await.unwrap().unwrap();
            assert_eq!(ping.to_text().unwrap(), PING);
            let pong = Frame::text(r#"{"system":"pong","data":{}}"#);
            answers.send(pong).await.unwrap();
        }
        // From here on the connection is open, but nobody is there.
        let (mut alive, _) = server.accept().await;
        alive.send(notification("m-1")).await.unwrap();
        (answers, alive)
    };
    let result = play(listener.run(), script).await;
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
    let (mut listener, ids) = listener(&url, fixed(), timing, 4);
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
        new
    };
    let result = play(listener.run(), script).await;
    result.unwrap();
    assert_eq!(shown(&ids), ["m-1", "m-2", "m-3", "m-4"]);
}

#[tokio::test]
async fn each_connection_has_its_own_token_until_the_user_is_revoked() {
    let credentials = MemoryCredentials::default();
    let (server, url) = Server::start().await;
    let (mut listener, _) = listener(&url, own(&credentials), TIMING, 1);
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
    let result = play(listener.run(), script).await;
    assert!(result.unwrap_err().to_string().contains("were revoked"));
}

#[tokio::test]
async fn what_was_missed_is_shown_in_its_place_and_nothing_twice() {
    let (server, url) = Server::start().await;
    let (mut listener, ids) = listener(&url, fixed(), TIMING, 8);
    let script = async {
        let (mut socket, _) = server.accept().await;
        let room = asked_for_both(&mut socket, None).await;
        socket.send(Frame::text(place("room", 2))).await.unwrap();
        socket.send(room(1, &[1], true)).await.unwrap();
        // One overtakes another.
        for offset in [4, 3, 4, 2] {
            socket
                .send(Frame::text(place("room", offset)))
                .await
                .unwrap();
        }
        // One is lost.
        socket.send(Frame::text(place("room", 6))).await.unwrap();
        let (request, room) = asked(&mut socket).await;
        assert_eq!(request["offset"], 4);
        socket.send(room(6, &[5, 6], true)).await.unwrap();
        lose(socket).await;

        let (mut socket, _) = server.accept().await;
        let room = asked_for_both(&mut socket, Some(6)).await;
        socket.send(room(8, &[7], true)).await.unwrap();
        let (request, room) = asked(&mut socket).await;
        assert_eq!(request["offset"], 7);
        socket.send(room(8, &[8], true)).await.unwrap();
        socket
    };
    let result = play(listener.run(), script).await;
    result.unwrap();
    let expected: Vec<_> = (1..=8).map(|offset| format!("room-{offset}")).collect();
    assert_eq!(shown(&ids), expected);
}

#[tokio::test]
async fn a_pong_tells_of_what_was_lost_in_a_quiet_room() {
    let timing = Timing {
        ping_every: Duration::from_millis(300),
        ..TIMING
    };
    let (server, url) = Server::start().await;
    let (mut listener, ids) = listener(&url, fixed(), timing, 1);
    let script = async {
        let (mut socket, _) = server.accept().await;
        let room = asked_for_both(&mut socket, None).await;
        socket.send(room(3, &[], true)).await.unwrap();
        let ping = socket.next().await.unwrap().unwrap();
        assert_eq!(ping.to_text().unwrap(), PING);
        let heads =
            json!({"room": {"epoch": "e", "offset": 3}, "user": {"epoch": "e", "offset": 1}});
        let pong = json!({"system": "pong", "data": {"heads": heads}});
        socket.send(Frame::text(pong.to_string())).await.unwrap();
        let (request, user) = asked(&mut socket).await;
        assert_eq!(
            (&request["stream"], &request["offset"]),
            (&json!("user"), &json!(0))
        );
        socket.send(user(1, &[1], true)).await.unwrap();
        socket
    };
    let result = play(listener.run(), script).await;
    result.unwrap();
    assert_eq!(shown(&ids), ["user-1"]);
}

#[tokio::test]
async fn history_that_is_gone_ends_nothing() {
    let (server, url) = Server::start().await;
    let (mut listener, ids) = listener(&url, fixed(), TIMING, 2);
    let script = async {
        let (mut socket, _) = server.accept().await;
        let room = asked_for_both(&mut socket, None).await;
        socket.send(room(1, &[1], true)).await.unwrap();
        lose(socket).await;
        let (mut socket, _) = server.accept().await;
        let room = asked_for_both(&mut socket, Some(1)).await;
        socket.send(room(7, &[], false)).await.unwrap();
        socket.send(Frame::text(place("room", 8))).await.unwrap();
        socket
    };
    let result = play(listener.run(), script).await;
    result.unwrap();
    assert_eq!(shown(&ids), ["room-1", "room-8"]);
}

#[tokio::test]
async fn a_question_without_an_answer_is_asked_again() {
    let (server, url) = Server::start().await;
    let (mut listener, ids) = listener(&url, fixed(), TIMING, 1);
    let script = async {
        let (mut socket, _) = server.accept().await;
        let _unsent = asked_for_both(&mut socket, None).await;
        let (request, room) = asked(&mut socket).await;
        assert_eq!(request["stream"], "room");
        socket.send(room(1, &[1], true)).await.unwrap();
        socket
    };
    let result = play(listener.run(), script).await;
    result.unwrap();
    assert_eq!(shown(&ids), ["room-1"]);
}

#[tokio::test]
async fn the_successor_of_an_old_connection_asks_for_what_came_between() {
    let timing = Timing {
        replace_after: Duration::from_millis(100),
        ..TIMING
    };
    let (server, url) = Server::start().await;
    let (mut listener, ids) = listener(&url, fixed(), timing, 3);
    let script = async {
        let (mut old, _) = server.accept().await;
        let room = asked_for_both(&mut old, None).await;
        old.send(room(1, &[1], true)).await.unwrap();
        let (mut new, _) = server.accept().await;
        old.send(Frame::text(place("room", 2))).await.unwrap();
        while old.next().await.is_some() {}
        let room = asked_for_both(&mut new, Some(2)).await;
        new.send(Frame::text(place("room", 2))).await.unwrap();
        new.send(room(3, &[3], true)).await.unwrap();
        new
    };
    let result = play(listener.run(), script).await;
    result.unwrap();
    assert_eq!(shown(&ids), ["room-1", "room-2", "room-3"]);
}
