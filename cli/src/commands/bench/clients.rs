//! The sockets of a run.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use hermes::RoomId;
use hermes::secret::Secret;
use hermes::time::{Clock as _, SystemClock};
use indicatif::ProgressBar;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::tally::Tally;
use super::user;
use crate::failure::Failure;
use crate::settings::{Setting, Settings};
use crate::socket::{NotConnected, PING, Socket, connect};

/// How many handshakes are under way at the same time. An account has 500 a second.
const CONCURRENCY: usize = 32;

/// How long the tokens are good: only the handshakes need them.
const TTL: Duration = Duration::from_secs(15 * 60);

/// How often an open socket pings: API Gateway ends one on which nothing comes for ten minutes.
pub(super) const PING_EVERY: Duration = Duration::from_secs(5 * 60);

/// How long a ping may take.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How long a socket may take to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Open sockets, each of which counts what it receives.
pub(super) struct Clients {
    /// How many sockets are in each room.
    in_room: Vec<usize>,
    /// Each says whether it broke.
    tasks: Vec<JoinHandle<bool>>,
    end: watch::Sender<bool>,
}

impl Clients {
    /// Opens so many, evenly over the rooms.
    pub(super) async fn open(
        settings: &Settings,
        rooms: &[RoomId],
        clients: usize,
        tally: &Arc<Tally>,
        bar: &ProgressBar,
    ) -> Result<Self, Failure> {
        let issuer = settings.issuer(settings.credentials().await?).await?;
        let url = settings.required(Setting::WebSocketUrl).await?;
        let mut tokens = Vec::new();
        for room in rooms {
            let issued = issuer.issue(&user(), room, TTL, SystemClock.now()).await?;
            tokens.push(issued.jwt);
        }
        let (end, _) = watch::channel(false);
        let mut in_room = vec![0; rooms.len()];
        let opening = stream::iter(0..clients).map(|client| {
            in_room[client % rooms.len()] += 1;
            open(&url, &tokens[client % rooms.len()], bar)
        });
        let sockets: Vec<Socket> = opening.buffer_unordered(CONCURRENCY).try_collect().await?;
        let tasks = sockets.into_iter();
        let tasks =
            tasks.map(|socket| tokio::spawn(listen(socket, Arc::clone(tally), end.subscribe())));
        Ok(Self {
            tasks: tasks.collect(),
            in_room,
            end,
        })
    }

    /// How many notifications there must be, of so many messages in each room.
    pub(super) fn expected(&self, messages: &[usize]) -> usize {
        let rooms = self.in_room.iter().zip(messages);
        rooms.map(|(sockets, messages)| sockets * messages).sum()
    }

    /// Closes all of them, until `stop`; gives the number of those that broke before.
    pub(super) async fn close(self, stop: impl Future<Output = ()>) -> usize {
        let _ = self.end.send(true);
        let mut broken = 0;
        let closing = async {
            for task in self.tasks {
                broken += usize::from(task.await.unwrap_or(true));
            }
        };
        tokio::select! {
            () = closing => {}
            () = stop => {}
        }
        broken
    }
}

/// Opens one, and waits until it is open on both sides.
async fn open(url: &str, token: &Secret, bar: &ProgressBar) -> Result<Socket, Failure> {
    let attempt = || connect(url, token);
    let mut socket = attempt
        .retry(
            ExponentialBuilder::default()
                .with_max_times(5)
                .with_jitter(),
        )
        .when(|error| matches!(error, NotConnected::Busy(_)))
        .await?;
    let broke = |error| Failure::new(format!("a socket broke at once: {error}"));
    socket.send(Frame::text(PING)).await.map_err(broke)?;
    let answered = async {
        while let Some(frame) = socket.next().await {
            let frame = frame.map_err(broke)?;
            let frame = serde_json::from_str::<Value>(frame.to_text().unwrap_or_default());
            if frame.is_ok_and(|frame| frame["system"] == "pong") {
                return Ok(());
            }
        }
        Err(Failure::new("a socket was closed at once"))
    };
    timeout(PONG_WITHIN, answered)
        .await
        .unwrap_or_else(|_elapsed| Err(Failure::new("a ping was not answered within 10 s")))?;
    bar.inc(1);
    Ok(socket)
}

/// Counts until the end; says whether the socket broke before.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    tally: Arc<Tally>,
    mut end: watch::Receiver<bool>,
) -> bool {
    let mut seen = tally.seen();
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        tokio::select! {
            frame = socket.next() => match frame {
                Some(Ok(Frame::Text(text))) => tally.receive(&text, &mut seen),
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return true,
                Some(Ok(_)) => {}
            },
            _ = pings.tick() => {
                if socket.send(Frame::text(PING)).await.is_err() {
                    return true;
                }
            }
            _ = end.changed() => {
                let closing = async {
                    let _ = socket.close(None).await;
                    while let Some(Ok(_)) = socket.next().await {}
                };
                let _ = timeout(CLOSE_WITHIN, closing).await;
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::Role;

    /// API Gateway ends a socket on which nothing comes for ten minutes.
    #[tokio::test(start_paused = true)]
    async fn a_socket_on_which_nothing_comes_pings_within_ten_minutes() {
        let (here, there) = tokio::io::duplex(1024);
        let socket = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
        let mut server = WebSocketStream::from_raw_socket(there, Role::Server, None).await;
        let (end, ended) = watch::channel(false);
        let tally = Arc::new(Tally::new(1, 1, "run"));
        let listening = tokio::spawn(listen(socket, tally, ended));
        for _ in 0..3 {
            let frame = timeout(Duration::from_secs(9 * 60), server.next()).await;
            let frame = frame.expect("it pings").unwrap().unwrap();
            assert_eq!(frame.to_text().unwrap(), PING);
        }
        end.send(true).unwrap();
        while let Some(Ok(_)) = server.next().await {}
        assert!(!listening.await.unwrap(), "it broke");
    }
}
