//! Signature Version 4 of the posts: what the SDK writes, but the key is derived once a day instead of
//! once a request, and the frame, which is the same for all members of a room, is hashed once.
//! What is long is hashed by aws-lc; the HMAC, which is short, by the crate that the SDK has for it, because to copy
//! a key of aws-lc's takes more instructions than to use it.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_lc_rs::digest;
use aws_sigv4::sign::v4::generate_signing_key;
use aws_smithy_http::label::{EncodingStrategy, fmt_string};
use aws_types::SdkConfig;
use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderValue;
use http::header::InvalidHeaderValue;
use sha2::Sha256;

/// The name that `@connections` is signed for.
const SERVICE: &str = "execute-api";

/// How long before they expire credentials are asked for again, and how old those may become that do
/// not say when: as the SDK's identity cache has it.
const BUFFER: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Signs with the credentials of a provider.
#[derive(Debug)]
pub(super) struct Signer {
    provider: Option<SharedCredentialsProvider>,
    region: String,
    key: Mutex<Option<Arc<Key>>>,
}

/// What follows from credentials for one day.
#[derive(Debug)]
struct Key {
    until: SystemTime,
    day: String,
    scope: String,
    hmac: Hmac<Sha256>,
    token: Option<HeaderValue>,
    /// The end of the canonical headers: what is behind the date.
    end: String,
    /// The names of the signed headers behind `content-type`.
    names: String,
    /// The header `authorization` up to those names.
    authorization: String,
}

/// What is signed of a request, besides its time.
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    /// As it stands in the URL.
    pub(super) path: &'a str,
    /// None where there is no content.
    pub(super) content_type: Option<&'a str>,
    pub(super) host: &'a str,
    /// From [`hash`].
    pub(super) payload: &'a str,
}

