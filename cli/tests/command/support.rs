//! Runs the binary in an environment of its own, against a stand-in for AWS that answers what it is told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command with these arguments, separated by spaces, and no settings.
pub(crate) fn hermes(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
    command
        .args(arguments.split_whitespace())
        .env_clear()
        .env("AWS_CONFIG_FILE", "/nowhere/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end, with `input` as its standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> Run {
    run_and(command, input, |_| {})
}

/// The same, with something done to the process when it has its input.
pub(crate) fn run_and(command: &mut Command, input: &str, and: impl FnOnce(u32)) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that does not read its input closes it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    and(child.id());
    let output = child.wait_with_output().expect("the binary ends");
    Run {
        code: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A request to AWS: which operation, its body, and the access key that signed it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) operation: String,
    pub(crate) body: String,
    pub(crate) key: String,
}

/// A stand-in for AWS.
pub(crate) struct Aws {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Aws {
    /// Answers each request with a status and a body.
    pub(crate) fn start(
        answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some(request) = read_request(&mut reader) {
                        seen.lock().unwrap().push(request.clone());
                        let (status, body) = answer(&request);
                        let head = format!(
                            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
                            body.len()
                        );
                        let stream: &mut TcpStream = reader.get_mut();
                        if stream.write_all((head + &body).as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, requests }
    }

    /// The command with these arguments, with credentials for this AWS.
    pub(crate) fn hermes(&self, arguments: &str) -> Command {
        let mut command = hermes(arguments);
        command
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "the access key's secret");
        command
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The operations that were called, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|one| one.operation.clone()).collect()
    }

    /// The access keys that signed the requests, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|one| one.key.clone()).collect()
    }

    /// The bodies of the requests, in order.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|one| one.body.clone()).collect()
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let operation = match headers.get("x-amz-target") {
        Some(target) => target.rsplit('.').next()?.to_owned(),
        // CloudFormation: Action=…&…; @connections: a method and a path.
        None => match body
            .strip_prefix("Action=")
            .and_then(|rest| rest.split('&').next())
        {
            Some(action) => action.to_owned(),
            None => first.rsplit_once(' ')?.0.to_owned(),
        },
    };
    // AWS4-HMAC-SHA256 Credential=KEY/…
    let (_, credential) = headers.get("authorization")?.split_once("Credential=")?;
    Some(Request {
        operation,
        body,
        key: credential.split('/').next()?.to_owned(),
    })
}
