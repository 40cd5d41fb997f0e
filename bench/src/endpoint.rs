//! The `@connections` API, as a process of its own, so that it shares no thread with what is measured.
//!
//! The first part of a path says how it behaves: `/after-10` answers after 10 ms, `/quota` enforces the
//! account's token bucket. `GET /take` tells what was posted since the last time.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::tokens::Bucket;

/// Posts a second that an account may make ("Quotas for WebSocket APIs").
pub(crate) const QUOTA_RATE: f64 = 10_000.0;

/// Posts that it may make at once.
pub(crate) const QUOTA_BURST: f64 = 5_000.0;

/// What was posted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Posts {
    /// Posts that were taken.
    pub(crate) taken: usize,
    /// Posts that were answered 429.
    pub(crate) throttled: usize,
    /// To how many different connections posts were taken.
    pub(crate) connections: usize,
    /// When the first one arrived, by the machine's monotonic clock, in microseconds.
    pub(crate) first_us: u64,
    /// When the last one was answered, by the machine's monotonic clock, in microseconds.
    pub(crate) last_us: u64,
}

/// Hidden arguments: the endpoint's own process.
#[derive(Args)]
pub(crate) struct Endpoint {
    /// Folder with `certificate.pem` and `key.pem`
    #[arg(long)]
    certificates: PathBuf,
}

