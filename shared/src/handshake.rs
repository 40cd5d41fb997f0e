//! Where a client puts its token when it connects: the query string or the subprotocols, never both.

/// The longest token that is looked at, in bytes: far more than a genuine one has (about 1,500 with
/// the longest ids) and less than API Gateway's 10,240 bytes for all headers.
pub const TOKEN_MAX_BYTES: usize = 8 * 1024;

/// The subprotocol that announces a token: a client offers `["bearer", "<JWT>"]` and gets `bearer`.
pub const SUBPROTOCOL: &str = "bearer";

/// The name of the query parameter that carries a token.
pub const QUERY_PARAMETER: &str = "token";

/// Why the handshake shows no usable token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// Neither place holds one.
    #[error(
        "there is no token: put it into the query string (?token=…) or the subprotocols (bearer, …)"
    )]
    Missing,
    /// More than one was given.
    #[error(
        "there is more than one token: put it either into the query string or into the subprotocols"
    )]
    Ambiguous,
    /// It cannot be a signed JWT, whatever its key.
    #[error(
        "the token is not a signed JWT: three parts of base64url, joined by dots, at most 8192 bytes"
    )]
    Malformed,
}

/// Finds the one token of a handshake and checks its shape, which costs neither a signature nor a read.
///
/// `query` are the values of [`QUERY_PARAMETER`], `protocols` those of `Sec-WebSocket-Protocol`, one
/// for each time the header was sent.
///
/// # Errors
///
/// [`NoToken`]: the client is answered 401.
pub fn find_token<'a>(query: &[&'a str], protocols: &[&'a str]) -> Result<&'a str, NoToken> {
    let offered: Vec<&str> = protocols
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let bearer = offered.contains(&SUBPROTOCOL);
    let token = match (query, bearer) {
        ([], false) => return Err(NoToken::Missing),
        ([token], false) => *token,
        ([], true) => match offered[..] {
            [SUBPROTOCOL, token] => token,
            _ => return Err(NoToken::Malformed),
        },
        _ => return Err(NoToken::Ambiguous),
    };
    if is_signed_jwt(token) {
        Ok(token)
    } else {
        Err(NoToken::Malformed)
    }
}

/// Whether the client offered its token as a subprotocol, so that `$connect` must choose `bearer`:
/// a browser closes a socket whose server chose none of the offered ones (RFC 6455 §4.1).
pub fn offers_bearer<'a>(protocols: impl IntoIterator<Item = &'a str>) -> bool {
    protocols
        .into_iter()
        .flat_map(|value| value.split(','))
        .any(|offer| offer.trim() == SUBPROTOCOL)
}

/// Three non-empty parts of base64url (RFC 7515 §7.1).
fn is_signed_jwt(token: &str) -> bool {
    let is_base64url = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    token.len() <= TOKEN_MAX_BYTES
        && token.split('.').count() == 3
        && token.split('.').all(is_base64url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "aGVhZA.Ym9keQ.c2ln";

    #[test]
    fn a_token_is_found_in_either_place() {
        assert_eq!(find_token(&[JWT], &[]), Ok(JWT));
        assert_eq!(find_token(&[], &["bearer, aGVhZA.Ym9keQ.c2ln"]), Ok(JWT));
        assert_eq!(find_token(&[], &["bearer", JWT]), Ok(JWT));
        assert_eq!(find_token(&[JWT], &["graphql-ws"]), Ok(JWT));
    }

    #[test]
    fn two_tokens_are_refused() {
        assert_eq!(
            find_token(&[JWT], &["bearer, a.b.c"]),
            Err(NoToken::Ambiguous)
        );
        assert_eq!(find_token(&[JWT, JWT], &[]), Err(NoToken::Ambiguous));
        assert_eq!(find_token(&[""], &["bearer"]), Err(NoToken::Ambiguous));
        assert_eq!(
            find_token(&[], &["bearer, a.b.c, d.e.f"]),
            Err(NoToken::Malformed)
        );
    }

    #[test]
    fn no_token_is_told_from_a_malformed_one() {
        assert_eq!(find_token(&[], &[]), Err(NoToken::Missing));
        assert_eq!(find_token(&[], &["Bearer, a.b.c"]), Err(NoToken::Missing));
        for malformed in [
            "", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "a.b.c=", "a.b.ü", "a.b.c\n", " a.b.c",
        ] {
            assert_eq!(
                find_token(&[malformed], &[]),
                Err(NoToken::Malformed),
                "{malformed:?}"
            );
        }
        for malformed in [
            "bearer",
            "bearer,",
            "a.b.c, bearer",
            "bearer, bearer",
            "bearer, a b.c.d",
        ] {
            assert_eq!(
                find_token(&[], &[malformed]),
                Err(NoToken::Malformed),
                "{malformed:?}"
            );
        }
    }

    #[test]
    fn a_token_is_at_most_8_kib() {
        let of = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        assert!(find_token(&[&of(TOKEN_MAX_BYTES)], &[]).is_ok());
        assert_eq!(
            find_token(&[&of(TOKEN_MAX_BYTES + 1)], &[]),
            Err(NoToken::Malformed)
        );
    }
}
