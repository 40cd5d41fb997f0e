//! `cargo xtask test`.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::client::Client;
use crate::demo::Demo;
use crate::failure::{Explain, Reported};
use crate::lint;
use crate::local_aws::{Endpoint, LocalAws, free_port};
use crate::python::{Tools, python};
use crate::sam::{STACK, Sam};
use crate::step::{Step, Steps};
use crate::workspace::Workspace;
use crate::{curl, interrupt, one_stack, size};

/// The step that all others of `test` prepare.
const CARGO_TEST: &str = "cargo test";

/// Arguments of `test`.
#[derive(Args)]
pub(crate) struct Test {}

/// What `cargo test` and `node --test` counted.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Test {
    /// Runs everything, and tells all that is wrong, not only the first.
    ///
    /// # Errors
    ///
    /// When something is wrong.
    pub(crate) fn apply(self) -> Result<()> {
        let workspace = Workspace::find()?;
        let steps = Steps::new(workspace.local("test"))?;
        let mut totals = Totals::default();
        let done = run(&workspace, &steps, &mut totals);
        if !steps.ran(CARGO_TEST) {
            steps.skip(CARGO_TEST);
        }
        eprint!("\n{}", steps.table());
        if totals != Totals::default() {
            let Totals {
                passed,
                failed,
                ignored,
            } = totals;
            eprintln!("\n{passed} tests passed, {failed} failed, {ignored} ignored");
        }
        done
    }
}

fn run(workspace: &Workspace, steps: &Steps, totals: &mut Totals) -> Result<()> {
    let mut toolchains = Err(Reported.into());
    let mut client = Err(Reported.into());
    let curl = steps.run("finding curl, or installing it", curl::ready);
    interrupt::check()?;
    let linted = lint::check(workspace, steps, || {
        workspace.tools_ready(steps, Tools::Ministack)?;
        client = Client::ready(workspace, steps)
            .and_then(|client| Ok((find_chromium(&client, steps)?, client)));
        toolchains = steps.run(
            "preparing Ruby, Node.js and Python for the snippets",
            |step| {
                let mut prepare = Command::new(python()?);
                prepare.arg(workspace.root.join("xtask/snippet_toolchains.py"));
                let printed = step.capture(&prepare)?;
                Ok(printed.lines().last().unwrap_or_default().to_owned())
            },
        );
        Ok(())
    });
    // A wrong format or lint does not keep the tests from running; Ctrl-C does.
    interrupt::check()?;
    let tools = toolchains.as_deref().ok();
    let tested = build_and_test(workspace, steps, tools, client.as_ref().ok(), totals);
    linted
        .and(curl)
        .and(toolchains.map(|_| ()))
        .and(client.map(|_| ()))
        .and(tested)
}

/// Everything from the release build to the last test.
fn build_and_test(
    workspace: &Workspace,
    steps: &Steps,
    toolchains: Option<&str>,
    client: Option<&(String, Client)>,
    totals: &mut Totals,
) -> Result<()> {
    let venv = workspace.tools_ready(steps, Tools::Sam)?;
    let ministack = workspace.tools_ready(steps, Tools::Ministack)?;
    workspace.tools_ready(steps, Tools::Schemathesis)?;
    let functions = workspace.functions()?;
    steps.run("compiling the functions for release", |step| {
        workspace.build_functions(step, &venv, &functions)
    })?;
    let sam = Sam {
        workspace,
        venv: &venv,
        build_dir: workspace.local("test").join("build"),
    };
    steps.run("sam build", |step| sam.build(step))?;
    let sizes = steps.run("the size of each function", |_| size::check(&sam.build_dir));
    let sizes = sizes.map(|sizes| steps.say(&sizes));
    let stacks = steps.run("one TLS, HTTP and cryptography library", |_| {
        one_stack::check(workspace)
    });
    steps.run("compiling the tests", |step| {
        let build = [
            "build",
            "--workspace",
            "--tests",
            "--bin",
            "hermes",
            "--locked",
        ];
        step.execute(&workspace.cargo(build))
    })?;

    let checked = client.map_or(Ok(()), |(_, client)| check_client(client, steps, totals));

    let port = free_port()?;
    let log = workspace.local("test").join("aws.log");
    let aws = steps.run("starting the local AWS", |_| {
        LocalAws::start(workspace, &ministack, port, &log)
    })?;
    steps.run("sam deploy", |step| sam.deploy(step, aws.endpoint, &log))?;
    let page = client.map_or(Ok(()), |(_, client)| {
        steps.run("serving the demo page", |_| {
            let log = workspace.local("test").join("demo.log");
            Demo::new(workspace, aws.endpoint)
                .page(client, free_port()?, &log)
                .map(drop)
        })
    });
    let tests = steps.run(CARGO_TEST, |step| {
        let mut tests = workspace.cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
        set_environment(
            &mut tests,
            workspace,
            aws.endpoint,
            &sam.build_dir,
            toolchains,
        );
        step.show(&tests, |line| totals.count(line))
            .advise(&format!("what the functions wrote is in {}", log.display()))
    });
    let in_browser = client.map_or(Ok(()), |(chromium, client)| {
        steps.run("clients/js against the stack", |step| {
            let mut stack = client.node(["--run", "stack"]);
            set_environment(
                &mut stack,
                workspace,
                aws.endpoint,
                &sam.build_dir,
                toolchains,
            );
            stack.env("HERMES_CHROMIUM", chromium);
            count_node(step, &stack, totals)
        })
    });
    steps.run("stopping the local AWS", |_| {
        drop(aws);
        Ok(())
    })?;
    sizes
        .and(stacks)
        .and(checked)
        .and(page)
        .and(tests)
        .and(in_browser)
}

