//! Reading a connection: notifications, and pings that tell whether it is alive.

use std::collections::HashSet;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Timing, Wish};
use crate::failure::Failure;
use crate::notification::{Notification, Received, read};
use crate::output::status;
use crate::socket::Socket;

/// The application's ping: API Gateway counts it as traffic, and Hermes answers it.
pub(super) const PING: &str = r#"{"action":"ping"}"#;

/// Why reading stopped.
pub(super) enum Step {
    /// There were notifications enough.
    Enough,
    /// The connection is old enough to be replaced; it may still be read.
    Replace,
    /// The connection is gone, and why.
    Lost(String),
}

/// Reads one connection after the other.
pub(super) struct Reader<S> {
    timing: Timing,
    show: S,
    socket: Option<Socket>,
    was_connected: bool,
    /// Whether a successor is being opened, which may receive the same.
    remembers: bool,
    /// What came meanwhile.
    seen: HashSet<(String, String)>,
}

impl<S> Reader<S>
where
    S: FnMut(&Notification) -> Result<Wish, Failure>,
{
    pub(super) fn new(timing: Timing, show: S) -> Self {
        Self {
            timing,
            show,
            socket: None,
            was_connected: false,
            remembers: false,
            seen: HashSet::new(),
        }
    }

    pub(super) fn was_connected(&self) -> bool {
        self.was_connected
    }

    /// Reads `socket` from now on.
    pub(super) fn open(&mut self, socket: Socket) {
        self.socket = Some(socket);
        self.was_connected = true;
        self.remembers = false;
    }

    /// Closes the connection, if there is one.
    pub(super) async fn close(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            // Where the other side does not answer, it finds out by itself.
            let _ = timeout(Duration::from_secs(2), socket.close(None)).await;
        }
    }

    /// From now on the same may come on a successor, too.
    pub(super) fn remember(&mut self) {
        self.seen.clear();
        self.remembers = true;
    }

    /// Puts `successor` into the place of the connection, which is read a little longer: a message
    /// whose members were read before the successor joined comes only there, and one whose members
    /// were read after it comes on both.
    pub(super) async fn replace(&mut self, successor: Socket) -> Result<Step, Failure> {
        let until = Instant::now() + self.timing.overlap;
        let last = timeout_at(until, self.listen(None)).await;
        self.close().await;
        self.open(successor);
        match last {
            Ok(Ok(Step::Enough)) => Ok(Step::Enough),
            Ok(Err(failure)) => Err(failure),
            // Whether it was closed by us or by the server: there is another one.
            Ok(Ok(Step::Replace | Step::Lost(_))) | Err(_) => Ok(Step::Replace),
        }
    }

    /// Reads the connection until something is to be done about it.
    pub(super) async fn listen(&mut self, replace_at: Option<Instant>) -> Result<Step, Failure> {
        let mut ping_at = Instant::now() + self.timing.ping_every;
        let mut answer_by: Option<Instant> = None;
        loop {
            let Some(socket) = &mut self.socket else {
                return Ok(Step::Lost("it was closed".to_owned()));
            };
            let due_at = replace_at.map_or(ping_at, |replace_at| ping_at.min(replace_at));
            let frame = tokio::select! {
                frame = socket.next() => frame,
                () = sleep_until(answer_by.unwrap_or(due_at)) => {
                    if answer_by.is_some() {
                        return Ok(Step::Lost(format!(
                            "no answer to a ping within {}",
                            humantime::format_duration(self.timing.answer_within)
                        )));
                    }
                    if replace_at.is_some_and(|replace_at| replace_at <= Instant::now()) {
                        return Ok(Step::Replace);
                    }
                    let deadline = Instant::now() + self.timing.answer_within;
                    match timeout_at(deadline, socket.send(Frame::text(PING))).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Ok(Step::Lost(error.to_string())),
                        Err(_elapsed) => return Ok(Step::Lost("a ping cannot be sent".to_owned())),
                    }
                    answer_by = Some(deadline);
                    ping_at = Instant::now() + self.timing.ping_every;
                    continue;
                }
            };
            let reason = match frame {
                Some(Ok(Frame::Close(reason))) => reason.map(closed),
                Some(Ok(frame)) => {
                    answer_by = None;
                    match self.take(&frame)? {
                        Wish::More => continue,
                        Wish::Enough => return Ok(Step::Enough),
                    }
                }
                Some(Err(error)) => Some(error.to_string()),
                None => None,
            };
            return Ok(Step::Lost(
                reason.unwrap_or_else(|| "closed by the server".to_owned()),
            ));
        }
    }

    fn take(&mut self, frame: &Frame) -> Result<Wish, Failure> {
        let Frame::Text(text) = frame else {
            return Ok(Wish::More);
        };
        match read(text) {
            Received::Notification(notification) => {
                if let Some(key) = notification.key() {
                    if self.remembers {
                        self.seen.insert(key);
                    } else if self.seen.remove(&key) {
                        return Ok(Wish::More);
                    }
                }
                (self.show)(&notification)
            }
            Received::Error(error) => {
                status(format_args!("the server says: {error}"));
                Ok(Wish::More)
            }
            Received::Other => Ok(Wish::More),
        }
    }
}

/// The server's reason for closing, in words.
fn closed(frame: CloseFrame) -> String {
    let code = u16::from(frame.code);
    match frame.reason.as_str() {
        "" => format!("closed by the server with {code}"),
        reason => format!("closed by the server with {code}, {reason}"),
    }
}
