//! Secrets, which never reach a log, a `Debug` or an answer.

use std::fmt;

/// The shortest secret that HS512 may be keyed with, in bytes (RFC 7518 §3.2: at least the size of
/// the hash output).
pub const JWT_SECRET_MIN_BYTES: usize = 64;

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one computation that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secret is too short to sign tokens with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the JWT secret has {length} bytes; HS512 needs at least {JWT_SECRET_MIN_BYTES} (RFC 7518 §3.2): \
     give the backend and Hermes a longer one"
)]
pub struct SecretTooShort {
    length: usize,
}

/// The secret that signs and verifies tokens: at least 64 bytes.
#[derive(Debug, Clone)]
pub struct JwtSecret(Secret);

impl JwtSecret {
    /// Takes a secret that is long enough.
    ///
    /// # Errors
    ///
    /// [`SecretTooShort`] below [`JWT_SECRET_MIN_BYTES`]: a function refuses to start with it.
    pub fn new(secret: Secret) -> Result<Self, SecretTooShort> {
        match secret.expose().len() {
            length if length < JWT_SECRET_MIN_BYTES => Err(SecretTooShort { length }),
            _ => Ok(Self(secret)),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let secret = JwtSecret::new(Secret::new("s3cret".repeat(11))).unwrap();
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    /// Flaw: a 47-byte secret.
    #[test]
    fn a_jwt_secret_has_at_least_64_bytes() {
        assert!(JwtSecret::new(Secret::new("x".repeat(64))).is_ok());
        let error = JwtSecret::new(Secret::new("x".repeat(47))).unwrap_err();
        assert!(error.to_string().contains("47 bytes"));
    }
}
