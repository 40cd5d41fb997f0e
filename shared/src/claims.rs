//! The first level of authentication: the JWT.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{RoomId, UserId};
use crate::secret::{JwtSecret, Secret};
use crate::time::{LEEWAY, Timestamp};

/// The one algorithm that tokens are signed with. Pinned: what a token's header says is never obeyed.
const ALGORITHM: Algorithm = Algorithm::HS512;

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who connects.
    pub user: UserId,
    /// The room to be in.
    pub room: RoomId,
    /// The inner token, compared with the hash in the Credentials table.
    pub token: Secret,
    /// When the token expires.
    pub expires_at: Timestamp,
}

/// Why a token is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Not a JWT with a JSON header.
    #[error("it is not a JWT")]
    Malformed,
    /// Signed in another way than with HS512.
    #[error("its algorithm is not HS512")]
    Algorithm,
    /// Signed with another secret, or changed after signing.
    #[error("its signature is wrong: it was signed with another secret, or changed")]
    Signature,
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// `nbf` lies ahead.
    #[error("it is not valid yet (nbf)")]
    NotYetValid,
    /// A claim is missing, wrong, or one that Hermes does not take.
    #[error("its claims are wrong: {0}")]
    Claims(String),
}

#[derive(Serialize, Deserialize)]
struct Payload {
    user_id: UserId,
    room_id: RoomId,
    token: String,
    exp: u64,
    /// Refused, whatever its value: a token that names an audience was made for somebody else.
    #[serde(default, skip_serializing, deserialize_with = "present")]
    aud: bool,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Verifies tokens.
pub struct TokenVerifier {
    key: DecodingKey,
    validation: Validation,
}

impl TokenVerifier {
    /// A verifier for tokens that were signed with `secret`.
    pub fn new(secret: &JwtSecret) -> Self {
        let mut validation = Validation::new(ALGORITHM);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp"]);
        Self {
            key: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }

    /// Checks the signature, the times and the claims, in this order.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`]: the client is answered 401.
    pub fn verify(&self, jwt: &str) -> Result<Claims, InvalidToken> {
        let decoded =
            jsonwebtoken::decode::<Payload>(jwt, &self.key, &self.validation).map_err(|error| {
                match error.kind() {
                    ErrorKind::InvalidAlgorithm
                    | ErrorKind::InvalidAlgorithmName
                    | ErrorKind::UnsupportedAlgorithm => InvalidToken::Algorithm,
                    ErrorKind::InvalidSignature => InvalidToken::Signature,
                    ErrorKind::ExpiredSignature => InvalidToken::Expired,
                    ErrorKind::ImmatureSignature => InvalidToken::NotYetValid,
                    ErrorKind::MissingRequiredClaim(claim) => {
                        InvalidToken::Claims(format!("`{claim}` is missing or no number"))
                    }
                    ErrorKind::InvalidClaimFormat(claim) => {
                        InvalidToken::Claims(format!("`{claim}` is malformed"))
                    }
                    ErrorKind::InvalidAudience => {
                        InvalidToken::Claims("`aud` is not accepted".to_owned())
                    }
                    // Past the signature the JSON is our own issuer's or a trusted backend's.
                    ErrorKind::Json(error) if error.is_data() => {
                        InvalidToken::Claims(error.to_string())
                    }
                    _ => InvalidToken::Malformed,
                }
            })?;
        if decoded.header.crit.is_some() {
            return Err(InvalidToken::Claims(
                "the header's `crit` is not understood (RFC 7515 §4.1.11)".to_owned(),
            ));
        }
        let payload = decoded.claims;
        if payload.aud {
            return Err(InvalidToken::Claims("`aud` is not accepted".to_owned()));
        }
        Ok(Claims {
            user: payload.user_id,
            room: payload.room_id,
            token: Secret::new(payload.token),
            expires_at: Timestamp::from_secs(payload.exp),
        })
    }
}

/// Signs tokens.
pub struct TokenSigner {
    key: EncodingKey,
}

impl TokenSigner {
    /// A signer with `secret`.
    pub fn new(secret: &JwtSecret) -> Self {
        Self {
            key: EncodingKey::from_secret(secret.as_bytes()),
        }
    }

