//! The table of hostile tokens, and how they are made.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use hermes::time::{Clock, SystemClock};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

pub(crate) const SECRET: &str =
    "a-secret-of-the-tests-that-has-more-than-sixty-four-bytes-0123456789";
/// An RSA public key: whoever takes it for an HMAC secret accepts tokens that anybody can sign.
const RSA_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf\n9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==\n-----END PUBLIC KEY-----\n";

/// How far a token gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// At its shape, signature, times or claims: 401, and costs no read.
    Early,
    /// At its row: 403, and costs one read but no bcrypt.
    AtTheRow,
    /// At the comparison with the hash: 403, and costs one read and one bcrypt.
    AtTheHash,
}

fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn in_seconds(seconds: i64) -> u64 {
    SystemClock.now().as_secs().saturating_add_signed(seconds)
}

pub(crate) fn claims() -> Value {
    json!({"user_id": "alice", "room_id": "red", "token": "inner", "exp": in_seconds(300)})
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

fn without(claim: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(claim);
    claims
}

fn sign(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
    encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_secret(secret),
    )
    .unwrap()
}

/// Signed as ours are.
pub(crate) fn signed(claims: &Value) -> String {
    sign(Algorithm::HS512, SECRET.as_bytes(), claims)
}

/// Signed with our secret, over a header and a payload that no library would write.
fn signed_raw(header: &str, payload: &str) -> String {
    let input = format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(payload.as_bytes())
    );
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::HS512).unwrap();
    format!("{input}.{signature}")
}

fn unsigned(header: &str, payload: &Value) -> String {
    format!(
        "{}.{}.",
        base64url(header.as_bytes()),
        base64url(payload.to_string().as_bytes())
    )
}

