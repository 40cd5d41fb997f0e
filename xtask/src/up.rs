//! `cargo xtask up`.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use console::style;

use crate::client::Client;
use crate::demo::{Demo, Page, ROOM, USER};
use crate::interrupt;
use crate::local_aws::{Endpoint, LocalAws, check_free};
use crate::python::{Tools, Venv};
use crate::running::{self, Claim, Found, Other};
use crate::sam::{STACK, Sam};
use crate::step::Steps;
use crate::workspace::Workspace;

/// The port where none is given; the local AWS's own default.
const PORT: u16 = 4566;

/// The port of the demo page where none is given.
const DEMO_PORT: u16 = 4567;

/// How long the token in the browser snippet is good for.
const TOKEN_TTL: &str = "12h";

/// Arguments of `up`.
#[derive(Args)]
pub(crate) struct Up {
    /// Port of the local AWS on 127.0.0.1 [default: 4566]
    #[arg(long)]
    port: Option<u16>,
    /// Port of the demo page on 127.0.0.1 [default: 4567]
    #[arg(long)]
    demo_port: Option<u16>,
    /// End after the notification has arrived
    #[arg(long)]
    once: bool,
}

impl Up {
    /// Makes the system run, shows it, and keeps it running.
    ///
    /// # Errors
    ///
    /// When a step fails.
    pub(crate) fn apply(self) -> Result<()> {
        let workspace = Workspace::find()?;
        match running::claim(&workspace)? {
            Found::Nobody(claim) => self.run(&workspace, &claim),
            Found::Other(other) => self.reuse(&workspace, other),
        }
    }

    /// No other runs: start the local AWS.
    fn run(&self, workspace: &Workspace, claim: &Claim) -> Result<()> {
        let endpoint = Endpoint {
            port: self.port.unwrap_or(PORT),
        };
        let demo_port = self.demo_port.unwrap_or(DEMO_PORT);
        check_free(endpoint.port, "--port")?;
        check_free(demo_port, "--demo-port")?;
        claim.write(endpoint, demo_port, false)?;
        let steps = Steps::new(workspace.local("up"))?;
        let Tooling {
            sam,
            ministack,
            client,
        } = prepare(workspace, &steps)?;
        let log = workspace.local("up").join("aws.log");
        let mut aws = steps.run("starting the local AWS", |_| {
            LocalAws::start(workspace, &ministack, endpoint.port, &log)
        })?;
        let show = deploy_and_show(workspace, &steps, &sam, endpoint, &log)?;
        let mut page = steps.run("serving the demo page", |_| {
            let log = workspace.local("up").join("demo.log");
            Demo::new(workspace, endpoint).page(&client, demo_port, &log)
        })?;
        claim.write(endpoint, demo_port, true)?;
        if !self.once {
            println!("{}{show}", look(&page.url));
            eprintln!("Press Ctrl-C to stop, or run `cargo xtask down` elsewhere.");
            wait(&mut aws, &mut page)?;
        }
        steps.run("stopping the local AWS", |_| {
            drop((page, aws));
            Ok(())
        })
    }

    /// Another runs: deploy to its local AWS, and leave it running.
    fn reuse(&self, workspace: &Workspace, other: Other) -> Result<()> {
        let Other {
            pid,
            endpoint,
            demo_port,
            ..
        } = other;
        for (asked, port) in [(self.port, endpoint.port), (self.demo_port, demo_port)] {
            if asked.is_some_and(|asked| asked != port) {
                bail!("`cargo xtask up` runs already, on port {port}: `cargo xtask down` ends it");
            }
        }
        eprintln!("`cargo xtask up` runs already (process {pid}): deploying to its local AWS.");
        let steps = Steps::new(workspace.local("up-again"))?;
        if !other.ready {
            steps.run("waiting until the other has deployed", |_| {
                wait_until_ready(workspace, pid)
            })?;
        }
        let Tooling { sam, .. } = prepare(workspace, &steps)?;
        let log = workspace.local("up").join("aws.log");
        let show = deploy_and_show(workspace, &steps, &sam, endpoint, &log)?;
        if !self.once {
            println!("{}{show}", look(&format!("http://127.0.0.1:{demo_port}")));
        }
        eprintln!("It goes on running; `cargo xtask down` ends it.");
        Ok(())
    }
}

/// What is installed.
struct Tooling {
    sam: Venv,
    ministack: Venv,
    client: Client,
}

