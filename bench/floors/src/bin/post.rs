//! The floor of a fan-out: a bare hyper client that posts signed frames, and does nothing else. Its
//! signing key is derived once (AWS Signature Version 4, "Create a signed request"), its connections are kept.
//!
//! An event `{"posts": N}` makes N posts, 64 at a time, to the endpoint in `CONNECTIONS_ENDPOINT`.

use std::cell::{Cell, RefCell};
use std::env;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac};
use futures::stream::{FuturesUnordered, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// As many as Hermes has under way.
const CONNECTIONS: usize = 64;

/// As long as the notification that Hermes makes of the bench's message.
const FRAME: &str = r#"{"user_id":"shop","data":{"type":"order","data":{"text":"Your order is on its way","number":4711}},"room_id":"room","id":"01993f6e-7d0c-7c31-9d2b-6f1f3c0c8a11","sent_at":"2026-11-22T00:00:00.000Z","stream":"room","epoch":"01993f6e7d0c7c319d2b6f1f3c0c8a11","offset":17}"#;

const SIGNED_HEADERS: &str = "content-type;host;x-amz-date;x-amz-security-token";

#[derive(Deserialize)]
struct Event {
    posts: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let endpoint: Uri = env::var("CONNECTIONS_ENDPOINT")?.parse()?;
    let client = Client {
        signer: Signer::new(&endpoint)?,
        connections: RefCell::new(Vec::new()),
        endpoint,
    };
    run(service_fn(async |event: LambdaEvent<Event>| {
        client.post_all(event.payload.posts).await?;
        Ok::<_, Error>(Value::Null)
    }))
    .await
}

struct Client {
    endpoint: Uri,
    signer: Signer,
    connections: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

impl Client {
    async fn post_all(&self, posts: usize) -> Result<(), Error> {
        let next = Cell::new(0);
        let mut workers: FuturesUnordered<_> = (0..CONNECTIONS.min(posts))
            .map(|_| async {
                let kept = self.connections.borrow_mut().pop();
                let mut connection = match kept {
                    Some(connection) => connection,
                    None => self.connect().await?,
                };
                while next.get() < posts {
                    let i = next.replace(next.get() + 1);
                    self.post(&mut connection, i).await?;
                }
                self.connections.borrow_mut().push(connection);
                Ok::<_, Error>(())
            })
            .collect();
        while let Some(done) = workers.next().await {
            done?;
        }
        Ok(())
    }

    async fn post(&self, connection: &mut SendRequest<Full<Bytes>>, i: usize) -> Result<(), Error> {
        let stage = self.endpoint.path().trim_end_matches('/');
        let path = format!("{stage}/@connections/{i:08x}HermesB%3D");
        let time = timestamp();
        let request = Request::post(&path)
            .header(HOST, &self.signer.host)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header("x-amz-date", &time)
            .header("x-amz-security-token", &self.signer.token)
            .header(AUTHORIZATION, self.signer.authorization(&path, &time)?)
            .body(Full::new(Bytes::from_static(FRAME.as_bytes())))?;
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status()).into());
        }
        answer.into_body().collect().await?;
        Ok(())
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let socket = TcpStream::connect(&self.signer.host).await?;
        socket.set_nodelay(true)?;
        if self.endpoint.scheme_str() != Some("https") {
            let (sender, connection) = handshake(TokioIo::new(socket)).await?;
            tokio::spawn(connection);
            return Ok(sender);
        }
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(env::var("SSL_CERT_FILE")?)? {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(self.endpoint.host().unwrap_or_default().to_owned())?;
        let socket = TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Signs with a key that is derived once.
struct Signer {
    host: String,
    access_key: String,
    /// A role's session token, which every function has: it is sent with each request, and signed.
    token: HeaderValue,
    scope: String,
    key: hmac::Key,
    payload: String,
}

impl Signer {
    fn new(endpoint: &Uri) -> Result<Self, Error> {
        let secret = env::var("AWS_SECRET_ACCESS_KEY")?;
        let region = env::var("AWS_REGION")?;
        let date = timestamp()[..8].to_owned();
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [date.as_str(), &region, "execute-api", "aws4_request"] {
            let step = hmac::Key::new(hmac::HMAC_SHA256, &key);
            key = hmac::sign(&step, part.as_bytes()).as_ref().to_vec();
        }
        Ok(Self {
            host: endpoint
                .authority()
                .map(ToString::to_string)
                .unwrap_or_default(),
            access_key: env::var("AWS_ACCESS_KEY_ID")?,
            token: env::var("AWS_SESSION_TOKEN")?.try_into()?,
            scope: format!("{date}/{region}/execute-api/aws4_request"),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            payload: hex(digest::digest(&digest::SHA256, FRAME.as_bytes()).as_ref()),
        })
    }

    fn authorization(&self, path: &str, time: &str) -> Result<String, Error> {
        // Each part of a path is encoded once more.
        let path = path.replace('%', "%25").replace('@', "%40");
        let Self {
            host,
            access_key,
            scope,
            payload,
            ..
        } = self;
        let token = self.token.to_str()?;
        let canonical = format!(
            "POST\n{path}\n\ncontent-type:application/octet-stream\nhost:{host}\nx-amz-date:{time}\nx-amz-security-token:{token}\n\n{SIGNED_HEADERS}\n{payload}"
        );
        let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
        let signature = hex(hmac::sign(&self.key, to_sign.as_bytes()).as_ref());
        Ok(format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}"
        ))
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The time as `YYYYMMDDTHHMMSSZ`.
fn timestamp() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The date so many days after 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(20_779), (2026, 11, 22));
    }
}
