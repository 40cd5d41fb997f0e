//! Getting in: the first connection, and every later one.

use std::fmt;

use backon::ExponentialBackoff;
use hermes::ports::Credentials;
use tokio::time::sleep;

use super::Timing;
use crate::failure::Failure;
use crate::output::status;
use crate::socket::{NotConnected, Socket, connect, shown};
use crate::tokens::Tokens;

/// How often the first connection is tried where the server says that it is busy.
const FIRST_ATTEMPTS: usize = 5;

/// Where to connect, and with which tokens. Shown as the URL.
pub(super) struct Door<C> {
    url: String,
    tokens: Tokens<C>,
    timing: Timing,
}

impl<C> fmt::Display for Door<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(shown(&self.url))
    }
}

impl<C: Credentials> Door<C> {
    pub(super) fn new(url: String, tokens: Tokens<C>, timing: Timing) -> Self {
        Self {
            url,
            tokens,
            timing,
        }
    }

    /// Whoever starts listening wants to know at once what is wrong: only a busy server is asked again.
    pub(super) async fn connect_first(&self) -> Result<Socket, Failure> {
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

    /// One attempt, with a fresh token.
    pub(super) async fn connect_again(&self) -> Result<Socket, NotConnected> {
        match self.tokens.again().await {
            Ok(Some(token)) => connect(&self.url, &token).await,
            Ok(None) => Err(NotConnected::Final(self.tokens.revoked())),
            // The table is as far away as the server.
            Err(failure) => Err(NotConnected::Unreachable(failure)),
        }
    }

    /// Attempts until one succeeds, or none can any more. Each reason is said once.
    pub(super) async fn reconnect(
        &self,
        delays: &mut ExponentialBackoff,
    ) -> Result<Socket, Failure> {
        let mut said = String::new();
        loop {
            sleep(delays.next().unwrap_or(self.timing.longest_delay)).await;
            match self.connect_again().await {
                Ok(socket) => return Ok(socket),
                Err(NotConnected::Final(failure)) => return Err(failure),
                Err(NotConnected::Unreachable(failure) | NotConnected::Busy(failure)) => {
                    let text = failure.to_string();
                    if text != said {
                        status(format_args!("{text}; trying again"));
                        said = text;
                    }
                }
            }
        }
    }
}
