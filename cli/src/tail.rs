//! Listening to a room for as long as it takes: notifications, pings, reconnecting.

use std::collections::HashSet;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::{SinkExt as _, StreamExt as _};
use hermes::ports::Credentials;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::failure::Failure;
use crate::notification::{Notification, Received, read};
use crate::output::status;
use crate::socket::{NotConnected, Socket, connect, shown};
use crate::tokens::Tokens;

/// The application's ping: API Gateway counts it as traffic, and Hermes answers it.
const PING: &str = r#"{"action":"ping"}"#;

/// How often the first connection is tried where the server says that it is busy.
const FIRST_ATTEMPTS: usize = 5;

/// When what is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Between two pings. API Gateway closes a connection that is idle for 10 minutes.
    pub(crate) ping_every: Duration,
    /// After a ping: a connection on which nothing came within this time is dead.
    pub(crate) answer_within: Duration,
    /// The age at which a connection is replaced. API Gateway ends it at 2 hours.
    pub(crate) replace_after: Duration,
    /// How long the replaced connection is still read, for messages whose members were read before.
    pub(crate) overlap: Duration,
    /// Before the first attempt to reconnect; doubled with each.
    pub(crate) first_delay: Duration,
    /// The longest time between two attempts.
    pub(crate) longest_delay: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(5 * 60),
            answer_within: Duration::from_secs(10),
            replace_after: Duration::from_secs(115 * 60),
            overlap: Duration::from_secs(2),
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(30),
        }
    }
}

impl Timing {
    /// With jitter: when a server drops all its clients, they must not come back all at once.
    fn backoff(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .without_max_times()
            .with_jitter()
            .build()
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    More,
    Enough,
}

enum Step {
    Enough,
    /// The connection is old enough to be replaced.
    Replace,
    /// The connection is gone, and why.
    Lost(String),
}

/// Listens to one room.
pub(crate) struct Tail<C, S> {
    url: String,
    tokens: Tokens<C>,
    timing: Timing,
    show: S,
    socket: Option<Socket>,
    /// Whether there ever was a connection.
    pub(crate) was_connected: bool,
    /// What came on the connection that was replaced while its successor was already open.
    twice: HashSet<(String, String)>,
}

impl<C, S> Tail<C, S>
where
    C: Credentials,
    S: FnMut(&Notification) -> Result<Wish, Failure>,
{
    /// A listener at `url` that gives each notification to `show`.
    pub(crate) fn new(url: String, tokens: Tokens<C>, timing: Timing, show: S) -> Self {
        Self {
            url,
            tokens,
            timing,
            show,
            socket: None,
            was_connected: false,
            twice: HashSet::new(),
        }
    }

    /// Listens until `show` has enough.
    ///
    /// # Errors
    ///
    /// [`Failure`] where no connection comes about, or none any more: the token is refused.
    pub(crate) async fn run(&mut self) -> Result<(), Failure> {
        self.socket = Some(self.connect_first().await?);
        self.was_connected = true;
        status(format_args!("connected to {}", shown(&self.url)));
        let mut opened = Instant::now();
        let mut delays = self.timing.backoff();
        let mut replace_at = opened + self.timing.replace_after;
        loop {
            match self.listen(replace_at).await? {
                Step::Enough => return Ok(()),
                Step::Replace => match self.connect_again().await {
                    Ok(successor) => {
                        opened = Instant::now();
                        replace_at = opened + self.timing.replace_after;
                        if self.replace(successor).await? == Wish::Enough {
                            return Ok(());
                        }
                    }
                    // The old connection is still good. Soon the server ends it.
                    Err(error) => {
                        status(Failure::from(error));
                        replace_at = Instant::now() + self.timing.longest_delay;
                    }
                },
                Step::Lost(why) => {
                    self.socket = None;
                    status(format_args!("connection lost ({why}); reconnecting"));
                    if opened.elapsed() > self.timing.longest_delay {
                        delays = self.timing.backoff();
                    }
                    self.socket = Some(self.reconnect(&mut delays).await?);
                    status(format_args!(
                        "connected again to {}; what was sent meanwhile is not shown",
                        shown(&self.url)
                    ));
                    opened = Instant::now();
                    replace_at = opened + self.timing.replace_after;
                }
            }
        }
    }

    /// Closes the connection, so that the stack knows at once.
    pub(crate) async fn close(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            // Where the other side does not answer, it finds out by itself.
            let _ = timeout(Duration::from_secs(2), socket.close(None)).await;
        }
    }

