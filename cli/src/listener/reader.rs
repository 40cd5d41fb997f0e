//! Reading a connection: notifications, pings that tell whether it is alive, and questions about what
//! was missed.

use std::collections::HashSet;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures::{SinkExt as _, StreamExt as _};
use hermes::frame::ErrorCode;
use hermes::log::StreamKind;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::order::{Need, Order, Request, Shown};
use super::received::{Received, Refused, read, recover};
use super::{Timing, Wish};
use crate::failure::Failure;
use crate::notification::Notification;
use crate::output::status;
use crate::socket::{PING, Socket};

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
    /// What came meanwhile, where there is no log.
    seen: HashSet<(String, String)>,
    /// What is shown when, where there is one.
    order: Order<Notification>,
    /// When what is missing is asked for.
    ask_at: Option<Instant>,
    /// When that is asked again.
    recovered_by: Option<Instant>,
    /// Between two questions that were not answered.
    pauses: ExponentialBackoff,
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
            order: Order::new(),
            ask_at: None,
            recovered_by: None,
            pauses: timing.backoff(),
        }
    }

    /// Whether the deployment keeps a log, if that is known.
    pub(super) fn has_log(&self) -> Option<bool> {
        self.order.has_log()
    }

    pub(super) fn was_connected(&self) -> bool {
        self.was_connected
    }

    /// Reads `socket` from now on.
    pub(super) fn open(&mut self, socket: Socket) {
        self.socket = Some(socket);
        self.was_connected = true;
        self.remembers = false;
        self.order.connected();
        self.plan();
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
            let (due_at, due) = self.next_due(ping_at, answer_by, replace_at);
            let Some(socket) = &mut self.socket else {
                return Ok(Step::Lost("it was closed".to_owned()));
            };
            let frame = tokio::select! {
                frame = socket.next() => frame,
                () = sleep_until(due_at) => {
                    let sent = match due {
                        Due::Lost => {
                            return Ok(Step::Lost(format!(
                                "no answer to a ping within {}",
                                humantime::format_duration(self.timing.answer_within)
                            )));
                        }
                        Due::Replace => return Ok(Step::Replace),
                        Due::Ping => {
                            let now = Instant::now();
                            answer_by = Some(now + self.timing.answer_within);
                            ping_at = now + self.timing.ping_every;
                            self.send(PING.to_owned()).await
                        }
                        Due::Ask => self.ask().await,
                        Due::AskAgain => {
                            status("no answer about what was missed; asking again");
                            self.order.unanswered();
                            Ok(())
                        }
                    };
                    if let Err(why) = sent {
                        return Ok(Step::Lost(why));
                    }
                    self.plan();
                    continue;
                }
            };
            let reason = match frame {
                Some(Ok(Frame::Close(reason))) => reason.map(closed),
                Some(Ok(frame)) => {
                    answer_by = None;
                    match self.take(&frame)? {
                        Wish::More => self.plan(),
                        Wish::Enough => return Ok(Step::Enough),
                    }
                    continue;
                }
                Some(Err(error)) => Some(error.to_string()),
                None => None,
            };
            return Ok(Step::Lost(
                reason.unwrap_or_else(|| "closed by the server".to_owned()),
            ));
        }
    }

    /// What is to be done next, if nothing comes before.
    fn next_due(
        &self,
        ping_at: Instant,
        answer_by: Option<Instant>,
        replace_at: Option<Instant>,
    ) -> (Instant, Due) {
        // While it is not known whether the connection is alive, there is nothing else to do with it.
        let next = match (answer_by, replace_at) {
            (Some(answer_by), _) => (answer_by, Due::Lost),
            (None, Some(replace_at)) if replace_at <= ping_at => (replace_at, Due::Replace),
            (None, _) => (ping_at, Due::Ping),
        };
        let ask = self.ask_at.map(|at| (at, Due::Ask));
        let ask_again = self.recovered_by.map(|at| (at, Due::AskAgain));
        [ask, ask_again]
            .into_iter()
            .flatten()
            .fold(next, |one, other| if other.0 < one.0 { other } else { one })
    }

    /// Plans the next question, where there is one.
    fn plan(&mut self) {
        if !self.order.is_waiting() {
            self.recovered_by = None;
        }
        let now = Instant::now();
        self.ask_at = match (self.order.need(), self.ask_at) {
            (None, _) => None,
            (Some(Need::Now), _) => Some(now),
            (Some(_), Some(planned)) => Some(planned),
            (Some(Need::Soon), None) => Some(now + self.timing.overtaken_within),
            (Some(Need::Later), None) => {
                Some(now + self.pauses.next().unwrap_or(self.timing.longest_delay))
            }
        };
    }

    /// Asks what was missed.
    async fn ask(&mut self) -> Result<(), String> {
        self.ask_at = None;
        self.recovered_by = Some(Instant::now() + self.timing.answer_within);
        for Request { kind, seen, number } in self.order.requests() {
            self.send(recover(number, kind, seen.as_ref())).await?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: String) -> Result<(), String> {
        let Some(socket) = &mut self.socket else {
            return Err("it was closed".to_owned());
        };
        let send = socket.send(Frame::text(frame));
        match timeout(self.timing.answer_within, send).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("nothing can be sent".to_owned()),
        }
    }

    fn take(&mut self, frame: &Frame) -> Result<Wish, Failure> {
        let Frame::Text(text) = frame else {
            return Ok(Wish::More);
        };
        match read(text) {
            Received::Notification(notification, Some((kind, position))) => {
                let next = self.order.take(kind, position, notification);
                self.show_all(next)
            }
            Received::Notification(notification, None) => {
                if let Some(key) = notification.key() {
                    if self.remembers {
                        self.seen.insert(key);
                    } else if self.seen.remove(&key) {
                        return Ok(Wish::More);
                    }
                }
                (self.show)(&notification)
            }
            Received::Recovered(Some(number), recovered) => {
                self.pauses = self.timing.backoff();
                for shown in self.order.recovered(number, recovered) {
                    match shown {
                        Shown::Gone(kind) => status(gone(kind)),
                        Shown::Next(notification) => {
                            if (self.show)(&notification)? == Wish::Enough {
                                return Ok(Wish::Enough);
                            }
                        }
                    }
                }
                Ok(Wish::More)
            }
            Received::Pong(heads) => {
                self.order.heads(heads);
                Ok(Wish::More)
            }
            Received::Closing(reason) => {
                status(format_args!("the server closes the connection: {reason}"));
                Ok(Wish::More)
            }
            Received::Error(refused) => self.refused(&refused),
            Received::Recovered(None, _) | Received::Other => Ok(Wish::More),
        }
    }

    fn refused(&mut self, refused: &Refused) -> Result<Wish, Failure> {
        match refused.number {
            Some(number) if refused.code == ErrorCode::UnknownAction.as_str() => {
                let waiting = self.order.has_none(number);
                self.show_all(waiting)
            }
            number => {
                status(format_args!("the server says: {}", refused.text));
                number
                    .into_iter()
                    .for_each(|number| self.order.failed(number));
                Ok(Wish::More)
            }
        }
    }

    fn show_all(&mut self, notifications: Vec<Notification>) -> Result<Wish, Failure> {
        for notification in notifications {
            if (self.show)(&notification)? == Wish::Enough {
                return Ok(Wish::Enough);
            }
        }
        Ok(Wish::More)
    }
}

/// What is to be done with a connection on which nothing comes.
#[derive(Clone, Copy)]
enum Due {
    Lost,
    Replace,
    Ping,
    Ask,
    AskAgain,
}

/// What is said where the log does not go back to what was seen last.
fn gone(kind: StreamKind) -> String {
    let whom = match kind {
        StreamKind::Room => "the room",
        StreamKind::User => "this user alone",
    };
    format!(
        "history is gone: what was sent to {whom} since the last notification cannot be shown, \
         because the log does not have it any more; going on from here"
    )
}

/// The server's reason for closing, in words.
fn closed(frame: CloseFrame) -> String {
    let code = u16::from(frame.code);
    match frame.reason.as_str() {
        "" => format!("closed by the server with {code}"),
        reason => format!("closed by the server with {code}, {reason}"),
    }
}
