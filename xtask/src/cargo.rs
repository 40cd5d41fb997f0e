//! Cargo, as if the developer had called it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::python::Venv;
use crate::step::Step;
use crate::workspace::Workspace;

/// The function that has a router, and so other features of hyper and tower than the others.
const WITH_ROUTER: &str = "server-api";

/// Cargo without the variables that `cargo run` set for this program: build scripts and macros that
/// look at them would be built again each time that cargo is called the other way.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    for (name, _) in env::vars_os() {
        if of_this_package(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether `cargo run` sets this variable to tell a program about its own package.
fn of_this_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_")
        || variable.starts_with("CARGO_MANIFEST_")
        || variable.starts_with("CARGO_BIN_EXE_")
        || matches!(
            variable,
            "CARGO" | "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "OUT_DIR"
        )
}

impl Workspace {
    /// `cargo lambda` as it is called for binaries that run on this machine.
    ///
    /// Zig, cargo-lambda's default, links against the glibc of provided.al2023 (2.34) whatever the
    /// machine has: that is what `sam build` does for AWS. Here the functions run on this machine, so
    /// its own linker is enough, and quicker.
    pub(crate) fn lambda_environment(command: &mut Command, sam: &Venv) {
        command
            .env("PATH", sam.path())
            .env("CARGO_LAMBDA_COMPILER", "cargo");
    }

    /// Compiles functions as `sam build` would, one after another; but in one call cargo uses all
    /// cores while it links, and shows what it does. `sam build` then finds them ready, if each was built with
    /// the features that it has alone: so what has a router is built apart from what has none.
    ///
    /// # Errors
    ///
    /// When they do not compile.
    pub(crate) fn build_functions(
        &self,
        step: &Step<'_>,
        sam: &Venv,
        names: &[String],
    ) -> Result<()> {
        let (with_router, without): (Vec<_>, Vec<_>) =
            names.iter().partition(|name| *name == WITH_ROUTER);
        for names in [without, with_router] {
            if names.is_empty() {
                continue;
            }
            let mut build = self.cargo(["lambda", "build", "--release"]);
            build.args(names.iter().flat_map(|name| ["--package", name.as_str()]));
            Self::lambda_environment(&mut build, sam);
            step.execute(&build)?;
        }
        Ok(())
    }

    /// Where [`Self::build_functions`] leaves a function.
    pub(crate) fn bootstrap(&self, function: &str) -> PathBuf {
        self.target.join("lambda").join(function).join("bootstrap")
    }

    /// Compiles the `hermes` command, and says where it is.
    ///
    /// # Errors
    ///
    /// When it does not compile.
    pub(crate) fn build_cli(&self, step: &Step<'_>) -> Result<PathBuf> {
        // With the features that the whole workspace asks for: alone it would have some fewer, and
        // `cargo test --workspace` would compile most dependencies once more.
        step.execute(&self.cargo(["build", "--workspace", "--bin", "hermes"]))?;
        Ok(self.cli())
    }

    /// The `hermes` command.
    pub(crate) fn cli(&self) -> PathBuf {
        self.target.join("debug").join("hermes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_developer_set_stays() {
        assert!(of_this_package("CARGO_PKG_NAME"));
        assert!(of_this_package("CARGO_MANIFEST_DIR"));
        for kept in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_TERM_COLOR",
            "RUSTFLAGS",
        ] {
            assert!(!of_this_package(kept), "{kept}");
        }
    }
}
