//! The checks that a token has to pass, in the order of the authorizer.

#[cfg(test)]
mod tests;

use std::fmt;

use hermes::claims::{Claims, InvalidToken, TokenVerifier};
use hermes::credential::{CredentialCheck, INNER_TOKEN_MAX_BYTES, is_inner_token};
use hermes::ports::Credential;
use hermes::secret::Secret;
use hermes::time::Timestamp;
use serde::Serialize;

use super::inspect::expiry;
use crate::output::quoted;
use crate::tokens::Unverified;

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// It is a signed JWT.
    Shape,
    /// It is signed with HS512.
    Algorithm,
    /// It is signed with the stack's secret.
    Signature,
    /// Between `nbf` and `exp`.
    Times,
    /// Every claim is there and has its type.
    Claims,
    /// The Credentials table has a row for the user and the room.
    Row,
    /// The row has a hash.
    NotRevoked,
    /// The hash is that of the inner token.
    Hash,
}

const STEPS: [Step; 8] = [
    Step::Shape,
    Step::Algorithm,
    Step::Signature,
    Step::Times,
    Step::Claims,
    Step::Row,
    Step::NotRevoked,
    Step::Hash,
];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Shape => "shape",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Times => "times",
            Self::Claims => "claims",
            Self::Row => "row",
            Self::NotRevoked => "revocation",
            Self::Hash => "hash",
        })
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The token passes it.
    Passed,
    /// The token is refused for it.
    Failed,
    /// An earlier one decided, or could not be done.
    #[default]
    NotReached,
}

/// A check and what was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Check {
    pub(super) outcome: Outcome,
    pub(super) detail: String,
}

/// All checks.
#[derive(Debug, Default)]
pub(super) struct Checklist {
    checks: [Check; STEPS.len()],
    advice: Option<String>,
}

impl Checklist {
    /// The checks in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Step, &Check)> {
        STEPS.into_iter().zip(&self.checks)
    }

    /// The status with which the handshake is refused, if a check failed.
    pub(super) fn status(&self) -> Option<u16> {
        let (failed, _) = self
            .iter()
            .find(|(_, check)| check.outcome == Outcome::Failed)?;
        match failed {
            Step::Row | Step::NotRevoked | Step::Hash => Some(403),
            _ => Some(401),
        }
    }

    /// Whether the last check was reached, or one failed.
    pub(super) fn is_complete(&self) -> bool {
        self.status().is_some() || self.checks[Step::Hash as usize].outcome == Outcome::Passed
    }

    /// What to do about the check that failed.
    pub(super) fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    fn set(&mut self, step: Step, outcome: Outcome, detail: impl Into<String>) {
        self.checks[step as usize] = Check {
            outcome,
            detail: detail.into(),
        };
    }

    fn pass(&mut self, step: Step, detail: impl Into<String>) {
        self.set(step, Outcome::Passed, detail);
    }

    fn fail(&mut self, step: Step, detail: impl Into<String>, advice: impl Into<String>) {
        self.set(step, Outcome::Failed, detail);
        self.advice = Some(advice.into());
    }

    /// What can be checked without a secret. Says whether all of it passed.
    pub(super) fn look_at(&mut self, token: &Result<Unverified, String>) -> bool {
        let token = match token {
            Ok(token) => token,
            Err(reason) => {
                self.fail(
                    Step::Shape,
                    reason,
                    "pass the JWT alone: no quotes, no `Bearer`, nothing cut off",
                );
                return false;
            }
        };
        self.pass(Step::Shape, "a signed JWT");
        match token.header.get("alg").and_then(|alg| alg.as_str()) {
            Some("HS512") => {
                self.pass(Step::Algorithm, "HS512");
                true
            }
            other => {
                let other = other.map_or_else(|| "none given".to_owned(), |alg| format!("{alg:?}"));
                self.fail(
                    Step::Algorithm,
                    format!("{other}, not HS512"),
                    "sign with HS512: the stack accepts nothing else",
                );
                false
            }
        }
    }

    /// The first level. Gives the claims where all of it passed.
    pub(super) fn verify(
        &mut self,
        verifier: &TokenVerifier,
        token: &Secret,
        now: Timestamp,
    ) -> Option<Claims> {
        const SIGNED: &str = "made with the stack's JWT secret";
        match verifier.verify(token.expose()) {
            Ok(claims) => {
                self.pass(Step::Signature, SIGNED);
                self.pass(
                    Step::Times,
                    format!("expires {}", expiry(claims.expires_at, now)),
                );
                self.pass(Step::Claims, "user_id, room_id, token and exp are there");
                return Some(claims);
            }
            Err(error @ InvalidToken::Malformed) => {
                self.fail(
                    Step::Shape,
                    error.to_string(),
                    "pass the JWT as it was issued",
                );
            }
            Err(error @ InvalidToken::Algorithm) => {
                self.fail(Step::Algorithm, error.to_string(), "sign with HS512");
            }
            Err(error @ InvalidToken::Signature) => self.fail(
                Step::Signature,
                error.to_string(),
                "the backend must sign with the secret that the stack's output JwtSecretArn names; \
                 or the token is another stack's",
            ),
            Err(error @ InvalidToken::Expired) => {
                self.pass(Step::Signature, SIGNED);
                self.fail(
                    Step::Times,
                    error.to_string(),
                    "issue a new one; clocks must agree to 10 s",
                );
            }
            Err(error @ InvalidToken::NotYetValid) => {
                self.pass(Step::Signature, SIGNED);
                self.fail(
                    Step::Times,
                    error.to_string(),
                    "leave `nbf` out, or look at the clock of the machine that issues",
                );
            }
            Err(InvalidToken::Claims(reason)) => {
                self.pass(Step::Signature, SIGNED);
                self.fail(
                    Step::Claims,
                    reason,
                    "claims: user_id, room_id (strings or integers), token (string), exp (integer, in seconds); no aud",
                );
            }
        }
        None
    }

    /// The second level: `row` is what the Credentials table holds of the user in the room.
    pub(super) fn compare(&mut self, claims: &Claims, row: Option<Credential>) {
        let Claims {
            user, room, token, ..
        } = claims;
        let issue = format!(
            "`hermes token issue --user {} --room {}`",
            quoted(user.as_str()),
            quoted(room.as_str())
        );
        let Some(row) = row else {
            self.fail(
                Step::Row,
                format!("the Credentials table has no row for {user} in {room}"),
                format!("{issue} writes it; or the backend wrote it elsewhere: both ids are strings there"),
            );
            return;
        };
        self.pass(Step::Row, format!("{user} in {room} is known"));
        let Some(hash) = row.token_hash else {
            self.fail(
                Step::NotRevoked,
                "the tokens of this user in this room were revoked",
                format!("{issue} admits the user again, with a new token"),
            );
            return;
        };
        self.pass(Step::NotRevoked, "none");
        if CredentialCheck::default().matches(token, &hash) {
            self.pass(Step::Hash, "the inner token matches the row");
        } else if is_inner_token(token.expose()) {
            self.fail(
                Step::Hash,
                "the inner token is not the one whose bcrypt hash the row holds",
                format!(
                    "an earlier token, from before a revocation or made with another passcode: {issue} makes a new one"
                ),
            );
        } else {
            self.fail(
                Step::Hash,
                format!("the inner token does not have 1 to {INNER_TOKEN_MAX_BYTES} bytes"),
                "make it 1 to 72 bytes long: bcrypt ignores the rest",
            );
        }
    }
}