/// Everything that is installed and compiled. Two things at a time: pip mostly waits for the network.
fn prepare(workspace: &Workspace, steps: &Steps) -> Result<Tooling> {
    let tools = thread::scope(|scope| {
        let tools = scope.spawn(|| {
            let tools = (|| {
                let sam = workspace.tools_ready(steps, Tools::Sam)?;
                let ministack = workspace.tools_ready(steps, Tools::Ministack)?;
                let client = Client::ready(workspace, steps)?;
                client.build(steps)?;
                Ok(Tooling {
                    sam,
                    ministack,
                    client,
                })
            })();
            tools.inspect_err(|_| interrupt::cancel())
        });
        let cli = steps.run("compiling the hermes command", |step| {
            workspace.build_cli(step)
        });
        let cli = cli.inspect_err(|_| interrupt::cancel());
        let tools = tools
            .join()
            .map_err(|_| anyhow!("the installation panicked"))?;
        cli.and(tools)
    })?;
    let functions = workspace.functions()?;
    steps.run("compiling the functions for release", |step| {
        workspace.build_functions(step, &tools.sam, &functions)
    })?;
    Ok(tools)
}

/// Deploys, shows a notification, and returns what to tell the person.
fn deploy_and_show(
    workspace: &Workspace,
    steps: &Steps,
    venv: &Venv,
    endpoint: Endpoint,
    aws_log: &Path,
) -> Result<String> {
    let sam = Sam {
        workspace,
        venv,
        build_dir: workspace.local("up").join("build"),
    };
    steps.run("sam build", |step| sam.build(step))?;
    steps.run("sam deploy", |step| sam.deploy(step, endpoint, aws_log))?;
    let demo = Demo::new(workspace, endpoint);
    let token = steps.run("issuing a token", |step| demo.token(step, TOKEN_TTL))?;
    let arrived = steps.run("publishing to the queue and listening", |step| {
        demo.notification(step)
    })?;
    steps.say(&format!("\n  {}\n", style(arrived.trim()).bold()));
    let outputs = steps.run("asking for the stack's outputs", |step| {
        sam.outputs(step, endpoint)
    })?;
    let url = outputs.get("WebSocketUrl").map(String::as_str);
    let url = url.ok_or_else(|| anyhow!("the stack has no output WebSocketUrl"))?;
    Ok(instructions(url, &token, &workspace.cli(), endpoint))
}

/// What a person looks at first.
fn look(page: &str) -> String {
    format!("\n{}  {page}\n", style("Look at it:").bold())
}

/// What a person can do with a running stack.
fn instructions(url: &str, token: &str, hermes: &Path, endpoint: Endpoint) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let hermes = hermes.strip_prefix(here).unwrap_or(hermes).display();
    let variables: Vec<String> = endpoint
        .variables()
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let title = |text: &'static str| style(text).bold();
    format!(
        "\
{running}  {url}

{shell}
  export {variables} HERMES_STACK={STACK}
  {hermes} listen --room {ROOM} --user {USER}
  {hermes} publish --room {ROOM} '{{\"type\": \"greeting\", \"data\": \"Hello\"}}'

{browser}
  socket = new WebSocket(\"{url}\", [\"bearer\", \"{token}\"])
  socket.onmessage = (event) => console.log(event.data)
  socket.send(JSON.stringify({{ action: \"sendMessage\", data: \"Hello, room\" }}))
",
        running = title("Running:"),
        shell = title("Listen and publish from another terminal:"),
        browser = title(
            "Connect from a browser's console (line by line; the token is good for 12 hours):"
        ),
        variables = variables.join(" "),
    )
}

/// Until someone stops us, or one of them ends by itself.
fn wait(aws: &mut LocalAws, page: &mut Page) -> Result<()> {
    while interrupt::check().is_ok() {
        aws.check()?;
        page.check()?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Until the other `up` has deployed.
fn wait_until_ready(workspace: &Workspace, pid: i32) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(30 * 60); // it may be compiling everything
    let deadline = Instant::now() + PATIENCE;
    loop {
        interrupt::check()?;
        match running::other(workspace)? {
            Some(other) if other.ready => return Ok(()),
            Some(other) if other.pid == pid && Instant::now() < deadline => {}
            _ => bail!(
                "the other `cargo xtask up` (process {pid}) ended or takes too long; start it again"
            ),
        }
        thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_can_be_copied() {
        let endpoint = Endpoint { port: 4570 };
        let shown = instructions(
            "ws://host/stage",
            "a.b.c",
            Path::new("target/debug/hermes"),
            endpoint,
        );
        let shown = console::strip_ansi_codes(&shown);
        assert!(
            shown.contains(r#"new WebSocket("ws://host/stage", ["bearer", "a.b.c"])"#),
            "{shown}"
        );
        assert!(
            shown.contains("AWS_ENDPOINT_URL=http://127.0.0.1:4570 "),
            "{shown}"
        );
        assert!(
            shown.contains("target/debug/hermes listen --room demo --user alice"),
            "{shown}"
        );
    }
}
