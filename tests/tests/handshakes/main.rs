//! Hostile handshakes against the authorizer: none is allowed, none is a 5xx, and none that fails
//! before or at the signature costs a read or a bcrypt.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod tokens;

use std::collections::BTreeSet;

use authorizer::Authorizer;
use hermes::claims::TokenVerifier;
use hermes::memory::MemoryCredentials;
use hermes::secret::{JwtSecret, Secret};
use hermes_tests::handshake::{Handshake, Outcome, decide};
use serde_json::Value;

use crate::tokens::{Ends, INNER_HASH, SECRET, claims, hostile_tokens, signed};

async fn world() -> (
    Authorizer<&'static MemoryCredentials>,
    &'static MemoryCredentials,
) {
    use hermes::ports::Credentials;
    let store: &'static MemoryCredentials = Box::leak(Box::default());
    let red = "red".parse().unwrap();
    store.insert(&"alice".parse().unwrap(), &red, INNER_HASH);
    store.insert(
        &"costly".parse().unwrap(),
        &red,
        &INNER_HASH.replace("$04$", "$31$"),
    );
    store.insert(&"plain".parse().unwrap(), &red, "inner");
    store
        .revoke(&"revoked".parse().unwrap(), &red, "g")
        .await
        .unwrap();
    let secret = JwtSecret::new(Secret::new(SECRET)).unwrap();
    (Authorizer::new(TokenVerifier::new(&secret), store), store)
}

#[tokio::test]
async fn the_table_would_see_an_authorizer_that_allows() {
    let (authorizer, _) = world().await;
    for handshake in [
        Handshake::with_query_token(&signed(&claims())),
        Handshake::with_subprotocol_token(&signed(&claims())),
        Handshake::default().header(
            "sec-websocket-protocol",
            &format!("bearer,{}", signed(&claims())),
        ),
    ] {
        assert_eq!(
            decide(&authorizer, handshake.to_event()).await,
            Outcome::Allowed
        );
    }
}

/// Flaw: bcrypt before nothing cheaper.
#[tokio::test]
async fn no_hostile_token_is_allowed_in_either_place() {
    let tokens = hostile_tokens();
    let names: BTreeSet<_> = tokens.iter().map(|(name, ..)| *name).collect();
    assert_eq!(
        names.len(),
        tokens.len(),
        "every case has a name of its own"
    );
    assert!(tokens.len() >= 80, "{} tokens", tokens.len());

    let mut wrong = Vec::new();
    for (name, token, ends) in &tokens {
        let mut handshakes = vec![Handshake::with_query_token(token)];
        // HTTP takes white space around a header's value away (such a token is a good one there), and
        // cannot carry a control character in it (RFC 9110 §5.5).
        if token.trim() == token && !token.contains('\0') {
            handshakes.push(Handshake::with_subprotocol_token(token));
        }
        for handshake in handshakes {
            // A new authorizer each time: the outcome of a bcrypt is remembered.
            let (authorizer, store) = world().await;
            let outcome = decide(&authorizer, handshake.to_event()).await;
            let seen = (outcome, store.reads(), authorizer.bcrypts());
            let expected = match ends {
                Ends::Early => (Outcome::Unauthorized, 0, 0),
                Ends::AtTheRow => (Outcome::Denied, 1, 0),
                Ends::AtTheHash => (Outcome::Denied, 1, 1),
            };
            if seen != expected {
                wrong.push(format!("{name}: {seen:?} instead of {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Handshakes whose token is good, but which show it in a way that is not ours.
#[tokio::test]
async fn no_hostile_handshake_is_allowed() {
    let good = signed(&claims());
    let protocol = "Sec-WebSocket-Protocol";
    let handshakes = [
        ("no token", Handshake::default()),
        (
            "the token in both places",
            Handshake::with_query_token(&good).header(protocol, &format!("bearer, {good}")),
        ),
        (
            "the token twice in the query",
            Handshake::with_query_token(&good).query("token", &good),
        ),
        (
            "two different tokens in the query",
            Handshake::with_query_token("x").query("token", &good),
        ),
        (
            "an empty token and a good one",
            Handshake::with_query_token("").query("token", &good),
        ),
        (
            "an empty query token and a subprotocol",
            Handshake::with_query_token("").header(protocol, &format!("bearer, {good}")),
        ),
        (
            "a query token and a bare bearer",
            Handshake::with_query_token(&good).header(protocol, "bearer"),
        ),
        ("Token", Handshake::default().query("Token", &good)),
        ("jwt", Handshake::default().query("jwt", &good)),
        ("token[]", Handshake::default().query("token[]", &good)),
        (
            "access_token",
            Handshake::default().query("access_token", &good),
        ),
        (
            "an Authorization header",
            Handshake::default().header("Authorization", &format!("Bearer {good}")),
        ),
        (
            "a cookie",
            Handshake::default().header("Cookie", &format!("token={good}")),
        ),
        (
            "the subprotocol Bearer",
            Handshake::default().header(protocol, &format!("Bearer, {good}")),
        ),
        (
            "only bearer",
            Handshake::default().header(protocol, "bearer"),
        ),
        (
            "only the token",
            Handshake::default().header(protocol, &good),
        ),
        (
            "the token before bearer",
            Handshake::default().header(protocol, &format!("{good}, bearer")),
        ),
        (
            "a third subprotocol",
            Handshake::default().header(protocol, &format!("bearer, {good}, json")),
        ),
        (
            "two tokens as subprotocols",
            Handshake::default().header(protocol, &format!("bearer, {good}, {good}")),
        ),
        (
            "a space instead of a comma",
            Handshake::default().header(protocol, &format!("bearer {good}")),
        ),
        (
            "the subprotocol header twice",
            Handshake::with_subprotocol_token(&good).header(protocol, &format!("bearer, {good}")),
        ),
        (
            "a header of latin-1 text",
            Handshake::default().header(protocol, "bearer, t\u{f6}ken"),
        ),
    ];
    for (name, handshake) in handshakes {
        let (authorizer, store) = world().await;
        assert_eq!(
            decide(&authorizer, handshake.to_event()).await,
            Outcome::Unauthorized,
            "{name}"
        );
        assert_eq!((store.reads(), authorizer.bcrypts()), (0, 0), "{name}");
    }
}

/// Headers that say nothing about the token cannot make the authorizer fail.
#[tokio::test]
async fn odd_headers_do_no_harm() {
    let good = signed(&claims());
    for (name, value) in [
        ("X-Odd", "\u{e9}\u{1F600}"),
        ("x_odd!#$%&'*+.^`|~", "v"),
        ("User-Agent", ""),
        ("Cookie", "\t"),
    ] {
        let (authorizer, _) = world().await;
        let handshake = Handshake::with_query_token(&good).header(name, value);
        assert_eq!(
            decide(&authorizer, handshake.to_event()).await,
            Outcome::Allowed,
            "{name}: {value:?}"
        );
    }
    let (authorizer, _) = world().await;
    for absent in [
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
    ] {
        let mut event = Handshake::default().to_event();
        event[absent] = Value::Null;
        assert_eq!(
            decide(&authorizer, event).await,
            Outcome::Unauthorized,
            "{absent} null"
        );
    }
}