    /// The JWT that says `claims`.
    pub fn sign(&self, claims: &Claims) -> Secret {
        let payload = Payload {
            user_id: claims.user.clone(),
            room_id: claims.room.clone(),
            token: claims.token.expose().to_owned(),
            exp: claims.expires_at.as_secs(),
            aud: false,
        };
        Secret::new(
            jsonwebtoken::encode(&Header::new(ALGORITHM), &payload, &self.key)
                .expect("HS512 takes any key and these claims are JSON"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Clock, SystemClock};
    use serde_json::{Value, json};

    fn secret(byte: &str) -> JwtSecret {
        JwtSecret::new(Secret::new(byte.repeat(64))).unwrap()
    }

    fn in_seconds(seconds: i64) -> u64 {
        SystemClock.now().as_secs().saturating_add_signed(seconds)
    }

    fn sign(header: &Header, payload: &Value) -> String {
        jsonwebtoken::encode(
            header,
            payload,
            &EncodingKey::from_secret(secret("k").as_bytes()),
        )
        .unwrap()
    }

    fn verify(payload: &Value) -> Result<Claims, InvalidToken> {
        TokenVerifier::new(&secret("k")).verify(&sign(&Header::new(Algorithm::HS512), payload))
    }

    fn payload() -> Value {
        json!({"user_id": "alice", "room_id": 42, "token": "inner", "exp": in_seconds(60)})
    }

    fn with(claim: &str, value: Value) -> Value {
        let mut payload = payload();
        payload[claim] = value;
        payload
    }

    #[test]
    fn what_is_signed_is_read_back() {
        let claims = Claims {
            user: "alice".parse().unwrap(),
            room: "r".parse().unwrap(),
            token: Secret::new("inner"),
            expires_at: Timestamp::from_secs(in_seconds(5)),
        };
        let jwt = TokenSigner::new(&secret("k")).sign(&claims);
        assert_eq!(
            TokenVerifier::new(&secret("k"))
                .verify(jwt.expose())
                .unwrap(),
            claims
        );
        assert_eq!(
            TokenVerifier::new(&secret("x"))
                .verify(jwt.expose())
                .unwrap_err(),
            InvalidToken::Signature
        );
    }

    #[test]
    fn claims_that_are_not_ours_are_ignored() {
        let payload = with("iat", json!("whenever"));
        assert_eq!(verify(&payload).unwrap().room.as_str(), "42");
        assert!(verify(&with("jti", json!(7))).is_ok());
    }

    /// Flaw: `exp` not required.
    #[test]
    fn each_claim_is_required() {
        for claim in ["user_id", "room_id", "token", "exp"] {
            let mut payload = payload();
            payload.as_object_mut().unwrap().remove(claim);
            assert!(
                matches!(verify(&payload), Err(InvalidToken::Claims(_))),
                "{claim}"
            );
            payload[claim] = Value::Null;
            assert!(
                matches!(verify(&payload), Err(InvalidToken::Claims(_))),
                "{claim} null"
            );
        }
    }

    #[test]
    fn claims_have_their_types() {
        for (claim, value) in [
            ("user_id", json!("")),
            ("user_id", json!(1.5)),
            ("user_id", json!("a\u{1f}b")),
            ("room_id", json!("r".repeat(257))),
            ("room_id", json!(["r"])),
            ("token", json!(7)),
            ("exp", json!("4000000000")),
            ("exp", json!(4_000_000_000.5)),
            ("aud", json!("hermes")),
            ("aud", json!(["hermes"])),
            ("aud", json!(null)),
            ("aud", json!(7)),
            ("nbf", json!("tomorrow")),
        ] {
            assert!(
                matches!(
                    verify(&with(claim, value.clone())),
                    Err(InvalidToken::Claims(_))
                ),
                "{claim}={value}"
            );
        }
    }

    #[test]
    fn times_have_ten_seconds_of_leeway() {
        assert!(verify(&with("exp", json!(in_seconds(-8)))).is_ok());
        assert_eq!(
            verify(&with("exp", json!(in_seconds(-12)))),
            Err(InvalidToken::Expired)
        );
        assert!(verify(&with("nbf", json!(in_seconds(8)))).is_ok());
        assert_eq!(
            verify(&with("nbf", json!(in_seconds(13)))),
            Err(InvalidToken::NotYetValid)
        );
    }

    /// Flaw: the algorithm is not pinned.
    #[test]
    fn no_other_algorithm_is_accepted() {
        let verifier = TokenVerifier::new(&secret("k"));
        for algorithm in [Algorithm::HS256, Algorithm::HS384] {
            let jwt = sign(&Header::new(algorithm), &payload());
            assert_eq!(verifier.verify(&jwt), Err(InvalidToken::Algorithm));
        }
    }

    #[test]
    fn a_header_extension_that_must_be_understood_is_refused() {
        let mut header = Header::new(Algorithm::HS512);
        header.crit = Some(vec!["exp".to_owned()]);
        assert!(
            TokenVerifier::new(&secret("k"))
                .verify(&sign(&header, &payload()))
                .is_err()
        );
        let mut header = Header::new(Algorithm::HS512);
        header.kid = Some("2026".to_owned());
        assert!(
            TokenVerifier::new(&secret("k"))
                .verify(&sign(&header, &payload()))
                .is_ok()
        );
    }
}
