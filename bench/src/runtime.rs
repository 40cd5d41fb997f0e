//! A function as a process of its own, as Lambda runs it: this module is the Runtime API that it polls for
//! events (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::process::{Usage, usage};
use crate::quota::Quota;

/// A function that was started.
pub(crate) struct Function {
    process: Child,
    pid: u32,
    started: Instant,
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<Answer>,
    server: AbortHandle,
    patience: Duration,
}

/// What a function answered.
pub(crate) struct Answer {
    /// The answer, or the error that it reported.
    pub(crate) body: Result<String, String>,
    /// When it arrived here.
    pub(crate) at: Instant,
}

impl Function {
    /// Starts `command` with `AWS_LAMBDA_RUNTIME_API` in its environment, with at most `quota` of a CPU. An
    /// invocation may take `limit`, which Lambda calls its timeout.
    pub(crate) async fn start(
        command: &std::process::Command,
        quota: Option<&Quota>,
        limit: Duration,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = listener.local_addr()?.to_string();
        let (events, waiting) = mpsc::channel(1);
        let (answering, answers) = mpsc::channel(1);
        let runtime = Arc::new(Runtime {
            events: Mutex::new(waiting),
            answers: answering,
            limit,
        });
        let invocation = "/2018-06-01/runtime/invocation";
        let routes = Router::new()
            .route(&format!("{invocation}/next"), get(next))
            .route(&format!("{invocation}/{{id}}/response"), post(response))
            .route(&format!("{invocation}/{{id}}/error"), post(error))
            .with_state(runtime);
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });

        let mut tokio_command = Command::new(command.get_program());
        tokio_command.args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                tokio_command.env(name, value);
            }
        }
        let quiet = std::env::var_os("HERMES_BENCH_LOGS").is_none();
        let output = || {
            if quiet {
                Stdio::null()
            } else {
                Stdio::inherit()
            }
        };
        let started = Instant::now();
        let process = tokio_command
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let pid = process.id().context("it ended at once")?;
        if let Some(quota) = quota {
            quota.hold(pid)?;
        }
        Ok(Self {
            process,
            pid,
            started,
            events,
            answers,
            server: server.abort_handle(),
            patience: limit + Duration::from_secs(60),
        })
    }

    /// Hands it an event and waits for its answer; gives how long that took. An error that the function
    /// reports is an answer too.
    pub(crate) async fn invoke(&mut self, event: String) -> Result<(Answer, Duration)> {
        let handed = Instant::now();
        self.events
            .send(event)
            .await
            .map_err(|_| anyhow!("the Runtime API ended"))?;
        let answer = tokio::select! {
            answer = timeout(self.patience, self.answers.recv()) => {
                answer.context("the function does not answer")?.context("the Runtime API ended")?
            }
            status = self.process.wait() => bail!("the function ended: {}", status?),
        };
        let took = answer.at - handed;
        Ok((answer, took))
    }

    /// The same, where an error that it reports is a failure.
    pub(crate) async fn call(&mut self, event: String) -> Result<(String, Duration)> {
        let (answer, took) = self.invoke(event).await?;
        let body = answer
            .body
            .map_err(|error| anyhow!("the function failed: {error}"))?;
        Ok((body, took))
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(self.pid)
    }

    /// Asks it to end, as Lambda does (SIGTERM), and waits: what it runs under can write what it counted.
    pub(crate) async fn end(mut self) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid)?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        timeout(Duration::from_secs(60), self.process.wait())
            .await
            .context("the function does not end")??;
        Ok(())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Runtime {
    events: Mutex<mpsc::Receiver<String>>,
    answers: mpsc::Sender<Answer>,
    limit: Duration,
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let Some(event) = runtime.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now() + runtime.limit;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", Uuid::now_v7().to_string()),
        (
            "lambda-runtime-deadline-ms",
            deadline.as_millis().to_string(),
        ),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:function".to_owned(),
        ),
    ];
    (headers, event).into_response()
}

async fn response(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    runtime.answer(Ok(body)).await
}

async fn error(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    runtime.answer(Err(body)).await
}

impl Runtime {
    async fn answer(&self, body: Result<String, String>) -> StatusCode {
        let at = Instant::now();
        match self.answers.send(Answer { body, at }).await {
            Ok(()) => StatusCode::ACCEPTED,
            Err(_) => StatusCode::GONE,
        }
    }
}