    async fn connect_first(&self) -> Result<Socket, Failure> {
        let token = self.tokens.first().await?;
        let mut delays = self.timing.backoff().take(FIRST_ATTEMPTS - 1);
        loop {
            match connect(&self.url, &token).await {
                Ok(socket) => return Ok(socket),
                Err(NotConnected::Busy(failure)) => match delays.next() {
                    Some(delay) => {
                        status(format_args!("{failure}; trying again"));
                        sleep(delay).await;
                    }
                    None => return Err(failure),
                },
                Err(other) => return Err(other.into()),
            }
        }
    }

    async fn connect_again(&self) -> Result<Socket, NotConnected> {
        match self.tokens.again().await {
            Ok(Some(token)) => connect(&self.url, &token).await,
            Ok(None) => Err(NotConnected::Final(self.tokens.revoked())),
            Err(failure) => Err(NotConnected::Unreachable(failure)),
        }
    }

    /// Tries until it succeeds or cannot.
    async fn reconnect(&self, delays: &mut ExponentialBackoff) -> Result<Socket, Failure> {
        let mut said = String::new();
        loop {
            sleep(delays.next().unwrap_or(self.timing.longest_delay)).await;
            match self.connect_again().await {
                Ok(socket) => return Ok(socket),
                Err(NotConnected::Final(failure)) => return Err(failure),
                Err(NotConnected::Unreachable(failure) | NotConnected::Busy(failure)) => {
                    let text = format!("{failure}; trying again");
                    if text != said {
                        status(&text);
                        said = text;
                    }
                }
            }
        }
    }

    /// Reads the connection until something is to be done about it.
    async fn listen(&mut self, replace_at: Instant) -> Result<Step, Failure> {
        let mut ping_at = Instant::now() + self.timing.ping_every;
        let mut answer_by: Option<Instant> = None;
        loop {
            let Some(socket) = &mut self.socket else {
                return Ok(Step::Lost("it was closed".to_owned()));
            };
            let wake_at = answer_by.unwrap_or(ping_at.min(replace_at));
            tokio::select! {
                frame = socket.next() => match frame {
                    Some(Ok(Frame::Close(reason))) => {
                        return Ok(Step::Lost(reason.map_or_else(
                            || "closed by the server".to_owned(),
                            |reason| format!("closed by the server: {reason}"),
                        )));
                    }
                    Some(Ok(frame)) => {
                        answer_by = None;
                        if self.take(&frame)? == Wish::Enough {
                            return Ok(Step::Enough);
                        }
                    }
                    Some(Err(error)) => return Ok(Step::Lost(error.to_string())),
                    None => return Ok(Step::Lost("closed by the server".to_owned())),
                },
                () = sleep_until(wake_at) => {
                    let now = Instant::now();
                    if answer_by.is_some() {
                        return Ok(Step::Lost(format!(
                            "no answer to a ping within {}",
                            humantime::format_duration(self.timing.answer_within)
                        )));
                    }
                    if now >= replace_at {
                        return Ok(Step::Replace);
                    }
                    let deadline = now + self.timing.answer_within;
                    match timeout_at(deadline, socket.send(Frame::text(PING))).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Ok(Step::Lost(error.to_string())),
                        Err(_elapsed) => return Ok(Step::Lost("a ping could not be sent".to_owned())),
                    }
                    answer_by = Some(deadline);
                    ping_at = now + self.timing.ping_every;
                }
            }
        }
    }

    /// Puts `successor` into the place of the connection, which is read a little longer: a message
    /// whose members were read before the successor joined comes only there, and one whose members
    /// were read after it comes on both.
    async fn replace(&mut self, successor: Socket) -> Result<Wish, Failure> {
        self.twice.clear();
        let Some(mut old) = self.socket.replace(successor) else {
            return Ok(Wish::More);
        };
        let until = Instant::now() + self.timing.overlap;
        while let Ok(Some(Ok(frame))) = timeout_at(until, old.next()).await {
            if let Frame::Text(text) = &frame
                && let Received::Notification(notification) = read(text)
            {
                if (self.show)(&notification)? == Wish::Enough {
                    return Ok(Wish::Enough);
                }
                self.twice.extend(notification.key());
            }
        }
        let _ = timeout(self.timing.answer_within, old.close(None)).await;
        Ok(Wish::More)
    }

    fn take(&mut self, frame: &Frame) -> Result<Wish, Failure> {
        let Frame::Text(text) = frame else {
            return Ok(Wish::More);
        };
        match read(text) {
            Received::Notification(notification) => {
                if notification
                    .key()
                    .is_some_and(|key| self.twice.remove(&key))
                {
                    return Ok(Wish::More);
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
