//! Tokens of every kind, and the check that each of them fails.

use super::*;
use hermes::claims::TokenSigner;
use hermes::issue::{Issuer, revoke};
use hermes::memory::MemoryCredentials;
use hermes::ports::Credentials as _;
use hermes::secret::JwtSecret;
use hermes::time::{Clock as _, SystemClock};
use std::time::Duration;

fn secret(byte: &str) -> JwtSecret {
    JwtSecret::new(Secret::new(byte.repeat(64))).unwrap()
}

async fn issue(credentials: &MemoryCredentials, ttl: u64) -> Secret {
    let issuer = Issuer::new(
        credentials,
        TokenSigner::new(&secret("k")),
        Secret::new("passcode"),
    );
    // `ttl` seconds after a minute ago.
    let start = SystemClock.now().as_secs() - 60;
    issuer
        .issue(
            &"alice".parse().unwrap(),
            &"demo".parse().unwrap(),
            Duration::from_secs(ttl),
            Timestamp::from_secs(start),
        )
        .await
        .unwrap()
        .jwt
}

async fn check(token: &str, signed_with: &str, credentials: &MemoryCredentials) -> Checklist {
    let mut list = Checklist::default();
    if list.look_at(&Unverified::parse(token)) {
        let verifier = TokenVerifier::new(&secret(signed_with));
        if let Some(claims) = list.verify(&verifier, &Secret::new(token), SystemClock.now()) {
            let row = credentials.find(&claims.user, &claims.room).await.unwrap();
            list.compare(&claims, row);
        }
    }
    list
}

fn failed(list: &Checklist) -> Option<(Step, u16)> {
    let (step, _) = list
        .iter()
        .find(|(_, check)| check.outcome == Outcome::Failed)?;
    Some((step, list.status()?))
}

#[test]
fn a_step_is_its_place_in_the_order() {
    for (place, step) in STEPS.into_iter().enumerate() {
        assert_eq!(step as usize, place);
    }
}

#[tokio::test]
async fn a_good_token_passes_every_check() {
    let credentials = MemoryCredentials::default();
    let token = issue(&credentials, 3600).await;
    let list = check(token.expose(), "k", &credentials).await;
    assert_eq!(failed(&list), None);
    assert!(list.is_complete());
    assert!(
        list.iter()
            .all(|(_, check)| check.outcome == Outcome::Passed)
    );
}

#[tokio::test]
async fn the_first_check_that_fails_decides() {
    let credentials = MemoryCredentials::default();
    let token = issue(&credentials, 3600).await;
    let expired = issue(&credentials, 30).await;
    let token = token.expose();

    let list = check("Bearer x", "k", &credentials).await;
    assert_eq!(failed(&list), Some((Step::Shape, 401)));
    for header in [
        "eyJhbGciOiJub25lIn0",  // none
        "eyJhbGciOiJIUzI1NiJ9", // HS256
        "eyJhbGciOlsxXX0",      // [1]
        "e30",
    ] {
        let (_, rest) = token.split_once('.').unwrap();
        let list = check(&format!("{header}.{rest}"), "k", &credentials).await;
        assert_eq!(failed(&list), Some((Step::Algorithm, 401)), "{header}");
    }
    let list = check(token, "x", &credentials).await;
    assert_eq!(failed(&list), Some((Step::Signature, 401)));
    assert_eq!(
        list.checks[Step::Hash as usize].outcome,
        Outcome::NotReached
    );
    let list = check(expired.expose(), "k", &credentials).await;
    assert_eq!(failed(&list), Some((Step::Times, 401)));
    let list = check(token, "k", &MemoryCredentials::default()).await;
    assert_eq!(failed(&list), Some((Step::Row, 403)));

    let (alice, demo) = ("alice".parse().unwrap(), "demo".parse().unwrap());
    revoke(&&credentials, &alice, &demo).await.unwrap();
    let list = check(token, "k", &credentials).await;
    assert_eq!(failed(&list), Some((Step::NotRevoked, 403)));
    issue(&credentials, 3600).await;
    let list = check(token, "k", &credentials).await;
    assert_eq!(failed(&list), Some((Step::Hash, 403)));
    assert!(list.advice().unwrap().contains("--user alice --room demo"));
}
