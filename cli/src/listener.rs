//! Listening to a room for as long as it takes: notifications, pings, reconnecting.

mod door;
mod order;
mod reader;
mod received;
#[cfg(test)]
mod tests;

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use hermes::ports::Credentials;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::listener::door::Door;
use crate::listener::reader::{Reader, Step};
use crate::notification::Notification;
use crate::output::status;
use crate::socket::NotConnected;
use crate::tokens::Tokens;

/// When what is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Between two pings. API Gateway closes a connection that is idle for 10 minutes; in a quiet room
    /// it is also the time after which a lost notification is missed.
    pub(crate) ping_every: Duration,
    /// After a ping: a connection on which nothing came within this time is dead. Another question
    /// is asked again.
    pub(crate) answer_within: Duration,
    /// How long a notification that overtook another one waits for it, before that is asked for.
    pub(crate) overtaken_within: Duration,
    /// The age at which a connection is replaced. API Gateway ends it at 2 hours.
    pub(crate) replace_after: Duration,
    /// How long the replaced connection is still read, for messages whose members were read before.
    pub(crate) overlap: Duration,
    /// Before the first attempt to reconnect, or to ask again; doubled with each.
    pub(crate) first_delay: Duration,
    /// The longest time between two attempts.
    pub(crate) longest_delay: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(60),
            answer_within: Duration::from_secs(10),
            overtaken_within: Duration::from_millis(200),
            replace_after: Duration::from_secs(110 * 60),
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

/// Listens to one room.
pub(crate) struct Listener<C, S> {
    door: Door<C>,
    reader: Reader<S>,
    timing: Timing,
}

impl<C, S> Listener<C, S>
where
    C: Credentials,
    S: FnMut(&Notification) -> Result<Wish, Failure>,
{
    /// A listener at `url` that gives each notification to `show`.
    pub(crate) fn new(url: String, tokens: Tokens<C>, timing: Timing, show: S) -> Self {
        Self {
            door: Door::new(url, tokens, timing),
            reader: Reader::new(timing, show),
            timing,
        }
    }

    /// Whether there ever was a connection.
    pub(crate) fn was_connected(&self) -> bool {
        self.reader.was_connected()
    }

    /// Closes the connection, so that the stack knows at once.
    pub(crate) async fn close(&mut self) {
        self.reader.close().await;
    }

    /// Listens until `show` has enough.
    ///
    /// # Errors
    ///
    /// [`Failure`] where no connection comes about, or none any more: the token is refused.
    pub(crate) async fn run(&mut self) -> Result<(), Failure> {
        self.reader.open(self.door.connect_first().await?);
        status(format_args!("connected to {}", self.door));
        let mut opened = Instant::now();
        let mut replace_at = opened + self.timing.replace_after;
        let mut delays = self.timing.backoff();
        loop {
            let mut step = self.reader.listen(Some(replace_at)).await?;
            if let Step::Replace = step {
                self.reader.remember();
                step = tokio::select! {
                    successor = self.door.connect_again() => match successor {
                        Ok(successor) => {
                            let step = self.reader.replace(successor).await?;
                            opened = Instant::now();
                            replace_at = opened + self.timing.replace_after;
                            step
                        }
                        // The connection that there is stays good until the server ends it.
                        Err(NotConnected::Final(failure)) => {
                            status(format_args!("cannot connect once more: {failure}"));
                            replace_at = Instant::now() + self.timing.replace_after;
                            Step::Replace
                        }
                        Err(NotConnected::Unreachable(_) | NotConnected::Busy(_)) => {
                            replace_at = Instant::now() + self.timing.longest_delay;
                            Step::Replace
                        }
                    },
                    step = self.reader.listen(None) => step?,
                };
            }
            match step {
                Step::Enough => return Ok(()),
                Step::Replace => {}
                Step::Lost(why) => {
                    status(format_args!("connection lost ({why}); reconnecting"));
                    if opened.elapsed() > self.timing.longest_delay {
                        delays = self.timing.backoff();
                    }
                    self.reader.open(self.door.reconnect(&mut delays).await?);
                    let meanwhile = match self.reader.has_log() {
                        Some(true) => "what was sent meanwhile follows",
                        _ => "what was sent meanwhile is not shown",
                    };
                    status(format_args!(
                        "connected again to {}; {meanwhile}",
                        self.door
                    ));
                    opened = Instant::now();
                    replace_at = opened + self.timing.replace_after;
                }
            }
        }
    }
}
