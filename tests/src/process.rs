//! A release function as a process of its own, as Lambda runs it: this module is the runtime API that
//! it polls for events (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header::HeaderName};
use axum::routing::{get, post};
use axum::{Json, Router};
use hermes::time::{Clock, SystemClock};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::stack::PATIENCE;

/// The variables that Lambda itself sets, and clients of AWS need.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_LAMBDA_FUNCTION_NAME", "function"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("METRICS_STACK", "tests"),
];

/// A function that was started.
pub struct Function {
    process: Child,
    output: [JoinHandle<String>; 2],
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Result<Value, Value>>,
}

impl Function {
    /// Starts the function with this name in the template, such as `AuthorizerFunction`, as `sam build`
    /// has built it, with these variables and those that Lambda sets. Nothing else is in its environment.
    ///
    /// # Panics
    ///
    /// Where `HERMES_BIN_DIR`, what `sam build` made, is not known.
    pub async fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let builds = std::env::var("HERMES_BIN_DIR").unwrap_or_else(|_| {
            panic!("HERMES_BIN_DIR is not set. Run `cargo xtask test`; or run `sam build` and set it to .aws-sam/build")
        });
        let bootstrap = PathBuf::from(builds).join(name).join("bootstrap");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let api = listener.local_addr().expect("bound").to_string();

        let (events, waiting) = mpsc::channel(1);
        let (answering, answers) = mpsc::channel(1);
        let runtime = Arc::new(Runtime {
            events: Mutex::new(waiting),
            answers: answering,
        });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(runtime);
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let mut process = Command::new(&bootstrap)
            .env_clear()
            .envs(ENVIRONMENT)
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", bootstrap.display()));
        let output = [
            read(process.stdout.take().expect("piped")),
            read(process.stderr.take().expect("piped")),
        ];
        Self {
            process,
            output,
            events,
            answers,
        }
    }

    /// Hands it an event and waits for its answer.
    ///
    /// # Errors
    ///
    /// The error that the function reported.
    pub async fn invoke(&mut self, event: Value) -> Result<Value, Value> {
        self.events
            .send(event)
            .await
            .expect("the runtime API is there");
        let answer = timeout(PATIENCE, self.answers.recv())
            .await
            .expect("the function answers");
        answer.expect("the runtime API is there")
    }

    /// Waits until it ends by itself: its exit status and what it wrote.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = timeout(PATIENCE, self.process.wait())
            .await
            .expect("the function ends");
        (status.expect("it was started"), self.written().await)
    }

    /// Ends it; gives what it wrote.
    pub async fn end(mut self) -> String {
        self.process.kill().await.expect("it was started");
        self.written().await
    }

    async fn written(self) -> String {
        let [stdout, stderr] = self.output;
        stdout.await.expect("text") + &stderr.await.expect("text")
    }
}

/// Reads while the process runs: a full pipe would stop it.
fn read(mut output: impl AsyncRead + Send + Unpin + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        output.read_to_string(&mut text).await.expect("text");
        text
    })
}

struct Runtime {
    events: Mutex<mpsc::Receiver<Value>>,
    answers: mpsc::Sender<Result<Value, Value>>,
}

async fn next(
    State(runtime): State<Arc<Runtime>>,
) -> Result<([(HeaderName, String); 3], Json<Value>), StatusCode> {
    let event = runtime
        .events
        .lock()
        .await
        .recv()
        .await
        .ok_or(StatusCode::GONE)?;
    let deadline = SystemClock.now().after(Duration::from_secs(10)).as_millis();
    let headers = [
        ("lambda-runtime-aws-request-id", Uuid::now_v7().to_string()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:function".to_owned(),
        ),
    ];
    Ok((
        headers.map(|(name, value)| (HeaderName::from_static(name), value)),
        Json(event),
    ))
}

async fn response(
    State(runtime): State<Arc<Runtime>>,
    Path(_): Path<String>,
    body: String,
) -> StatusCode {
    answer(&runtime, Ok(json(&body))).await
}

async fn error(
    State(runtime): State<Arc<Runtime>>,
    Path(_): Path<String>,
    body: String,
) -> StatusCode {
    answer(&runtime, Err(json(&body))).await
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).expect("an answer is JSON")
}

async fn answer(runtime: &Runtime, answer: Result<Value, Value>) -> StatusCode {
    match runtime.answers.send(answer).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::GONE,
    }
}

/// Passes everything on to an endpoint, and counts the connections.
pub struct Counted {
    /// Where it listens.
    pub url: String,
    connections: Arc<AtomicUsize>,
}

impl Counted {
    /// Starts it before `endpoint`, such as `http://127.0.0.1:8000`.
    pub async fn before(endpoint: &str) -> Self {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let mut server = TcpStream::connect(&target)
                    .await
                    .expect("the endpoint answers");
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            }
        });
        Self { url, connections }
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
