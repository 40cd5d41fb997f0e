//! `sam`, as the README tells people to use it, but against the local AWS.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::failure::Explain;
use crate::local_aws::Endpoint;
use crate::python::Venv;
use crate::step::Step;
use crate::workspace::Workspace;

/// Name of the stack on the local AWS.
pub(crate) const STACK: &str = "hermes-local";

/// The sam of an environment, for this workspace.
pub(crate) struct Sam<'a> {
    /// What it builds and deploys.
    pub(crate) workspace: &'a Workspace,
    /// Where it is installed.
    pub(crate) venv: &'a Venv,
    /// Where it builds: not `.aws-sam`, because what is built here must never be deployed to AWS. It
    /// is for this machine's processor and linked against this machine's libraries.
    pub(crate) build_dir: PathBuf,
}

impl Sam<'_> {
    /// Packages the functions; compiles those that [`Workspace::build_functions`] has not.
    ///
    /// # Errors
    ///
    /// When sam fails.
    pub(crate) fn build(&self, step: &Step<'_>) -> Result<()> {
        let mut sam = self.command(&["build", "--config-env", "local"]);
        sam.arg("--template-file")
            .arg(self.workspace.root.join("template.yaml"));
        sam.arg("--build-dir").arg(&self.build_dir);
        sam.arg("--parameter-overrides")
            .arg(format!("Architecture={}", architecture()));
        Workspace::lambda_environment(&mut sam, self.venv);
        step.execute(&sam)
    }

    /// Deploys what was built.
    ///
    /// # Errors
    ///
    /// When the stack cannot be made; with the log of the local AWS.
    pub(crate) fn deploy(&self, step: &Step<'_>, endpoint: Endpoint, aws_log: &Path) -> Result<()> {
        let mut sam = self.command(&["deploy", "--config-env", "local"]);
        sam.arg("--template-file")
            .arg(self.build_dir.join("template.yaml"));
        sam.args([
            "--stack-name",
            STACK,
            "--parameter-overrides",
            "Stage=local",
        ]);
        sam.arg(format!("Architecture={}", architecture()));
        sam.arg(format!("LocalEndpoint={}", endpoint.url()));
        endpoint.set(&mut sam);
        step.execute(&sam).see(aws_log).advise(
            "a stack that a failed deployment left half-made goes away with the local AWS: \
             `cargo xtask down`, then again. If it is the template: `cargo xtask lint`",
        )
    }

    /// What the deployed stack says about itself.
    ///
    /// # Errors
    ///
    /// When sam fails.
    pub(crate) fn outputs(
        &self,
        step: &Step<'_>,
        aws: Endpoint,
    ) -> Result<BTreeMap<String, String>> {
        let mut sam = self.command(&["list", "stack-outputs", "--output", "json"]);
        sam.args([
            "--config-env",
            "local",
            "--stack-name",
            STACK,
            "--region",
            "us-east-1",
        ]);
        aws.set(&mut sam);
        parse_outputs(&step.capture(&sam)?)
    }

    /// Runs one of sam's commands that only read the template.
    ///
    /// # Errors
    ///
    /// When it finds something.
    pub(crate) fn validate(&self, step: &Step<'_>, arguments: &[&str]) -> Result<()> {
        let mut sam = self.command(&["validate", "--region", "us-east-1"]);
        sam.args(arguments)
            .arg("--template-file")
            .arg(self.workspace.root.join("template.yaml"));
        // It asks AWS for managed policies only where the template names some; ours does not. No
        // AWS is called, and none may be needed.
        Endpoint { port: 9 }.set(&mut sam);
        step.execute(&sam)
    }

    /// sam, with the settings of this workspace and without its telemetry.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut sam = Command::new(self.venv.program("sam"));
        sam.args(arguments)
            .arg("--config-file")
            .arg(self.workspace.root.join("samconfig.toml"));
        sam.current_dir(&self.workspace.root)
            .env("PATH", self.venv.path());
        sam.env("SAM_CLI_TELEMETRY", "0");
        sam.env("SAM_CLI_POLL_DELAY", "0.3"); // seconds; the default of 5 spares AWS, which this is not
        sam
    }
}

/// This machine's processor, by Lambda's name.
pub(crate) fn architecture() -> &'static str {
    if ARCH == "aarch64" { "arm64" } else { ARCH }
}

fn parse_outputs(json: &str) -> Result<BTreeMap<String, String>> {
    let outputs: Value = serde_json::from_str(json).context("sam list: no JSON")?;
    let outputs = outputs.as_array().context("sam list: no array")?;
    let text = |output: &Value, key| Some(output[key].as_str()?.to_owned());
    let pair = |output| Some((text(output, "OutputKey")?, text(output, "OutputValue")?));
    Ok(outputs.iter().filter_map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read() {
        let outputs = parse_outputs(
            r#"[{"OutputKey": "WebSocketUrl", "OutputValue": "ws://a/b", "Description": "c"}]"#,
        );
        assert_eq!(outputs.unwrap()["WebSocketUrl"], "ws://a/b");
        assert!(parse_outputs("no stack").is_err());
    }

    #[test]
    fn the_architecture_has_lambdas_name() {
        assert!(matches!(architecture(), "x86_64" | "arm64"));
    }
}
