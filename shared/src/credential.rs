//! The second level of authentication: the inner token against its bcrypt hash.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use lru::LruCache;

use crate::secret::Secret;

/// The longest inner token, in bytes. bcrypt reads 72 and silently ignores the rest, so that two
/// longer tokens with a common start would be the same.
pub const INNER_TOKEN_MAX_BYTES: usize = 72;

/// The highest bcrypt cost that is computed: 12 takes about 200 ms of a full core, each step more
/// doubles it, and whoever writes a row must not stop the authorizer with it.
pub const BCRYPT_MAX_COST: u32 = 12;

/// How many outcomes a warm environment remembers, at about 200 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

type TokenDigest = [u8; 32];

/// Compares inner tokens with stored hashes, and remembers the outcomes, so that each warm
/// environment pays for one bcrypt per user and not for one per connect.
pub struct CredentialCheck {
    outcomes: Mutex<LruCache<(TokenDigest, Secret), bool>>,
    computed: AtomicU64,
}

impl Default for CredentialCheck {
    fn default() -> Self {
        Self {
            outcomes: Mutex::new(LruCache::new(REMEMBERED)),
            computed: AtomicU64::new(0),
        }
    }
}

impl CredentialCheck {
    /// Whether `token` is what `hash` was made of. A hash that is none (or too costly) matches nothing.
    pub fn matches(&self, token: &Secret, hash: &Secret) -> bool {
        if !is_inner_token(token.expose()) || !is_affordable(hash.expose()) {
            return false;
        }
        let digest = digest::digest(&digest::SHA256, token.expose().as_bytes());
        let key = (
            TokenDigest::try_from(digest.as_ref()).expect("SHA-256 has 32 bytes"),
            hash.clone(),
        );
        if let Some(outcome) = self
            .outcomes
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(&key)
        {
            return *outcome;
        }
        self.computed.fetch_add(1, Ordering::Relaxed);
        let outcome = bcrypt::verify(token.expose(), hash.expose()).unwrap_or(false);
        self.outcomes
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .put(key, outcome);
        outcome
    }

    /// How many times bcrypt was computed since the start, for tests and measurements.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }
}

/// Whether a text can be an inner token at all: 1 to [`INNER_TOKEN_MAX_BYTES`] bytes without NUL,
/// at which some implementations of bcrypt end a password.
pub fn is_inner_token(text: &str) -> bool {
    (1..=INNER_TOKEN_MAX_BYTES).contains(&text.len()) && !text.contains('\0')
}

/// `$2a$`, `$2b$`, `$2x$` or `$2y$`, a cost of at most [`BCRYPT_MAX_COST`], salt and hash.
fn is_affordable(hash: &str) -> bool {
    let Ok(parts) = hash.parse::<bcrypt::HashParts>() else {
        return false;
    };
    let version = hash.get(..4);
    matches!(version, Some("$2a$" | "$2b$" | "$2x$" | "$2y$"))
        && parts.get_cost() <= BCRYPT_MAX_COST
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcrypt::Version;

    fn hash(token: &str, version: Version) -> Secret {
        Secret::new(
            bcrypt::hash_with_result(token, 4)
                .unwrap()
                .format_for_version(version),
        )
    }

    #[test]
    fn every_version_of_a_hash_is_read() {
        let check = CredentialCheck::default();
        for version in [Version::TwoA, Version::TwoB, Version::TwoX, Version::TwoY] {
            let hash = hash("inner", version);
            assert!(
                check.matches(&Secret::new("inner"), &hash),
                "{}",
                hash.expose()
            );
            assert!(!check.matches(&Secret::new("other"), &hash));
        }
    }

    /// Flaw: bcrypt never cached.
    #[test]
    fn an_outcome_is_computed_once_whatever_it_is() {
        let check = CredentialCheck::default();
        let stored = hash("inner", Version::TwoB);
        for _ in 0..3 {
            assert!(check.matches(&Secret::new("inner"), &stored));
            assert!(!check.matches(&Secret::new("wrong"), &stored));
        }
        assert_eq!(check.computed(), 2);
        assert!(
            check.matches(&Secret::new("inner"), &hash("inner", Version::TwoB)),
            "a renewed row is compared anew"
        );
        assert_eq!(check.computed(), 3);
    }

    #[test]
    fn what_cannot_match_costs_no_bcrypt() {
        let check = CredentialCheck::default();
        let stored = hash("inner", Version::TwoB);
        for token in [String::new(), "a".repeat(73), "in\0ner".to_owned()] {
            assert!(!check.matches(&Secret::new(token), &stored));
        }
        let costly = stored.expose().replacen("$04$", "$13$", 1);
        for hash in [
            costly.as_str(),
            "",
            "inner",
            "$2b$",
            "$2b$04$short",
            "$1$04$abc",
            "$2b$99$x",
        ] {
            assert!(
                !check.matches(&Secret::new("inner"), &Secret::new(hash)),
                "{hash}"
            );
        }
        assert_eq!(check.computed(), 0);
    }

    #[test]
    fn the_memory_is_bounded() {
        let check = CredentialCheck::default();
        let mut outcomes = check.outcomes.lock().unwrap();
        for i in 0..10_000_u32 {
            outcomes.put(([0; 32], Secret::new(i.to_string())), false);
        }
        assert_eq!(outcomes.len(), 4096);
    }
}
