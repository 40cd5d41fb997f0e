//! `hermes token issue`: a token for one user in one room.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hermes::time::{Clock as _, SystemClock};
use hermes::{RoomId, Timestamp, UserId};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::settings::{Setting, Settings};

const EXAMPLES: &str = "\
Examples:
  hermes token issue --user alice --room demo
  TOKEN=$(hermes token issue --user alice --room demo --ttl 10m)
  hermes token issue --user alice --room demo --json

Issuing again leaves earlier tokens good until `hermes token revoke`.";

/// Issue a token for a user in a room: the JWT alone is the output
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Issue {
    /// Who connects with it
    #[arg(long, value_name = "USER")]
    user: UserId,

    /// The room to be in
    #[arg(long, value_name = "ROOM")]
    room: RoomId,

    /// How long it can be connected and sent with, such as 90s, 10m, 1h, 7d
    #[arg(long, default_value = "1h", value_parser = parse_ttl)]
    ttl: Duration,

    /// Print `{token, url, expires_at, renewed}`; the url is null where it is not known
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    token: &'a str,
    url: Option<String>,
    expires_at: Timestamp,
    renewed: bool,
}

impl Issue {
    pub(crate) async fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        let issuer = settings.issuer(settings.credentials().await?).await?;
        let url = settings.optional(Setting::WebSocketUrl).await?;
        let issued = issuer
            .issue(&self.user, &self.room, self.ttl, SystemClock.now())
            .await?;
        if self.json {
            output::json(&Document {
                token: issued.jwt.expose(),
                url,
                expires_at: issued.expires_at,
                renewed: issued.renewed,
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        output::line(issued.jwt.expose())?;
        if output::is_terminal() {
            output::status(format_args!(
                "good until {} for {} in {}",
                issued.expires_at, self.user, self.room
            ));
            if let Some(url) = url {
                output::status(format_args!(
                    "connect to {url} with the subprotocols [\"bearer\", TOKEN]"
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if ttl < Duration::from_secs(1) {
        return Err("a token must be good for at least a second".to_owned());
    }
    Ok(ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_has_a_unit_and_is_not_zero() {
        assert_eq!(parse_ttl("90m"), Ok(Duration::from_secs(90 * 60)));
        for wrong in ["60", "0s", "999ms", "-1h", "soon", ""] {
            assert!(parse_ttl(wrong).is_err(), "{wrong}");
        }
    }
}
