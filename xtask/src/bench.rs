//! `cargo xtask bench`.

use std::io::ErrorKind;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::failure::{Explain, Failure};
use crate::python::Tools;
use crate::step::Steps;
use crate::workspace::Workspace;

/// The oldest Node.js that the peers run on: what the AWS SDK asks for.
const OLDEST_NODE: u32 = 20;

/// What to install where it is missing. Nothing is left out silently.
const INSTALL_NODE: &str = "install Node.js 20 or later with npm (https://nodejs.org; Debian, Ubuntu: \
    apt-get install nodejs npm): the bench measures Hermes against two designs in Node.js";

/// The package of the floors; its binaries are built like functions.
const FLOORS: &str = "floors";

/// Arguments of `bench`.
#[derive(Args)]
pub(crate) struct Bench {
    /// Smaller rooms and tables, and fewer rounds: five minutes of measuring
    #[arg(long)]
    quick: bool,
    /// Measure only this, and write no report: cold, warm, storm, instructions, fanout, quota, units
    /// (several: comma-separated)
    #[arg(long, value_name = "PARTS")]
    only: Option<String>,
}

impl Bench {
    /// Builds everything as it is deployed, measures it side by side, and writes `bench/RESULTS.md`.
    ///
    /// # Errors
    ///
    /// When something does not build, or is not installed, or a measurement fails.
    pub(crate) fn apply(self) -> Result<()> {
        let workspace = Workspace::find()?;
        let steps = Steps::new(workspace.local("bench"))?;
        let peers = workspace.root.join("bench/peers/node");
        steps.run("looking for Node.js", |_| check_node())?;
        let venv = workspace.tools_ready(&steps, Tools::Sam)?;
        let mut packages = workspace.functions()?;
        packages.push(FLOORS.to_owned());
        steps.run(
            "compiling the functions and the floors for release",
            |step| workspace.build_functions(step, &venv, &packages),
        )?;
        steps.run("compiling the bench", |step| {
            step.execute(&workspace.cargo(["build", "--profile", "harness", "--package", "bench"]))
        })?;
        steps.run("installing the Node.js peers", |step| {
            let mut install = Command::new("npm");
            install.args(["ci", "--no-audit", "--no-fund"]);
            step.execute(install.current_dir(&peers))
                .advise("npm's registry must be reachable once")?;
            let mut build = Command::new("npm");
            step.execute(build.args(["run", "build"]).current_dir(&peers))
        })?;
        steps.run("measuring", |step| {
            let mut bench = Command::new(workspace.target.join("harness/bench"));
            bench
                .arg("run")
                .arg("--bootstraps")
                .arg(workspace.target.join("lambda"));
            bench.arg("--peers").arg(&peers);
            bench.arg("--root").arg(&workspace.root);
            if self.quick {
                bench.arg("--quick");
            }
            if let Some(only) = &self.only {
                bench.args(["--only", only]);
            }
            step.show(&bench, |_| {})
        })
    }
}

fn check_node() -> Result<()> {
    let node = version("node")?;
    version("npm")?;
    let major = node
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok())
        .with_context(|| format!("`node --version` says {node}"))?;
    if major < OLDEST_NODE {
        let what = format!("Node.js {node} is too old");
        return Err(Failure::new(what).advice(INSTALL_NODE).into());
    }
    Ok(())
}

fn version(program: &str) -> Result<String> {
    match Command::new(program).arg("--version").output() {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let what = format!("{program} is not installed");
            Err(Failure::new(what).advice(INSTALL_NODE).into())
        }
        Err(error) => Err(error).with_context(|| format!("cannot start {program}")),
    }
}