impl Endpoint {
    /// Serves HTTP and TLS until its standard input ends; prints both ports.
    pub(crate) fn apply(&self) -> Result<()> {
        std::thread::spawn(|| {
            let mut stdin = String::new();
            // Whoever started us is gone.
            while std::io::stdin()
                .read_line(&mut stdin)
                .is_ok_and(|read| read > 0)
            {}
            std::process::exit(0);
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(&self) -> Result<()> {
        let plain = TcpListener::bind("127.0.0.1:0").await?;
        let tls = TcpListener::bind("127.0.0.1:0").await?;
        println!(
            "{} {}",
            plain.local_addr()?.port(),
            tls.local_addr()?.port()
        );
        let acceptor = acceptor(&self.certificates)?;
        let api = Arc::new(Mutex::new(Api::default()));
        let also = Arc::clone(&api);
        tokio::spawn(async move {
            while let Ok((socket, _)) = tls.accept().await {
                let (acceptor, api) = (acceptor.clone(), Arc::clone(&also));
                let _ = socket.set_nodelay(true);
                tokio::spawn(async move {
                    if let Ok(socket) = acceptor.accept(socket).await {
                        let _ = answer_all(socket, &api).await;
                    }
                });
            }
        });
        loop {
            let (socket, _) = plain.accept().await?;
            socket.set_nodelay(true)?;
            let api = Arc::clone(&api);
            tokio::spawn(async move { answer_all(socket, &api).await });
        }
    }
}

fn acceptor(folder: &Path) -> Result<TlsAcceptor> {
    let certificates = CertificateDer::pem_file_iter(folder.join("certificate.pem"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates.collect::<Result<_, _>>()?, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[derive(Default)]
struct Api {
    posts: Posts,
    connections: HashSet<u64>,
    bucket: Option<Bucket>,
}

/// Answers the requests of one connection, one after another.
async fn answer_all(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    api: &Mutex<Api>,
) -> Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let Some((path, length)) = request(&buffer)? else {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        while buffer.len() < length {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        buffer.drain(..length);
        arrived(
            &path,
            &mut api.lock().unwrap_or_else(PoisonError::into_inner),
        );
        if let Some(delay) = delay(&path) {
            tokio::time::sleep(delay).await;
        }
        let answer = answer(
            &path,
            &mut api.lock().unwrap_or_else(PoisonError::into_inner),
        );
        socket.write_all(answer.as_bytes()).await?;
        socket.flush().await?;
    }
}

/// The path of the request at the start of `buffer`, and how long it is with its body.
fn request(buffer: &[u8]) -> Result<Option<(String, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(buffer)? else {
        return Ok(None);
    };
    let length = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| {
            std::str::from_utf8(header.value)
                .ok()?
                .parse::<usize>()
                .ok()
        })
        .unwrap_or(0);
    Ok(Some((
        request.path.unwrap_or_default().to_owned(),
        head + length,
    )))
}

fn delay(path: &str) -> Option<Duration> {
    let ms = path
        .strip_prefix("/after-")?
        .split('/')
        .next()?
        .parse()
        .ok()?;
    (ms > 0).then(|| Duration::from_millis(ms))
}

fn arrived(path: &str, api: &mut Api) {
    if api.posts.first_us == 0 && path != "/take" {
        api.posts.first_us = monotonic_us();
    }
}

fn answer(path: &str, api: &mut Api) -> String {
    if path == "/take" {
        let mut posts = std::mem::take(&mut api.posts);
        posts.connections = std::mem::take(&mut api.connections).len();
        api.bucket = None;
        let body = serde_json::to_string(&posts).unwrap_or_default();
        return format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    api.posts.last_us = monotonic_us();
    if path.starts_with("/quota/") {
        let bucket = api
            .bucket
            .get_or_insert_with(|| Bucket::full(QUOTA_RATE, QUOTA_BURST, Instant::now()));
        if !bucket.take(Instant::now()) {
            api.posts.throttled += 1;
            return "HTTP/1.1 429 Too Many Requests\r\nx-amzn-errortype: LimitExceededException\r\ncontent-type: application/json\r\ncontent-length: 31\r\n\r\n{\"message\":\"Too Many Requests\"}".to_owned();
        }
    }
    api.posts.taken += 1;
    if let Some(connection) = path.rsplit('/').next().and_then(|id| id.get(..8)) {
        api.connections
            .extend(u64::from_str_radix(connection, 16).ok());
    }
    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()
}

/// The time since the machine was started, which all its processes have in common.
pub(crate) fn monotonic_us() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap_or_else(|_| {
        unreachable!("Linux has this clock");
    });
    u64::try_from(Duration::from(now).as_micros()).unwrap_or(u64::MAX)
}

/// The endpoint's process, as the others see it.
pub(crate) struct Served {
    process: Child,
    plain: u16,
    tls: u16,
    authority: PathBuf,
}

impl Served {
    /// Starts it, with a certificate made for it, by an authority made for it.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let authority = make_certificates(folder)?;
        let mut process = Command::new(std::env::current_exe()?)
            .arg("endpoint")
            .arg("--certificates")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("it has no output")?).read_line(&mut line)?;
        let mut ports = line.split_whitespace().map(str::parse);
        let mut port = || anyhow::Ok(ports.next().context("the endpoint did not start")??);
        Ok(Self {
            plain: port()?,
            tls: port()?,
            process,
            authority,
        })
    }

    /// The address of the API that answers as `behaviour` says.
    pub(crate) fn url(&self, behaviour: &str, tls: bool) -> String {
        match tls {
            true => format!("https://127.0.0.1:{}/{behaviour}", self.tls),
            false => format!("http://127.0.0.1:{}/{behaviour}", self.plain),
        }
    }

    /// The file with the authority's certificate.
    pub(crate) fn authority(&self) -> &Path {
        &self.authority
    }

    /// What was posted since the last time.
    pub(crate) fn take(&self) -> Result<Posts> {
        let mut answer = ureq::get(format!("http://127.0.0.1:{}/take", self.plain)).call()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn make_certificates(folder: &Path) -> Result<PathBuf> {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let mut authority = CertificateParams::new(Vec::new())?;
    // Another name than the certificate's, which would look self-signed.
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "authority of the bench");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let authority = folder.join("authority.pem");
    std::fs::write(&authority, authority_certificate.pem())?;
    std::fs::write(folder.join("certificate.pem"), certificate.pem())?;
    std::fs::write(folder.join("key.pem"), key.serialize_pem())?;
    Ok(authority)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by it")]

    use super::*;

    #[test]
    fn a_request_is_complete_with_its_head() {
        let post = b"POST /after-0/@connections/0000000aHermesB%3D HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
        let (path, length) = request(post).unwrap().unwrap();
        assert_eq!(length, post.len());
        assert!(request(&post[..40]).unwrap().is_none());
        let mut api = Api::default();
        answer(&path, &mut api);
        answer(&path, &mut api);
        assert_eq!((api.posts.taken, api.connections.len()), (2, 1));
        assert!(api.connections.contains(&10));
    }

    #[test]
    fn the_path_says_how_long_it_takes() {
        assert_eq!(delay("/after-10/x"), Some(Duration::from_millis(10)));
        assert_eq!(delay("/after-0/x"), None);
        assert_eq!(delay("/quota/x"), None);
    }
}
