//! The handshake: who gets in, and what the others are told.

use std::time::Duration;

use hermes::issue::revoke;
use hermes::time::{Clock, SystemClock};
use hermes_tests::socket::{PLACES, Socket, TokenPlace};
use hermes_tests::stack::{PATIENCE, Room, Stack};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::time::timeout;

/// An RSA public key: whoever takes it for an HMAC secret accepts tokens that anybody can sign.
const RSA_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf\n9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==\n-----END PUBLIC KEY-----\n";

fn sign(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(algorithm), claims, &key).unwrap()
}

fn in_seconds(seconds: i64) -> u64 {
    SystemClock.now().as_secs().saturating_add_signed(seconds)
}

/// The claims of a good token.
fn claims_of(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode(token)
        .unwrap()
        .claims
}

fn with_header(token: &str, header: &str) -> String {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header))
}

async fn refused(stack: &Stack, place: TokenPlace, token: &str) -> u16 {
    match stack.connect(place, token).await {
        Ok(_) => 101,
        Err(status) => status,
    }
}

#[tokio::test]
async fn a_token_in_the_query_string_opens_a_socket() {
    let stack = Stack::find().await;
    let token = stack.room().token("alice").await;
    let mut socket = stack.connect(TokenPlace::Query, &token).await.unwrap();
    assert_eq!(socket.subprotocol(), None, "none was offered");
    socket.ping().await;
}

#[tokio::test]
async fn a_token_as_a_subprotocol_opens_a_socket_and_is_not_echoed() {
    let stack = Stack::find().await;
    let token = stack.room().token("alice").await;
    let mut socket = stack
        .connect(TokenPlace::Subprotocol, &token)
        .await
        .unwrap();
    assert_eq!(socket.subprotocol(), Some("bearer"));
    for (name, value) in socket.handshake_headers() {
        assert!(!value.contains(&token), "the token is echoed in {name}");
    }
    socket.ping().await;
}