/// The headers that make a request a signed one.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) authorization: HeaderValue,
    pub(super) date: HeaderValue,
    pub(super) token: Option<HeaderValue>,
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SigningError {
    #[error("there are no credentials")]
    Credentials(#[from] CredentialsError),
    #[error("the credentials contain what no header can")]
    Header(#[from] InvalidHeaderValue),
    #[error("the key has a length that HMAC does not take")]
    Key(#[from] InvalidLength),
}

/// A payload's SHA-256, in hex.
pub(super) fn hash(payload: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, payload).as_ref())
}

impl Signer {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            provider: config.credentials_provider(),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            key: Mutex::default(),
        }
    }

    /// Signs a request that is sent at `now`.
    pub(super) async fn sign(
        &self,
        request: &Signable<'_>,
        now: SystemTime,
    ) -> Result<Signature, SigningError> {
        // 2015-08-30T12:36:00Z is written 20150830T123600Z.
        let mut date = humantime::format_rfc3339_seconds(now).to_string();
        date.retain(|letter| letter != '-' && letter != ':');
        let key = self.key(&date[..8], now).await?;

        let (content_name, content) = match request.content_type {
            Some(content) => ("content-type;", ["content-type:", content, "\n"]),
            None => ("", [""; 3]),
        };
        let mut canonical = digest::Context::new(&digest::SHA256);
        for part in [
            request.method,
            "\n",
            &fmt_string(request.path, EncodingStrategy::Greedy),
            "\n\n",
            content[0],
            content[1],
            content[2],
            "host:",
            request.host,
            "\nx-amz-date:",
            &date,
            &key.end,
            "\n",
            content_name,
            &key.names,
            "\n",
            request.payload,
        ] {
            canonical.update(part.as_bytes());
        }
        let mut signature = key.hmac.clone();
        for part in [
            "AWS4-HMAC-SHA256\n",
            &date,
            "\n",
            &key.scope,
            "\n",
            &hex(canonical.finish().as_ref()),
        ] {
            signature.update(part.as_bytes());
        }
        let signature = hex(&signature.finalize().into_bytes());
        let authorization = [
            key.authorization.as_str(),
            content_name,
            &key.names,
            ", Signature=",
            &signature,
        ];
        Ok(Signature {
            authorization: sensitive(authorization.concat())?,
            date: HeaderValue::try_from(date)?,
            token: key.token.clone(),
        })
    }

    /// The key of a day, of credentials that are valid now.
    async fn key(&self, day: &str, now: SystemTime) -> Result<Arc<Key>, SigningError> {
        let known = self.lock().clone();
        if let Some(key) = known.filter(|key| key.day == day && now < key.until) {
            return Ok(key);
        }
        let provider = self.provider.as_ref();
        let provider =
            provider.ok_or_else(|| CredentialsError::not_loaded("no provider is configured"))?;
        let credentials = provider.provide_credentials().await?;
        let secret = credentials.secret_access_key();
        let key = generate_signing_key(secret, now, &self.region, SERVICE);
        let until = credentials.expiry().map(|expiry| expiry - BUFFER);
        let token = credentials.session_token();
        let (token_line, token_name) = match token {
            Some(token) => (
                format!("x-amz-security-token:{token}\n"),
                ";x-amz-security-token",
            ),
            None => (String::new(), ""),
        };
        let scope = format!("{day}/{}/{SERVICE}/aws4_request", self.region);
        let key = Arc::new(Key {
            until: until.unwrap_or(now + LONGEST),
            day: day.to_owned(),
            hmac: Hmac::new_from_slice(key.as_ref())?,
            token: token.map(str::to_owned).map(sensitive).transpose()?,
            end: format!("\n{token_line}"),
            names: format!("host;x-amz-date{token_name}"),
            authorization: format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=",
                credentials.access_key_id()
            ),
            scope,
        });
        *self.lock() = Some(Arc::clone(&key));
        Ok(key)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Key>>> {
        self.key
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A header's value that no log shows.
fn sensitive(value: String) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(value)?;
    value.set_sensitive(true);
    Ok(value)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; 2 * bytes.len()];
    hex::encode_to_slice(bytes, &mut text).expect("there is room for it");
    String::from_utf8(text).expect("digits are UTF-8")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::future::ProvideCredentials as Provided;
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    use aws_types::region::Region;
    use proptest::prelude::*;

    use super::*;

    /// 2015-08-30T12:36:00Z.
    const NOON: Duration = Duration::from_secs(1_440_938_160);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn signer(provider: impl ProvideCredentials + 'static) -> Signer {
        let config = SdkConfig::builder()
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(provider));
        Signer::new(&config.build())
    }

    fn signable<'a>(method: &'a str, path: &'a str, payload: &'a str) -> Signable<'a> {
        Signable {
            method,
            path,
            content_type: (method == "POST").then_some("application/octet-stream"),
            host: "abc.execute-api.eu-west-1.amazonaws.com",
            payload,
        }
    }

    async fn signature(signer: &Signer, at: Duration) -> String {
        let payload = hash(b"");
        let request = signable("POST", "/dev", &payload);
        let now = SystemTime::UNIX_EPOCH + at;
        let signature = signer.sign(&request, now).await.unwrap();
        signature.authorization.to_str().unwrap().to_owned()
    }

    /// What the SDK's own crate says for the same request.
    fn expected(
        credentials: Credentials,
        method: &str,
        path: &str,
        body: &[u8],
        now: SystemTime,
    ) -> String {
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default());
        let Signable {
            content_type, host, ..
        } = signable(method, path, "");
        let uri = format!("https://{host}{path}");
        let content_type = content_type.map(|content_type| ("content-type", content_type));
        let headers = content_type.into_iter().chain([("host", host)]);
        let request = SignableRequest::new(method, &uri, headers, SignableBody::Bytes(body));
        let signed = sign(request.unwrap(), &params.build().unwrap().into()).unwrap();
        let mut headers = signed.output().headers();
        let (_, authorization) = headers.find(|(name, _)| *name == "authorization").unwrap();
        authorization.to_owned()
    }

    proptest! {
        #[test]
        fn the_signature_is_that_of_the_sdk(
            stage in "(/[A-Za-z0-9_-]{1,8}){0,2}",
            method in "POST|DELETE",
            connection in "[ -~]{3,40}",
            body in proptest::collection::vec(any::<u8>(), 0..300),
            token in proptest::option::of("[A-Za-z0-9+/=]{1,400}"),
            seconds in 0..4_000_000_000_u64,
        ) {
            let credentials = Credentials::new("AKID", "secret", token, None, "test");
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let connection = fmt_string(&connection, EncodingStrategy::Default);
            let path = format!("{stage}/@connections/{connection}");
            let payload = hash(&body);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let signer = signer(credentials.clone());
            let signature = runtime.block_on(signer.sign(&signable(&method, &path, &payload), now)).unwrap();
            prop_assert_eq!(
                signature.authorization.to_str().unwrap(),
                expected(credentials, &method, &path, &body, now)
            );
        }
    }

    /// Gives other credentials each time, which are valid until `expiry`.
    #[derive(Debug, Default)]
    struct Renewing {
        given: Arc<AtomicU64>,
        expiry: Option<SystemTime>,
    }

    impl ProvideCredentials for Renewing {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            let id = format!("AKID{number}");
            Provided::ready(Ok(Credentials::new(id, "s", None, self.expiry, "test")))
        }
    }

    #[tokio::test]
    async fn credentials_are_renewed_before_they_expire() {
        let expiry = Some(SystemTime::UNIX_EPOCH + NOON + Duration::from_secs(60));
        let provider = Renewing {
            expiry,
            ..Renewing::default()
        };
        let signer = signer(provider);
        assert!(signature(&signer, NOON).await.contains("AKID0/20150830"));
        let soon = NOON + Duration::from_secs(49);
        assert!(signature(&signer, soon).await.contains("AKID0/"));
        let too_soon = NOON + Duration::from_secs(50);
        assert!(signature(&signer, too_soon).await.contains("AKID1/"));
    }

    #[tokio::test]
    async fn credentials_that_do_not_expire_are_asked_for_every_quarter_of_an_hour() {
        let provider = Renewing::default();
        let given = Arc::clone(&provider.given);
        let signer = signer(provider);
        for second in 0..1800 {
            signature(&signer, NOON + Duration::from_secs(second)).await;
        }
        assert_eq!(given.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_new_day_has_a_new_key() {
        let midnight = Duration::from_secs(NOON.as_secs() / DAY.as_secs() * DAY.as_secs()) + DAY;
        let credentials = Credentials::new("AKID", "secret", None, None, "test");
        let signer = signer(credentials.clone());
        for at in [midnight - Duration::from_secs(1), midnight] {
            let now = SystemTime::UNIX_EPOCH + at;
            assert_eq!(
                signature(&signer, at).await,
                expected(credentials.clone(), "POST", "/dev", b"", now)
            );
        }
    }

    #[tokio::test]
    async fn a_configuration_without_credentials_is_an_error() {
        let signer = Signer::new(&SdkConfig::builder().build());
        let request = signable("POST", "/dev", "");
        let error = signer.sign(&request, SystemTime::now()).await.unwrap_err();
        assert!(matches!(error, SigningError::Credentials(_)));
    }
}