/// Types, lints, format, unit tests and size of the client in JavaScript.
fn check_client(client: &Client, steps: &Steps, totals: &mut Totals) -> Result<()> {
    steps.run("clients/js: types, lints, unit tests, size", |step| {
        count_node(step, &client.node(["--run", "check"]), totals)
            .advise("`node --run format` in clients/js mends the format and some lints")
    })
}

/// The Chromium of the machine, or one that is installed now.
fn find_chromium(client: &Client, steps: &Steps) -> Result<String> {
    steps.run("finding Chromium, or installing it", |step| {
        let found = step.capture(&client.node(["scripts/chromium.ts"]))?;
        Ok(found.trim().to_owned())
    })
}

/// Runs tests of Node.js; that there are none is a failure, too.
fn count_node(step: &Step<'_>, command: &Command, totals: &mut Totals) -> Result<()> {
    let before = *totals;
    step.show(command, |line| totals.count(line))?;
    if totals.passed == before.passed {
        bail!("no test was run");
    }
    Ok(())
}

/// Tells the tests where everything is.
fn set_environment(
    tests: &mut Command,
    workspace: &Workspace,
    endpoint: Endpoint,
    functions: &Path,
    toolchains: Option<&str>,
) {
    endpoint.set(tests);
    tests.env("HERMES_STACK", STACK);
    tests.env("HERMES_BIN_DIR", functions);
    tests.env("HERMES_CLI", workspace.cli());
    if let Some(toolchains) = toolchains {
        tests.env("HERMES_SNIPPET_TOOLCHAINS", toolchains);
    }
    if io::stdout().is_terminal() {
        tests.env("CARGO_TERM_COLOR", "always"); // its output goes through us
    }
}

impl Totals {
    /// Adds a line such as `test result: ok. 12 passed; 0 failed; 1 ignored; …` of cargo, or `ℹ pass 12` of
    /// Node.js.
    fn count(&mut self, line: &str) {
        let line = console::strip_ansi_codes(line);
        if let Some((what, count)) = line.strip_prefix("ℹ ").and_then(|it| it.split_once(' ')) {
            let number = count.parse().unwrap_or(0);
            match what {
                "pass" => self.passed += number,
                "fail" | "cancelled" => self.failed += number,
                "skipped" | "todo" => self.ignored += number,
                _ => {}
            }
            return;
        }
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|result| result.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let mut words = count.split(' ');
            let number = words
                .next()
                .and_then(|number| number.parse().ok())
                .unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut totals = Totals::default();
        totals.count("running 3 tests");
        totals.count("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        for line in [
            "ℹ tests 9",
            "ℹ pass 4",
            "ℹ fail 2",
            "ℹ cancelled 1",
            "ℹ skipped 2",
        ] {
            totals.count(&format!("\u{1b}[34m{line}\u{1b}[39m"));
        }
        totals.count("test result: \u{1b}[31mFAILED\u{1b}[0m. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(
            totals,
            Totals {
                passed: 19,
                failed: 5,
                ignored: 3
            }
        );
    }
}
