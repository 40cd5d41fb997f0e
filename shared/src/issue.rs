//! Issuing and revoking tokens: what a backend does, never a function.

use std::time::Duration;

use aws_lc_rs::{hmac, rand};

use crate::claims::{Claims, TokenSigner};
use crate::credential::CredentialCheck;
use crate::id::{RoomId, UserId};
use crate::message::hex;
use crate::ports::{Credentials, PortError, Written};
use crate::secret::Secret;
use crate::time::Timestamp;

/// The bcrypt cost of the hashes that we store. The inner token is a 256-bit MAC, which nobody can
/// guess at any cost; 10 is what existing backends use.
const BCRYPT_COST: u32 = 10;

/// How often issuing starts over when others change the same row at the same time.
const ATTEMPTS: usize = 5;

/// A token for one user in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The JWT that the client connects with.
    pub jwt: Secret,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Whether a new hash was stored. Otherwise earlier tokens of the user stay good too.
    pub renewed: bool,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The Credentials table could not be read or written.
    #[error(transparent)]
    Store(#[from] PortError),
    /// Others kept changing the row.
    #[error("the user's credential was changed by others {ATTEMPTS} times in a row: try again")]
    Contended,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    Random,
}

/// Issues and revokes tokens.
pub struct Issuer<C> {
    credentials: C,
    signer: TokenSigner,
    passcode: Secret,
    check: CredentialCheck,
}

impl<C: Credentials> Issuer<C> {
    /// An issuer that keeps its hashes in `credentials` and derives inner tokens from `passcode`.
    pub fn new(credentials: C, signer: TokenSigner, passcode: Secret) -> Self {
        Self {
            credentials,
            signer,
            passcode,
            check: CredentialCheck::default(),
        }
    }

    /// Where it keeps its hashes.
    pub fn credentials(&self) -> &C {
        &self.credentials
    }

    /// A token for `user` in `room` that expires `ttl` after `now`. Issuing again leaves earlier
    /// tokens good (a second tab works) until [`revoke`].
    ///
    /// # Errors
    ///
    /// [`IssueError`]; nothing was issued.
    pub async fn issue(
        &self,
        user: &UserId,
        room: &RoomId,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        for _ in 0..ATTEMPTS {
            let row = self.credentials.find(user, room).await?.unwrap_or_default();
            if let (Some(generation), Some(hash)) = (&row.generation, &row.token_hash) {
                let token = inner_token(&self.passcode, user, room, generation);
                if self.check.matches(&token, hash) {
                    return Ok(self.sign(user, room, token, ttl, now, false));
                }
            }
            let generation = new_generation()?;
            let token = inner_token(&self.passcode, user, room, &generation);
            let hash = bcrypt::hash(token.expose(), BCRYPT_COST).map_err(|_| IssueError::Random)?;
            match self
                .credentials
                .renew(
                    user,
                    room,
                    row.generation.as_deref(),
                    &generation,
                    &Secret::new(hash),
                )
                .await?
            {
                Written::Yes => return Ok(self.sign(user, room, token, ttl, now, true)),
                Written::Conflict => {}
            }
        }
        Err(IssueError::Contended)
    }

    fn sign(
        &self,
        user: &UserId,
        room: &RoomId,
        token: Secret,
        ttl: Duration,
        now: Timestamp,
        renewed: bool,
    ) -> Issued {
        let expires_at = Timestamp::from_secs(now.after(ttl).as_secs());
        let jwt = self.signer.sign(&Claims {
            user: user.clone(),
            room: room.clone(),
            token,
            expires_at,
        });
        Issued {
            jwt,
            expires_at,
            renewed,
        }
    }
}

/// Ends every token of `user` in `room`, not the right to get a new one. Says whether there was any.
///
/// # Errors
///
/// [`IssueError`]; the tokens may still be good.
pub async fn revoke(
    credentials: &impl Credentials,
    user: &UserId,
    room: &RoomId,
) -> Result<bool, IssueError> {
    Ok(credentials.revoke(user, room, &new_generation()?).await?)
}

/// 128 random bits, as 32 hexadecimal digits.
fn new_generation() -> Result<String, IssueError> {
    let mut bits = [0_u8; 16];
    rand::fill(&mut bits).map_err(|_| IssueError::Random)?;
    Ok(hex(&bits))
}

/// The inner token: HMAC-SHA-256, keyed by the passcode, over user, room and generation, each behind
/// its length in bytes (four, big-endian), so that no two different triples are the same text.
fn inner_token(passcode: &Secret, user: &UserId, room: &RoomId, generation: &str) -> Secret {
    let key = hmac::Key::new(hmac::HMAC_SHA256, passcode.expose().as_bytes());
    let mut mac = hmac::Context::with_key(&key);
    for part in [user.as_str(), room.as_str(), generation] {
        mac.update(
            &u32::try_from(part.len())
                .expect("ids are short")
                .to_be_bytes(),
        );
        mac.update(part.as_bytes());
    }
    Secret::new(hex(mac.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(user: &str, room: &str, generation: &str) -> String {
        inner_token(
            &Secret::new("passcode"),
            &user.parse().unwrap(),
            &room.parse().unwrap(),
            generation,
        )
        .expose()
        .to_owned()
    }

    /// Flaw: concatenation without separators lets different pairs collide.
    #[test]
    fn no_two_pairs_have_the_same_token() {
        assert_ne!(token("ab", "c", "g"), token("a", "bc", "g"));
        assert_ne!(token("a", "bg", "g"), token("a", "b", "gg"));
    }

    /// The snippets of other languages in the README compute the same.
    #[test]
    fn the_inner_token_is_pinned() {
        assert_eq!(
            token("alice", "demo", "00112233445566778899aabbccddeeff"),
            "940b3f7368d2f5e81b1d75bfc3eff15d0efcbc9401c2e25882aab9be43040bf9"
        );
        // Lengths are counted in bytes of UTF-8, in which the passcode is the key.
        let token = inner_token(
            &Secret::new("pässcode"),
            &"Łukasz 🦀".parse().unwrap(),
            &"комната/β".parse().unwrap(),
            "00112233445566778899aabbccddeeff",
        );
        assert_eq!(
            token.expose(),
            "b7d1ed4af11457ff085e3a04b79af75594d29417429b6f838008c1452e52714f"
        );
    }

    #[test]
    fn a_generation_is_128_random_bits() {
        let (one, other) = (new_generation().unwrap(), new_generation().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