/// Flaw: failure answers nothing at all: the client sees 500 instead of 401.
/// Flaw: the algorithm is not pinned; `exp` not required.
#[tokio::test]
async fn a_handshake_without_a_good_token_is_answered_401() {
    let stack = Stack::find().await;
    let secret = stack.jwt_secret().await;
    let secret = secret.expose();
    let good = stack.room().token("alice").await;
    let claims = claims_of(&good);
    let with = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        claims
    };
    let mut without_exp = claims.clone();
    without_exp.as_object_mut().unwrap().remove("exp");
    let (payload, signature) = good.split_once('.').unwrap().1.split_once('.').unwrap();
    let unsigned = with_header(&format!(".{payload}."), r#"{"alg":"none"}"#);
    let tokens = [
        ("empty", String::new()),
        ("garbage", "garbage".to_owned()),
        ("garbage in three parts", "gar.ba.ge".to_owned()),
        (
            "expired",
            sign(
                Algorithm::HS512,
                secret,
                &with("exp", json!(in_seconds(-60))),
            ),
        ),
        ("without exp", sign(Algorithm::HS512, secret, &without_exp)),
        (
            "not valid yet",
            sign(
                Algorithm::HS512,
                secret,
                &with("nbf", json!(in_seconds(60))),
            ),
        ),
        (
            "for an audience",
            sign(Algorithm::HS512, secret, &with("aud", json!("hermes"))),
        ),
        (
            "wrong secret",
            sign(Algorithm::HS512, &"x".repeat(88), &claims),
        ),
        ("HS256", sign(Algorithm::HS256, secret, &claims)),
        ("HS384", sign(Algorithm::HS384, secret, &claims)),
        ("none", unsigned.clone()),
        ("none, with the signature", format!("{unsigned}{signature}")),
        (
            "RS256 in the header",
            with_header(&good, r#"{"alg":"RS256"}"#),
        ),
        (
            "HS256, keyed by a public key",
            sign(Algorithm::HS256, RSA_PUBLIC_KEY, &claims),
        ),
        (
            "HS512, keyed by a public key",
            sign(Algorithm::HS512, RSA_PUBLIC_KEY, &claims),
        ),
    ];
    for (name, token) in &tokens {
        for place in PLACES {
            assert_eq!(
                refused(&stack, place, token).await,
                401,
                "{name}, {place:?}"
            );
        }
    }
    for place in PLACES {
        assert_eq!(
            refused(&stack, place, &good).await,
            101,
            "the good one, {place:?}"
        );
    }
}

#[tokio::test]
async fn a_handshake_with_no_token_or_two_is_answered_401() {
    let stack = Stack::find().await;
    let url = stack.output("WebSocketUrl");
    let token = stack.room().token("alice").await;
    let bearer = format!("bearer, {token}");
    for (url, protocols) in [
        (url.to_owned(), None),
        (format!("{url}?jwt={token}"), None),
        (url.to_owned(), Some("bearer")),
        (url.to_owned(), Some(token.as_str())),
        (url.to_owned(), Some("graphql-ws")),
        (format!("{url}?token={token}"), Some(bearer.as_str())),
        (format!("{url}?token={token}&token={token}"), None),
    ] {
        let refused = Socket::open(&url, protocols).await.err();
        assert_eq!(refused, Some(401), "{url} {protocols:?}");
    }
}

/// Flaw: a missing row throws outside the error handling and kills the process.
#[tokio::test]
async fn a_good_token_that_no_row_confirms_is_answered_403() {
    let stack = Stack::find().await;
    let secret = stack.jwt_secret().await;
    let room = stack.room();
    let good = room.token("alice").await;
    let with = |claim: &str, value: Value| {
        let mut claims = claims_of(&good);
        claims[claim] = value;
        sign(Algorithm::HS512, secret.expose(), &claims)
    };
    let revoked = room.token("bob").await;
    assert!(
        revoke(&stack.credentials(), &"bob".parse().unwrap(), &room.id)
            .await
            .unwrap()
    );
    for (name, token) in [
        ("revoked", revoked),
        ("no row for the user", with("user_id", json!("mallory"))),
        (
            "no row for the room",
            with("room_id", json!(stack.room().id)),
        ),
        ("wrong inner token", with("token", json!("0".repeat(64)))),
        ("empty inner token", with("token", json!(""))),
    ] {
        for place in PLACES {
            assert_eq!(
                refused(&stack, place, &token).await,
                403,
                "{name}, {place:?}"
            );
            assert_eq!(
                refused(&stack, place, &good).await,
                101,
                "the good one after it"
            );
        }
    }
}

/// Flaw: issuing again never revokes; issuing rewrites the row, undoing a revocation.
#[tokio::test]
async fn a_revoked_user_is_closed_and_cannot_come_back_with_the_old_token() {
    let stack = Stack::find().await;
    let room = stack.room();
    let old = room.token("alice").await;
    let socket = stack.connect(TokenPlace::Query, &old).await.unwrap();
    let mut bob = room.join("bob").await;

    revoke(&stack.credentials(), &"alice".parse().unwrap(), &room.id)
        .await
        .unwrap();
    room.close("alice").await;
    socket.closed().await;
    room.until_members_are(1).await;
    assert_eq!(refused(&stack, TokenPlace::Query, &old).await, 403);
    bob.receives_nothing_more("bob").await;

    // Revoking ends tokens, not rights.
    let new = room.token("alice").await;
    assert_eq!(refused(&stack, TokenPlace::Query, &new).await, 101);
    assert_eq!(
        refused(&stack, TokenPlace::Query, &old).await,
        403,
        "the old one stays revoked"
    );
}

#[tokio::test]
async fn a_second_tab_leaves_the_first_one_open() {
    let stack = Stack::find().await;
    let room = stack.room();
    let (mut first, mut second) = (room.join("alice").await, room.join("alice").await);
    second.publish(&json!("both")).await;
    for socket in [&mut first, &mut second] {
        assert_eq!(socket.notification().await.data(), "both");
    }
}

/// Flaw: the table has no expiry: a lost `$disconnect` leaves a row for ever.
#[tokio::test]
async fn connecting_writes_one_row_with_an_end_and_leaving_removes_it() {
    let stack = Stack::find().await;
    let room = stack.room();
    let before = SystemClock.now();
    let socket = room.join("alice").await;
    let [alice] = room.members().await.try_into().unwrap();
    assert_eq!(alice.user.as_str(), "alice");
    assert!(before.as_secs() <= alice.connected_at.as_secs());
    assert!(alice.connected_at <= SystemClock.now());
    assert!(expiries(&stack, &room).await == [alice.connected_at.as_secs() + 2 * 3600 + 5 * 60]);
    socket.leave().await;
    room.until_members_are(0).await;
}

async fn expiries(stack: &Stack, room: &Room<'_>) -> Vec<u64> {
    use aws_sdk_dynamodb::types::AttributeValue;
    let query = stack
        .dynamodb()
        .query()
        .table_name(stack.output("ConnectionsTable"));
    let query = query.key_condition_expression("room_id = :room");
    let query = query.expression_attribute_values(":room", AttributeValue::S(room.id.to_string()));
    let rows = query.send().await.unwrap().items.unwrap_or_default();
    rows.iter()
        .map(|row| row["expires_at"].as_n().unwrap().parse().unwrap())
        .collect()
}

/// The leeway of ten seconds is the same at the handshake and for sending.
#[tokio::test]
async fn an_expired_token_still_receives_but_cannot_send() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut bob = room.join("bob").await;
    let mut claims = claims_of(&room.token("alice").await);
    claims["exp"] = json!(in_seconds(-4));
    let token = sign(Algorithm::HS512, stack.jwt_secret().await.expose(), &claims);
    let mut alice = stack
        .connect(TokenPlace::Subprotocol, &token)
        .await
        .expect("within the leeway");

    for action in ["sendMessage", "sendMessageToSQS"] {
        let send = json!({"action": action, "data": "may I", "to": "nobody"});
        let until_refused = async {
            loop {
                let answer = alice.request(send.clone()).await;
                if answer["system"] != "ack" {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let refused = timeout(PATIENCE, until_refused)
            .await
            .expect("it may not send for ever");
        assert_eq!(refused["data"]["code"], "token_expired", "{refused}");
        assert!(
            in_seconds(-10) >= claims["exp"].as_u64().unwrap(),
            "not before the leeway ended"
        );
    }
    // At the handshake the leeway is counted in whole seconds, and may end a second later.
    let still_good = async { while refused(&stack, TokenPlace::Query, &token).await != 401 {} };
    timeout(Duration::from_secs(2), still_good)
        .await
        .expect("no handshake with it either");

    bob.publish(&json!("still there?")).await;
    assert_eq!(alice.notification().await.data(), "still there?");
    alice.ping().await;
    assert_eq!(bob.notification().await.data(), "still there?");
    bob.receives_nothing_more("bob").await;
}
