//! `hermes listen` against a WebSocket server.

use std::process::Stdio;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::support::hermes;

const NOTIFICATION: &str = r#"{"user_id":"backend","data":{"n": 1},"room_id":"demo","id":"m-1","sent_at":"2026-11-21T22:26:40.007Z"}"#;

async fn server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/dev", listener.local_addr().unwrap());
    (listener, url)
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
    let choose = |request: &Request, mut response: Response| {
        assert_eq!(
            request.headers()["sec-websocket-protocol"],
            "bearer, e30.e30.c2ln"
        );
        assert!(!request.uri().to_string().contains("token"));
        let chosen = HeaderValue::from_static("bearer");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", chosen);
        Ok(response)
    };
    accept_hdr_async(stream, choose).await.unwrap()
}

fn listen(url: &str, options: &str) -> tokio::process::Child {
    let mut command = hermes(&format!("listen --url {url} {options}"));
    command
        .env("HERMES_TOKEN", "e30.e30.c2ln")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn notifications_are_the_output_and_the_rest_is_not() {
    let (listener, url) = server().await;
    let child = listen(&url, "--json --count 2 --timeout 20s");
    let mut socket = accept(&listener).await;
    let broken = NOTIFICATION.replace("\"data\":", "\n\"data\":");
    for frame in [r#"{"system":"pong","data":{}}"#, NOTIFICATION, &broken] {
        socket.send(Message::text(frame)).await.unwrap();
    }
    while let Some(Ok(_)) = socket.next().await {}
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        stdout,
        format!("{NOTIFICATION}\n{}\n", broken.replace('\n', " "))
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, format!("connected to {url}\n"));
}

#[tokio::test]
async fn a_server_that_closes_is_heard_out() {
    let (listener, url) = server().await;
    let child = listen(&url, "--count 1 --timeout 20s");
    let mut socket = accept(&listener).await;
    let closing = hermes::frame::closing("back at 10:00");
    for frame in [closing.as_str(), NOTIFICATION] {
        socket.send(Message::text(frame)).await.unwrap();
    }
    while let Some(Ok(_)) = socket.next().await {}
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!("connected to {url}\nthe server closes the connection: back at 10:00\n")
    );
}

/// The answer to the next question, which is about the room where it has `"room"`.
async fn recovered(socket: &mut WebSocketStream<TcpStream>, data: Value) {
    let question = socket.next().await.unwrap().unwrap();
    let question: Value = serde_json::from_str(question.to_text().unwrap()).unwrap();
    assert_eq!(
        (&question["action"], &question["stream"]),
        (&json!("recover"), &data["stream"])
    );
    let answer = json!({"system": "recovered", "ref": question["ref"], "data": data});
    socket
        .send(Message::text(answer.to_string()))
        .await
        .unwrap();
}

#[tokio::test]
async fn history_that_is_gone_is_told_and_is_no_part_of_the_output() {
    let (listener, url) = server().await;
    let child = listen(&url, "--json --count 2 --timeout 20s");
    let place = |offset| {
        let place = format!(r#","stream":"room","epoch":"e","offset":{offset}}}"#);
        NOTIFICATION.strip_suffix('}').unwrap().to_owned() + &place
    };
    let data = |stream, head, complete, messages: Value| json!({"stream": stream, "epoch": "e", "head": head, "complete": complete, "more": false, "messages": messages});
    let mut socket = accept(&listener).await;
    let first: Value = serde_json::from_str(&place(1)).unwrap();
    recovered(&mut socket, data("room", 1, true, json!([first]))).await;
    recovered(&mut socket, data("user", 0, true, json!([]))).await;
    drop(socket);
    let mut socket = accept(&listener).await;
    recovered(&mut socket, data("room", 8, false, json!([]))).await;
    for offset in [8, 9] {
        socket.send(Message::text(place(offset))).await.unwrap();
    }
    while let Some(Ok(_)) = socket.next().await {}
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let offsets: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["offset"].clone())
        .collect();
    assert_eq!(offsets, [1, 9]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    for says in [
        "what was sent meanwhile follows",
        "history is gone: what was sent to the room since the last notification cannot be shown",
    ] {
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[tokio::test]
async fn without_a_terminal_there_are_no_colours_and_a_timeout_is_no_success() {
    let (listener, url) = server().await;
    let child = listen(&url, "--count 2 --timeout 1s");
    let mut socket = accept(&listener).await;
    socket.send(Message::text(NOTIFICATION)).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(10), async {
        while let Some(Ok(frame)) = socket.next().await {
            if frame.is_close() {
                return true;
            }
        }
        false
    });
    assert!(closed.await.unwrap(), "it says goodbye");
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout, "22:26:40.007Z backend {\"n\": 1}\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("1 of 2 notifications arrived in time"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_it_quietly() {
    let (listener, url) = server().await;
    let mut child = listen(&url, "--timeout 20s");
    drop(child.stdout.take());
    let mut socket = accept(&listener).await;
    socket.send(Message::text(NOTIFICATION)).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!("connected to {url}\n")
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_is_the_normal_end() {
    let (listener, url) = server().await;
    let mut child = listen(&url, "");
    let mut socket = accept(&listener).await;
    // Before it knows that it is connected, a signal is no normal end.
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(
        told.next_line().await.unwrap(),
        Some(format!("connected to {url}"))
    );
    let id = child.id().unwrap().to_string();
    let kill = std::process::Command::new("kill").arg(id).status();
    assert!(kill.unwrap().success());
    while let Some(Ok(_)) = socket.next().await {}
    assert_eq!(
        child.wait_with_output().await.unwrap().status.code(),
        Some(0)
    );
}
