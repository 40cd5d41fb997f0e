//! Where things are.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::cargo::cargo;

/// The checked-out project.
pub(crate) struct Workspace {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// # Errors
    ///
    /// When cargo does not say where its target directory is.
    pub(crate) fn find() -> Result<Self> {
        // Set by `cargo run`; the other is where this program was built.
        let xtask = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = xtask
            .parent()
            .context("xtask has no parent folder")?
            .to_owned();
        let mut workspace = Self {
            root,
            target: PathBuf::new(),
        };
        let mut metadata = workspace.cargo(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata = metadata.output().context("cannot start cargo")?;
        let error = || {
            anyhow!(
                "cargo metadata: {}",
                String::from_utf8_lossy(&metadata.stderr)
            )
        };
        let json: serde_json::Value =
            serde_json::from_slice(&metadata.stdout).map_err(|_| error())?;
        workspace.target = json["target_directory"]
            .as_str()
            .map(PathBuf::from)
            .ok_or_else(error)?;
        Ok(workspace)
    }

    /// A cargo command in this workspace.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = cargo();
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// The names of the functions: each is a folder, a package and a binary.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub(crate) fn functions(&self) -> Result<Vec<String>> {
        let folder = self.root.join("functions");
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.path().join("Cargo.toml").exists() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The folder of a command's logs and of what it builds; git ignores it.
    pub(crate) fn local(&self, command: &str) -> PathBuf {
        self.root.join(".local").join(command)
    }

    /// The pinned tools; git ignores them.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join(".venv")
    }
}
