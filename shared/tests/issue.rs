//! Issuing and revoking, over the Credentials table in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use hermes::claims::{Claims, TokenSigner, TokenVerifier};
use hermes::credential::CredentialCheck;
use hermes::issue::{Issuer, revoke};
use hermes::memory::MemoryCredentials;
use hermes::ports::Credentials;
use hermes::secret::{JwtSecret, Secret};
use hermes::time::{Clock, SystemClock};
use hermes::{RoomId, UserId};

const TTL: Duration = Duration::from_secs(60);

struct World<'a> {
    store: &'a MemoryCredentials,
    issuer: Issuer<&'a MemoryCredentials>,
    verifier: TokenVerifier,
    user: UserId,
    room: RoomId,
}

impl<'a> World<'a> {
    fn new(store: &'a MemoryCredentials) -> Self {
        let secret = JwtSecret::new(Secret::new("k".repeat(64))).unwrap();
        Self {
            store,
            issuer: Issuer::new(store, TokenSigner::new(&secret), Secret::new("passcode")),
            verifier: TokenVerifier::new(&secret),
            user: "alice".parse().unwrap(),
            room: "red".parse().unwrap(),
        }
    }

    async fn issue(&self) -> (Claims, bool) {
        let issued = self
            .issuer
            .issue(&self.user, &self.room, TTL, SystemClock.now())
            .await
            .unwrap();
        let claims = self.verifier.verify(issued.jwt.expose()).unwrap();
        assert_eq!(
            (&claims.user, &claims.room, claims.expires_at),
            (&self.user, &self.room, issued.expires_at)
        );
        (claims, issued.renewed)
    }

    async fn is_good(&self, claims: &Claims) -> bool {
        let row = self
            .store
            .find(&self.user, &self.room)
            .await
            .unwrap()
            .unwrap();
        row.token_hash
            .is_some_and(|hash| CredentialCheck::default().matches(&claims.token, &hash))
    }
}

#[tokio::test]
async fn issuing_again_writes_nothing_and_a_second_tab_works() {
    let store = MemoryCredentials::default();
    let world = World::new(&store);
    let (first, renewed) = world.issue().await;
    assert!(renewed);
    let (second, renewed) = world.issue().await;
    assert!(!renewed);
    assert!(world.is_good(&first).await && world.is_good(&second).await);
}

/// Flaw: a token is constant per user and room, so issuing again never revokes; issuing rewrites the
/// row, undoing a revocation.
#[tokio::test]
async fn a_revoked_token_stays_revoked_when_a_new_one_is_issued() {
    let store = MemoryCredentials::default();
    let world = World::new(&store);
    let (old, _) = world.issue().await;
    assert!(revoke(&store, &world.user, &world.room).await.unwrap());
    assert!(!world.is_good(&old).await);
    let (new, renewed) = world.issue().await;
    assert!(renewed, "revoking ends tokens, not rights");
    assert!(world.is_good(&new).await);
    assert!(!world.is_good(&old).await);
    assert_ne!(old.token, new.token);
}

#[tokio::test]
async fn a_row_that_a_backend_wrote_is_taken_over() {
    let store = MemoryCredentials::default();
    let world = World::new(&store);
    store.insert(&world.user, &world.room, &bcrypt_of("inner"));
    let (claims, renewed) = world.issue().await;
    assert!(renewed);
    assert!(world.is_good(&claims).await);
}

#[tokio::test]
async fn revoking_what_does_not_exist_says_so() {
    let store = MemoryCredentials::default();
    let world = World::new(&store);
    assert!(!revoke(&store, &world.user, &world.room).await.unwrap());
}

fn bcrypt_of(token: &str) -> String {
    bcrypt::hash(token, 4).unwrap()
}
