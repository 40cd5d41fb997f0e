//! Shows that the stack works: what is put on the queue arrives at a listening client, and on a page.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::json;

use crate::client::Client;
use crate::failure::{Explain, Failure};
use crate::interrupt;
use crate::local_aws::Endpoint;
use crate::process::{Running, lines};
use crate::sam::STACK;
use crate::step::Step;
use crate::workspace::Workspace;

/// The room and the user of the examples.
pub(crate) const ROOM: &str = "demo";
/// See [`ROOM`].
pub(crate) const USER: &str = "alice";

/// How long the client may take to connect, a notification to arrive, and the page's server to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The page of `clients/js/demo`, served until this is dropped.
pub(crate) struct Page {
    /// Where it is.
    pub(crate) url: String,
    log: PathBuf,
    server: Running,
}

/// The `hermes` command, used on the local stack.
pub(crate) struct Demo {
    hermes: PathBuf,
    endpoint: Endpoint,
}

impl Demo {
    /// The command of this workspace, for the stack on a local AWS.
    pub(crate) fn new(workspace: &Workspace, endpoint: Endpoint) -> Self {
        Self {
            hermes: workspace.cli(),
            endpoint,
        }
    }

    /// Issues a token for [`USER`] in [`ROOM`].
    ///
    /// # Errors
    ///
    /// When `hermes` fails.
    pub(crate) fn token(&self, step: &Step<'_>, ttl: &str) -> Result<String> {
        let issue = self.command(&[
            "token", "issue", "--user", USER, "--room", ROOM, "--ttl", ttl,
        ]);
        Ok(step.capture(&issue)?.trim().to_owned())
    }

    /// Listens, publishes to the queue, and returns the line that the listener then wrote.
    ///
    /// # Errors
    ///
    /// When the notification does not arrive in time.
    pub(crate) fn notification(&self, step: &Step<'_>) -> Result<String> {
        let listen = self.command(&["listen", "--room", ROOM, "--user", USER]);
        let mut listener = Running::start(&listen, Stdio::piped(), Stdio::piped())?;
        let stdout = listener.stdout().context("no standard output")?;
        let stderr = listener.stderr().context("no standard error")?;
        let output = lines([Box::new(stdout), Box::new(stderr)]);
        let mut seen = Vec::new();
        let mut wait_for = |what: &str, text: &str| {
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline {
                interrupt::check()?;
                match output.recv_timeout(Duration::from_millis(50)) {
                    Ok(line) if line.contains(text) => return Ok(line),
                    Ok(line) => seen.push(line),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            let said = seen.join("\n       ");
            Err(Failure::new(format!("{what}. `hermes listen` wrote:\n       {said}")).into())
        };
        wait_for("the client did not connect", "connected")?;
        let id = SystemTime::now()
            .duration_since(UNIX_EPOCH)?
            .as_millis()
            .to_string();
        let greeting = json!({"type": "greeting", "data": format!("Hello from the queue, {id}")});
        step.execute(&self.command(&["publish", "--room", ROOM, &greeting.to_string()]))?;
        wait_for("the notification did not arrive", &id).advise(
            "look for errors of send-message in the log of the local AWS, .local/up/aws.log",
        )
    }

    /// Serves the page, which was built, on this machine only.
    ///
    /// # Errors
    ///
    /// When its server does not start, or the page does not work with it.
    pub(crate) fn page(&self, client: &Client, port: u16, log: &Path) -> Result<Page> {
        let port = port.to_string();
        let mut serve = client.node(["demo/server.ts", "--room", ROOM, "--port", &port]);
        self.set(&mut serve);
        serve
            .env("HERMES_STACK", STACK)
            .env("HERMES_CLI", &self.hermes);
        let output =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut server = Running::start(&serve, Stdio::piped(), output.into())?;
        let stdout = server.stdout().context("no standard output")?;
        // The first line says that it serves.
        if lines([Box::new(stdout)]).recv_timeout(PATIENCE).is_err() {
            return Err(Failure::new("the demo page's server did not start")
                .log(log)
                .into());
        }
        let page = Page {
            url: format!("http://127.0.0.1:{port}"),
            log: log.to_owned(),
            server,
        };
        page.load()?;
        Ok(page)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut hermes = Command::new(&self.hermes);
        hermes.args(["--stack", STACK]).args(arguments);
        self.set(&mut hermes);
        hermes.env("NO_COLOR", "1");
        hermes
    }

    /// Makes a program use this stack, and nothing that the developer has set up for another.
    fn set(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HERMES_") {
                command.env_remove(name); // they would win over the stack's outputs
            }
        }
        self.endpoint.set(command);
    }
}

impl Page {
    /// Asks for what a browser asks for; the last two are of the stack.
    fn load(&self) -> Result<()> {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build()
            .new_agent();
        let token = format!("/hermes-token?user={USER}");
        for path in ["/", "/app.js", "/hermes.min.js", "/demo.json", &token] {
            agent
                .get(format!("{}{path}", self.url))
                .call()
                .map_err(|error| {
                    let what = format!("the demo page's server does not give {path}: {error}");
                    Failure::new(what).log(&self.log)
                })?;
        }
        Ok(())
    }

    /// # Errors
    ///
    /// When its server has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.server.ended()? {
            None => Ok(()),
            Some(status) => {
                let what = format!("the demo page's server ended by itself ({status})");
                Err(Failure::new(what).log(&self.log).into())
            }
        }
    }
}