/// Tokens, none of which may open a socket, wherever it is put.
pub(crate) fn hostile_tokens() -> Vec<(&'static str, String, Ends)> {
    use Ends::{AtTheHash, AtTheRow, Early};
    let good = signed(&claims());
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let hs512 = r#"{"typ":"JWT","alg":"HS512"}"#;
    let forged_payload = base64url(with("user_id", json!("admin")).to_string().as_bytes());
    let mut changed = signature.to_owned();
    changed.replace_range(0..1, if signature.starts_with('A') { "B" } else { "A" });
    let mut tokens = vec![
        // Shape.
        ("empty", String::new(), Early),
        ("a word", "token".to_owned(), Early),
        ("two parts", format!("{header}.{payload}"), Early),
        ("four parts", format!("{good}.x"), Early),
        (
            "five parts, as an encrypted JWT",
            format!("{good}.x.y"),
            Early,
        ),
        ("only dots", "..".to_owned(), Early),
        ("no header", format!(".{payload}.{signature}"), Early),
        ("no payload", format!("{header}..{signature}"), Early),
        ("a space before", format!(" {good}"), Early),
        ("a space behind", format!("{good} "), Early),
        ("a line feed", format!("{good}\n"), Early),
        ("a NUL", format!("{good}\0"), Early),
        ("padding", format!("{good}="), Early),
        ("standard base64", format!("{header}.{payload}.a+b/"), Early),
        ("Bearer before it", format!("Bearer {good}"), Early),
        ("quotes", format!("\"{good}\""), Early),
        ("percent-encoded dots", good.replace('.', "%2E"), Early),
        ("unicode", "ä.ö.ü".to_owned(), Early),
        ("full-width dots", good.replace('.', "．"), Early),
        (
            "8 KiB and a byte",
            format!("{header}.{payload}.{}", "A".repeat(8192)),
            Early,
        ),
        ("1 MiB", "A".repeat(1 << 20), Early),
        ("a path", "../../etc/passwd".to_owned(), Early),
        ("SQL", "' OR 1=1 --".to_owned(), Early),
        ("a template", "${jndi:ldap://x}".to_owned(), Early),
        // Header.
        (
            "a header that is no base64",
            format!("a.{payload}.{signature}"),
            Early,
        ),
        ("a header that is no JSON", signed_raw("hello", "{}"), Early),
        ("a header that is an array", signed_raw("[]", "{}"), Early),
        (
            "a header without alg",
            signed_raw(r#"{"typ":"JWT"}"#, &claims().to_string()),
            Early,
        ),
        (
            "alg null",
            signed_raw(r#"{"alg":null}"#, &claims().to_string()),
            Early,
        ),
        (
            "alg a number",
            signed_raw(r#"{"alg":512}"#, &claims().to_string()),
            Early,
        ),
        (
            "alg in lower case",
            signed_raw(r#"{"alg":"hs512"}"#, &claims().to_string()),
            Early,
        ),
        (
            "alg twice",
            signed_raw(r#"{"alg":"none","alg":"HS512"}"#, &claims().to_string()),
            Early,
        ),
        (
            "a crit header",
            signed_raw(r#"{"alg":"HS512","crit":["x"]}"#, &claims().to_string()),
            Early,
        ),
        // Algorithm.
        (
            "none without a signature",
            unsigned(r#"{"alg":"none"}"#, &claims()),
            Early,
        ),
        (
            "none with a signature",
            format!("{}{signature}", unsigned(r#"{"alg":"none"}"#, &claims())),
            Early,
        ),
        (
            "None",
            format!("{}{signature}", unsigned(r#"{"alg":"None"}"#, &claims())),
            Early,
        ),
        (
            "NONE",
            format!("{}{signature}", unsigned(r#"{"alg":"NONE"}"#, &claims())),
            Early,
        ),
        (
            "an empty alg",
            format!("{}{signature}", unsigned(r#"{"alg":""}"#, &claims())),
            Early,
        ),
        (
            "HS512 without a signature",
            unsigned(hs512, &claims()),
            Early,
        ),
        (
            "HS256 with our secret",
            sign(Algorithm::HS256, SECRET.as_bytes(), &claims()),
            Early,
        ),
        (
            "HS384 with our secret",
            sign(Algorithm::HS384, SECRET.as_bytes(), &claims()),
            Early,
        ),
        (
            "RS256 in the header only",
            format!("{}{signature}", unsigned(r#"{"alg":"RS256"}"#, &claims())),
            Early,
        ),
        (
            "RS512 in the header only",
            format!("{}{signature}", unsigned(r#"{"alg":"RS512"}"#, &claims())),
            Early,
        ),
        (
            "ES256 in the header only",
            format!("{}{signature}", unsigned(r#"{"alg":"ES256"}"#, &claims())),
            Early,
        ),
        (
            "PS512 in the header only",
            format!("{}{signature}", unsigned(r#"{"alg":"PS512"}"#, &claims())),
            Early,
        ),
        (
            "EdDSA in the header only",
            format!("{}{signature}", unsigned(r#"{"alg":"EdDSA"}"#, &claims())),
            Early,
        ),
        (
            "RS256 confusion: HS256 keyed by a public key",
            sign(Algorithm::HS256, RSA_PUBLIC_KEY.as_bytes(), &claims()),
            Early,
        ),
        (
            "HS512 keyed by a public key",
            sign(Algorithm::HS512, RSA_PUBLIC_KEY.as_bytes(), &claims()),
            Early,
        ),
        (
            "a key in the header (jwk)",
            signed_raw(
                r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#,
                &claims().to_string(),
            ),
            Early,
        ),
        // Signature.
        (
            "signed with another secret",
            sign(Algorithm::HS512, "x".repeat(64).as_bytes(), &claims()),
            Early,
        ),
        (
            "signed with an empty secret",
            sign(Algorithm::HS512, b"", &claims()),
            Early,
        ),
        (
            "signed with half of the secret",
            sign(Algorithm::HS512, &SECRET.as_bytes()[..34], &claims()),
            Early,
        ),
        (
            "a changed signature",
            format!("{header}.{payload}.{changed}"),
            Early,
        ),
        (
            "a cut signature",
            format!("{header}.{payload}.{}", &signature[..40]),
            Early,
        ),
        ("a longer signature", format!("{good}AAAA"), Early),
        (
            "another payload under the signature",
            format!("{header}.{forged_payload}.{signature}"),
            Early,
        ),
        (
            "the signature of another token",
            format!(
                "{header}.{payload}.{}",
                signed(&with("exp", json!(in_seconds(301))))
                    .rsplit('.')
                    .next()
                    .unwrap()
            ),
            Early,
        ),
        // Payload.
        (
            "a payload that is no JSON",
            signed_raw(hs512, "hello"),
            Early,
        ),
        (
            "a payload that is no UTF-8",
            format!("{header}.{}.{signature}", base64url(&[0xff, 0xfe])),
            Early,
        ),
        ("an empty object", signed(&json!({})), Early),
        (
            "an array",
            signed(&json!(["alice", "red", "inner", in_seconds(300)])),
            Early,
        ),
        ("a string", signed(&json!("alice")), Early),
        ("null", signed(&json!(null)), Early),
        ("no user_id", signed(&without("user_id")), Early),
        ("no room_id", signed(&without("room_id")), Early),
        ("no token", signed(&without("token")), Early),
        ("no exp", signed(&without("exp")), Early),
        (
            "expired",
            signed(&with("exp", json!(in_seconds(-11)))),
            Early,
        ),
        ("expired long ago", signed(&with("exp", json!(0))), Early),
        ("a negative exp", signed(&with("exp", json!(-1))), Early),
        (
            "exp as text",
            signed(&with("exp", json!(in_seconds(300).to_string()))),
            Early,
        ),
        (
            "exp as a float",
            signed(&with("exp", json!(4e9 + 0.5))),
            Early,
        ),
        (
            "exp beyond every number",
            signed_raw(
                hs512,
                &claims()
                    .to_string()
                    .replace(&in_seconds(300).to_string(), "1e999"),
            ),
            Early,
        ),
        ("exp null", signed(&with("exp", json!(null))), Early),
        (
            "not valid yet",
            signed(&with("nbf", json!(in_seconds(30)))),
            Early,
        ),
        (
            "nbf as text",
            signed(&with("nbf", json!("tomorrow"))),
            Early,
        ),
        (
            "an audience",
            signed(&with("aud", json!("somebody"))),
            Early,
        ),
        (
            "an audience of null",
            signed(&with("aud", json!(null))),
            Early,
        ),
        ("an empty user", signed(&with("user_id", json!(""))), Early),
        (
            "a user with the separator",
            signed(&with("user_id", json!("alice\u{1f}"))),
            Early,
        ),
        (
            "a user with a NUL",
            signed(&with("user_id", json!("alice\0"))),
            Early,
        ),
        (
            "a user of 257 bytes",
            signed(&with("user_id", json!("a".repeat(257)))),
            Early,
        ),
        (
            "a user that is a float",
            signed(&with("user_id", json!(1.0))),
            Early,
        ),
        (
            "a user that is an array",
            signed(&with("user_id", json!(["alice"]))),
            Early,
        ),
        (
            "a user that is a condition",
            signed(&with("user_id", json!({"$ne": ""}))),
            Early,
        ),
        (
            "a room that is a boolean",
            signed(&with("room_id", json!(true))),
            Early,
        ),
        (
            "a room with a line feed",
            signed(&with("room_id", json!("red\n"))),
            Early,
        ),
        (
            "user_id twice",
            signed_raw(
                hs512,
                &claims().to_string().replace("{", r#"{"user_id":"admin","#),
            ),
            Early,
        ),
        (
            "an inner token that is a number",
            signed(&with("token", json!(5))),
            Early,
        ),
        // Row.
        (
            "another user",
            signed(&with("user_id", json!("mallory"))),
            AtTheRow,
        ),
        (
            "another room",
            signed(&with("room_id", json!("blue"))),
            AtTheRow,
        ),
        (
            "the user in other letters",
            signed(&with("user_id", json!("Alice"))),
            AtTheRow,
        ),
        (
            "the user with a space",
            signed(&with("user_id", json!("alice "))),
            AtTheRow,
        ),
        (
            "user and room shifted",
            signed(
                &json!({"user_id": "alicer", "room_id": "ed", "token": "inner", "exp": in_seconds(300)}),
            ),
            AtTheRow,
        ),
        (
            "a revoked user",
            signed(&with("user_id", json!("revoked"))),
            AtTheRow,
        ),
        (
            "an empty inner token",
            signed(&with("token", json!(""))),
            AtTheRow,
        ),
        (
            "an inner token of 73 bytes",
            signed(&with("token", json!("i".repeat(73)))),
            AtTheRow,
        ),
        (
            "an inner token with a NUL",
            signed(&with("token", json!("inner\0"))),
            AtTheRow,
        ),
        (
            "a hash that is too costly",
            signed(&with("user_id", json!("costly"))),
            AtTheRow,
        ),
        (
            "a hash that is none",
            signed(&with("user_id", json!("plain"))),
            AtTheRow,
        ),
        // Hash.
        (
            "another inner token",
            signed(&with("token", json!("other"))),
            AtTheHash,
        ),
        (
            "the inner token with a space",
            signed(&with("token", json!("inner "))),
            AtTheHash,
        ),
        (
            "the inner token in other letters",
            signed(&with("token", json!("INNER"))),
            AtTheHash,
        ),
    ];
    // The hash itself, which whoever can read the table knows.
    tokens.push((
        "the hash as the inner token",
        signed(&with("token", json!(INNER_HASH))),
        AtTheHash,
    ));
    tokens
}

/// bcrypt of "inner" at cost 4.
pub(crate) const INNER_HASH: &str = "$2b$04$kYVs2pGrEUIagop1iDz3n.5vIGl7mqborpXj8/pdH/zZYhmHHX6Pi";
