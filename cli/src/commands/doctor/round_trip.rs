//! A message through everything: token, handshake, queue, function, socket.

use std::future::pending;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use hermes::{Message, MessageId, UserId};
use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::check::Check;
use super::tables::{room, user};
use crate::failure::Failure;
use crate::queue::{Entry, Queue};
use crate::settings::{Setting, Settings};
use crate::socket::{PING, Socket, connect};

const CHECK: &str = "round trip";

/// How long the token is good: only the handshake needs it.
const TTL: Duration = Duration::from_secs(5 * 60);

/// What Hermes promises: in the room within a second.
const PROMISE_MS: u64 = 1000;

/// How long a ping may take.
const PONG_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn check(settings: &Settings, patience: Duration) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Err(failure) = travel(settings, patience, &mut checks).await {
        let check = Check::failed(CHECK, failure);
        let elsewhere = || "the checks before it say more".to_owned();
        checks.push(Check {
            hint: Some(check.hint.unwrap_or_else(elsewhere)),
            ..check
        });
    }
    checks
}

async fn travel(
    settings: &Settings,
    patience: Duration,
    checks: &mut Vec<Check>,
) -> Result<(), Failure> {
    let (room, user) = (room(), user());
    let began = Instant::now();
    let issuer = settings.issuer(settings.credentials().await?).await?;
    let now = hermes::time::Clock::now(&hermes::time::SystemClock);
    let token = issuer.issue(&user, &room, TTL, now).await?.jwt;
    checks.push(done("issued a token", began));

    let began = Instant::now();
    let url = settings.required(Setting::WebSocketUrl).await?;
    let mut socket = connect(&url, &token).await?;
    checks.push(done("opened a socket", began));

    let began = Instant::now();
    ping(&mut socket).await?;
    checks.push(done("pinged", began));

    let url = settings.required(Setting::MessageQueueUrl).await?;
    let queue = Queue::new(settings.sdk().await?, url);
    let message = Message {
        sender: UserId::system(),
        data: to_raw_value(&serde_json::json!({"type": "hermes.doctor"})).expect("JSON"),
        room,
        id: MessageId::generate(),
        sent_at: now,
        to: None,
    };
    let entry = Entry {
        line: 1,
        id: message.id.clone(),
        body: message.to_queue_body().expect("it is small"),
        sequence: message.sequence(),
    };
    let began = Instant::now();
    let sent = queue.send(&[entry], pending(), |_| {}).await;
    if let Some(failure) = sent.failure {
        return Err(failure);
    }
    let arrived = timeout(patience, receive(&mut socket, message.id.as_str())).await;
    let _ = socket.close(None).await;
    match arrived {
        Ok(outcome) => outcome?,
        Err(_elapsed) => {
            let patience = humantime::format_duration(patience);
            return Err(Failure::new(format!(
                "the message did not arrive within {patience}: it was enqueued, the socket is open"
            ))
            .hint("is a trigger disabled, or the queue long? Else the log of send-message says why: `hermes tail --since 5m`"));
        }
    }
    let arrived = done("a message went through the queue to the socket", began);
    checks.push(match arrived.ms {
        Some(ms) if ms > PROMISE_MS => Check {
            outcome: super::check::Outcome::Warn,
            hint: Some("longer than a second: functions that start for the first time take longer; try again".to_owned()),
            ..arrived
        },
        _ => arrived,
    });
    Ok(())
}

fn done(what: &str, began: Instant) -> Check {
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Check::ok(CHECK, format!("{what} in {ms} ms")).took(ms)
}

/// A socket that answers is open on both sides.
async fn ping(socket: &mut Socket) -> Result<(), Failure> {
    let lost = |error| Failure::new(format!("the socket broke: {error}"));
    socket.send(Frame::text(PING)).await.map_err(lost)?;
    let pong = next(socket, |frame| frame["system"] == "pong");
    timeout(PONG_WITHIN, pong).await.unwrap_or_else(|_elapsed| {
        Err(Failure::new("a ping was not answered within 10 s").hint("the log of default says why"))
    })
}

async fn receive(socket: &mut Socket, id: &str) -> Result<(), Failure> {
    next(socket, |frame| frame["id"] == id).await
}

async fn next(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Result<(), Failure> {
    while let Some(frame) = socket.next().await {
        let frame = frame.map_err(|error| Failure::new(format!("the socket broke: {error}")))?;
        let text = frame.to_text().unwrap_or_default();
        if serde_json::from_str(text).is_ok_and(|frame| wanted(&frame)) {
            return Ok(());
        }
    }
    Err(Failure::new("the socket was closed by the other side"))
}
