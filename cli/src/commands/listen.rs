//! `hermes listen`: the notifications of a room, as they come.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hermes::aws::DynamoCredentials;
use hermes::secret::Secret;
use hermes::{RoomId, UserId};

use crate::failure::Failure;
use crate::interrupt::{after, interrupt};
use crate::listener::{Listener, Timing, Wish};
use crate::notification::Notification;
use crate::output;
use crate::settings::{Setting, Settings};
use crate::tokens::{Tokens, Unverified};

const EXAMPLES: &str = "\
Examples:
  hermes listen --room demo --user alice
  hermes listen --room demo --user alice --json | jq .data
  hermes listen --room demo --user ci --count 1 --timeout 30s
  HERMES_TOKEN=eyJhbGciOi… hermes listen --url wss://ws.example.com

It reconnects when the connection breaks. Where the stack keeps a log, every notification is shown
once and in order, from the connection on (and up to 10 seconds before): what was missed is asked
for, and what cannot be had any more is told. Without a log (HistoryDays 0), what is sent while
there is no connection is not shown.

A token that is given is used for every connection; otherwise each gets a fresh one, unless the
user was revoked meanwhile. It ends with 0 after --count notifications, and without --count after
--timeout or Ctrl-C.";

/// Show the notifications of a room as they arrive
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Listen {
    /// The room to listen to
    #[arg(long, value_name = "ROOM", required_unless_present = "token")]
    room: Option<RoomId>,

    /// The user to connect as
    #[arg(long, value_name = "USER", required_unless_present = "token")]
    user: Option<UserId>,

    /// Connect with this token; better in the variable, where no process list shows it
    #[arg(long, value_name = "JWT", env = "HERMES_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Connect to this URL instead of the one of the stack
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Print each notification as it came, one JSON document per line
    #[arg(long)]
    json: bool,

    /// End after this many notifications
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,

    /// End after this time, such as 30s or 5m; exit code 1 where --count was not reached
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

/// Why listening ended.
enum End {
    Enough,
    Timeout,
    Interrupt,
}

impl Listen {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let Self {
            json,
            count,
            timeout,
            ..
        } = self;
        let tokens = self.tokens(settings).await?;
        let url = match self.url {
            Some(url) => url,
            None => settings.required(Setting::WebSocketUrl).await?,
        };

        let arrived = Cell::new(0_u64);
        let show = |notification: &Notification| {
            if json {
                output::line(notification.json())?;
            } else {
                output::line(notification.pretty())?;
            }
            arrived.set(arrived.get() + 1);
            Ok(match count {
                Some(count) if arrived.get() >= count.get() => Wish::Enough,
                _ => Wish::More,
            })
        };
        let mut listener = Listener::new(url, tokens, Timing::default(), show);
        let end = tokio::select! {
            result = listener.run() => result.map(|()| End::Enough),
            () = after(timeout) => Ok(End::Timeout),
            () = interrupt() => Ok(End::Interrupt),
        };
        listener.close().await;

        let why = match end? {
            End::Enough => return Ok(ExitCode::SUCCESS),
            End::Timeout => "in time",
            End::Interrupt => "before the interrupt",
        };
        match count {
            None if !listener.was_connected() => {
                Err(Failure::new("there was no connection in time"))
            }
            None => Ok(ExitCode::SUCCESS),
            Some(count) => Err(Failure::new(format!(
                "{} of {count} notifications arrived {why}",
                arrived.get()
            ))),
        }
    }

    async fn tokens(&self, settings: &Settings) -> Result<Tokens<DynamoCredentials>, Failure> {
        if let Some(token) = self.token.as_deref().filter(|token| !token.is_empty()) {
            return self.given(token.trim());
        }
        // clap lets an empty token pass for one.
        let missing = |name| {
            Failure::usage(format!("--{name} is missing"))
                .hint("pass --room and --user, or a token with HERMES_TOKEN")
        };
        let room = self.room.clone().ok_or_else(|| missing("room"))?;
        let user = self.user.clone().ok_or_else(|| missing("user"))?;
        let credentials = settings.credentials().await?;
        Ok(Tokens::Own {
            issuer: settings.issuer(credentials.clone()).await?,
            credentials,
            user,
            room,
        })
    }

    /// A token that was given must be for the user and the room that were named, if they were.
    fn given(&self, token: &str) -> Result<Tokens<DynamoCredentials>, Failure> {
        let unverified = Unverified::parse(token).map_err(|reason| {
            Failure::usage(reason).hint("`hermes token inspect` says what a token is good for")
        })?;
        let (user, room) = (unverified.id("user_id"), unverified.id("room_id"));
        let differs = self
            .user
            .as_ref()
            .is_some_and(|one| Some(one) != user.as_ref())
            || self
                .room
                .as_ref()
                .is_some_and(|one| Some(one) != room.as_ref());
        if differs {
            let shown = |id: Option<String>| id.unwrap_or_else(|| "nobody".to_owned());
            return Err(Failure::usage(format!(
                "the token is for {} in {}, not for the user and room that were named",
                shown(user.map(|user| user.to_string())),
                shown(room.map(|room| room.to_string())),
            ))
            .hint("leave --user and --room out, or the token (also in HERMES_TOKEN)"));
        }
        Ok(Tokens::Fixed(Secret::new(token)))
    }
}
