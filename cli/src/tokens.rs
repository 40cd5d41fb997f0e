//! Where the tokens come from that a listener connects with.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hermes::handshake::{NoToken, find_token};
use hermes::issue::Issuer;
use hermes::ports::Credentials;
use hermes::secret::Secret;
use hermes::time::{Clock as _, SystemClock};
use hermes::{RoomId, UserId};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::output::quoted;

/// How long a listener's own token is good: only the handshake needs it.
const OWN_TTL: Duration = Duration::from_secs(5 * 60);

/// Gives a token for each connection.
pub(crate) enum Tokens<C> {
    /// The one that was given.
    Fixed(Secret),
    /// A fresh one each time.
    Own {
        /// Issues them.
        issuer: Issuer<C>,
        /// Whose room is looked up before one is issued again.
        credentials: C,
        /// Who connects.
        user: UserId,
        /// Where to.
        room: RoomId,
    },
}

impl<C: Credentials> Tokens<C> {
    /// A token for the first connection.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the table.
    pub(crate) async fn first(&self) -> Result<Secret, Failure> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::Own {
                issuer, user, room, ..
            } => {
                let issued = issuer.issue(user, room, OWN_TTL, SystemClock.now()).await?;
                Ok(issued.jwt)
            }
        }
    }

    /// A token for a later connection; none where the user was revoked meanwhile, because issuing
    /// would undo that.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the table.
    pub(crate) async fn again(&self) -> Result<Option<Secret>, Failure> {
        if let Self::Own {
            credentials,
            user,
            room,
            ..
        } = self
        {
            let row = credentials.find(user, room).await?;
            if row.is_none_or(|row| row.token_hash.is_none()) {
                return Ok(None);
            }
        }
        self.first().await.map(Some)
    }

    /// What is said where [`Self::again`] gives none.
    pub(crate) fn revoked(&self) -> Failure {
        let failure = Failure::new("the user's tokens in this room were revoked");
        match self {
            Self::Fixed(_) => failure,
            Self::Own { user, room, .. } => failure.hint(format!(
                "`hermes listen --user {} --room {}` issues a new one",
                quoted(user.as_str()),
                quoted(room.as_str())
            )),
        }
    }
}

/// The parts of a signed JWT that can be read without its secret. Nothing here is verified.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unverified {
    /// The JOSE header.
    pub(crate) header: Map<String, Value>,
    /// The claims.
    pub(crate) claims: Map<String, Value>,
}

impl Unverified {
    /// Reads a token that has the shape of a signed JWT.
    ///
    /// # Errors
    ///
    /// What is wrong with the shape, in words.
    pub(crate) fn parse(token: &str) -> Result<Self, String> {
        let token = find_token(&[token], &[]).map_err(|error: NoToken| error.to_string())?;
        let mut parts = token.split('.').map(json_object);
        let mut next = |name: &str| {
            parts
                .next()
                .flatten()
                .ok_or_else(|| format!("its {name} is no JSON object in base64url"))
        };
        Ok(Self {
            header: next("header")?,
            claims: next("payload")?,
        })
    }

    /// The claim `name` as an id.
    pub(crate) fn id<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.claims.get(name)?.clone()).ok()
    }
}

fn json_object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hermes::claims::TokenSigner;
    use hermes::memory::MemoryCredentials;
    use hermes::secret::JwtSecret;

    #[tokio::test]
    async fn a_listener_does_not_undo_a_revocation() {
        let credentials = MemoryCredentials::default();
        let secret = JwtSecret::new(Secret::new("k".repeat(64))).unwrap();
        let tokens = Tokens::Own {
            issuer: Issuer::new(
                &credentials,
                TokenSigner::new(&secret),
                Secret::new("passcode"),
            ),
            credentials: &credentials,
            user: "alice".parse().unwrap(),
            room: "a room".parse().unwrap(),
        };
        let token = tokens.first().await.unwrap();
        let unverified = Unverified::parse(token.expose()).unwrap();
        assert_eq!(unverified.header["alg"], "HS512");
        assert_eq!(
            unverified.id::<UserId>("user_id").unwrap().as_str(),
            "alice"
        );
        assert!(tokens.again().await.unwrap().is_some());

        hermes::issue::revoke(
            &credentials,
            &"alice".parse().unwrap(),
            &"a room".parse().unwrap(),
        )
        .await
        .unwrap();
        assert_eq!(tokens.again().await.unwrap(), None);
        assert!(tokens.revoked().to_string().contains("--room 'a room'"));
        assert!(tokens.first().await.is_ok(), "starting again is a decision");
    }

    #[test]
    fn what_is_no_jwt_is_named() {
        for (token, says) in [
            ("", "three parts"),
            ("eyJhbGciOiJIUzUxMiJ9.e30", "three parts"),
            ("W10.e30.c2ln", "header"),
            ("e30.IjEi.c2ln", "payload"),
            ("e30.!.c2ln", "three parts"),
        ] {
            let error = Unverified::parse(token).unwrap_err();
            assert!(error.contains(says), "{token}: {error}");
        }
    }
}
