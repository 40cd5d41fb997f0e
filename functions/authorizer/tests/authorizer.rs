//! The authorizer, with the events of `events/`. (Hostile tokens: `tests/tests/handshakes/`.)
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use authorizer::{Authorizer, Decision, NoDecision};
use hermes::claims::TokenVerifier;
use hermes::memory::MemoryCredentials;
use hermes::ports::{Credential, Credentials, PortError, Written};
use hermes::secret::{JwtSecret, Secret};
use hermes::{RoomId, UserId};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

const QUERY: &str = include_str!("../../../events/authorizer-query-token.json");
const SUBPROTOCOL: &str = include_str!("../../../events/authorizer-subprotocol-token.json");

fn verifier() -> TokenVerifier {
    let environment: Value =
        serde_json::from_str(include_str!("../../../events/env.json")).unwrap();
    let secret = environment["AuthorizerFunction"]["JWT_SECRET"]
        .as_str()
        .unwrap();
    TokenVerifier::new(&JwtSecret::new(Secret::new(secret)).unwrap())
}

fn ids() -> (UserId, RoomId) {
    ("alice".parse().unwrap(), "demo".parse().unwrap())
}

/// The inner token of the events.
fn inner_token() -> String {
    let event: Value = serde_json::from_str(QUERY).unwrap();
    let jwt = event["queryStringParameters"]["token"].as_str().unwrap();
    verifier().verify(jwt).unwrap().token.expose().to_owned()
}

fn stored() -> MemoryCredentials {
    let store = MemoryCredentials::default();
    let (user, room) = ids();
    store.insert(&user, &room, &bcrypt::hash(inner_token(), 4).unwrap());
    store
}

async fn decide(store: impl Credentials, event: &str) -> Result<Decision, NoDecision> {
    Authorizer::new(verifier(), store)
        .handle(serde_json::from_str(event).unwrap())
        .await
}

/// Flaw: a constant answer for every resource, or none: here exactly the `methodArn` is allowed.
#[tokio::test]
async fn a_good_token_is_allowed_for_exactly_its_resource() {
    for event in [QUERY, SUBPROTOCOL] {
        let arn = serde_json::from_str::<Value>(event).unwrap()["methodArn"].clone();
        let decision = serde_json::to_value(decide(stored(), event).await.unwrap()).unwrap();
        assert_eq!(
            decision,
            json!({
                "principalId": "alice",
                "policyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{"Action": ["execute-api:Invoke"], "Effect": "Allow", "Resource": [arn]}],
                },
                "context": {"user_id": "alice", "room_id": "demo", "exp": "4102444800"},
                "usageIdentifierKey": null,
            })
        );
    }
}

/// Flaw: a missing row throws outside the error handling and kills the process.
#[tokio::test]
async fn a_missing_revoked_or_other_row_is_a_denial() {
    let (user, room) = ids();
    let revoked = stored();
    revoked.revoke(&user, &room, "g2").await.unwrap();
    let other = MemoryCredentials::default();
    other.insert(&user, &room, &bcrypt::hash("another token", 4).unwrap());
    for store in [MemoryCredentials::default(), revoked, other] {
        let decision = serde_json::to_value(decide(store, QUERY).await.unwrap()).unwrap();
        assert_eq!(decision["policyDocument"]["Statement"][0]["Effect"], "Deny");
        assert_eq!(
            decision["context"],
            json!({}),
            "nothing is said to whom it denies"
        );
    }
}

/// Flaw: failure answers nothing at all: the client sees 500 instead of 401.
#[tokio::test]
async fn a_bad_token_is_the_one_text_that_becomes_401() {
    let mut event: Value = serde_json::from_str(QUERY).unwrap();
    for part in ["queryStringParameters", "multiValueQueryStringParameters"] {
        event[part] = json!(null);
    }
    let reason = decide(stored(), &event.to_string()).await.unwrap_err();
    assert_eq!(Diagnostic::from(reason).error_message, "Unauthorized");
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_neither_401_nor_403() {
    struct Failing;
    impl Credentials for Failing {
        async fn find(&self, _: &UserId, _: &RoomId) -> Result<Option<Credential>, PortError> {
            Err(PortError::new(
                "reading the credential",
                "AccessDenied: arn:aws:dynamodb:…",
            ))
        }
        async fn renew(
            &self,
            _: &UserId,
            _: &RoomId,
            _: Option<&str>,
            _: &str,
            _: &Secret,
        ) -> Result<Written, PortError> {
            unreachable!("the authorizer writes nothing")
        }
        async fn revoke(&self, _: &UserId, _: &RoomId, _: &str) -> Result<bool, PortError> {
            unreachable!("the authorizer writes nothing")
        }
    }
    let reason = decide(Failing, QUERY).await.unwrap_err();
    assert_eq!(reason, NoDecision::Unavailable);
    let diagnostic = Diagnostic::from(reason);
    assert_ne!(diagnostic.error_message, "Unauthorized");
    assert!(!diagnostic.error_message.contains("arn:"), "no internals");
}

/// A revocation counts at once, although outcomes of bcrypt are remembered.
#[tokio::test]
async fn a_warm_authorizer_sees_a_revocation() {
    let store = stored();
    let (user, room) = ids();
    let authorizer = Authorizer::new(verifier(), &store);
    let effect = async || {
        let decision = authorizer
            .handle(serde_json::from_str(QUERY).unwrap())
            .await
            .unwrap();
        serde_json::to_value(decision).unwrap()["policyDocument"]["Statement"][0]["Effect"].clone()
    };
    assert_eq!(effect().await, "Allow");
    store.revoke(&user, &room, "g2").await.unwrap();
    assert_eq!(effect().await, "Deny");
}
