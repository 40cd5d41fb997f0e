//! `cargo xtask lint`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::failure::Explain;
use crate::python::Tools;
use crate::sam::Sam;
use crate::step::Steps;
use crate::workspace::Workspace;

/// The version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// Arguments of `lint`.
#[derive(Args)]
pub(crate) struct Lint {}

impl Lint {
    /// Checks everything, and tells all that is wrong, not only the first.
    ///
    /// # Errors
    ///
    /// When something is wrong.
    pub(crate) fn apply(self) -> Result<()> {
        let workspace = Workspace::find()?;
        let steps = Steps::new(workspace.local("lint"))?;
        let done = check(&workspace, &steps, || Ok(()));
        eprint!("\n{}", steps.table());
        done
    }
}

/// Runs every check; those in Python, with their installation, while cargo compiles. `meanwhile` is
/// more that may be done at that time.
///
/// # Errors
///
/// When something is wrong, after all checks.
pub(crate) fn check(
    workspace: &Workspace,
    steps: &Steps,
    meanwhile: impl FnOnce() -> Result<()> + Send,
) -> Result<()> {
    thread::scope(|scope| {
        let python = scope.spawn(|| {
            let template = check_template(workspace, steps);
            template.and(meanwhile())
        });
        let rust = check_rust(workspace, steps);
        let template = python.join().map_err(|_| anyhow!("a check panicked"))?;
        rust.and(template)
    })
}

/// Format, lints, documentation, and what the crates depend on.
fn check_rust(workspace: &Workspace, steps: &Steps) -> Result<()> {
    let cargo = |arguments: &[&str]| workspace.cargo(arguments.iter().copied());
    let all = [
        steps.run("cargo fmt", |step| {
            step.execute(&cargo(&["fmt", "--all", "--check"]))
                .advise("cargo fmt --all")
        }),
        steps.run("cargo clippy", |step| {
            let lints = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ];
            step.execute(&cargo(&lints))
        }),
        steps.run("cargo doc", |step| {
            let mut doc = cargo(&[
                "doc",
                "--workspace",
                "--no-deps",
                "--all-features",
                "--locked",
            ]);
            step.execute(doc.env("RUSTDOCFLAGS", "-D warnings"))
        }),
        install_cargo_deny(workspace, steps).and_then(|deny| {
            steps.run("cargo deny", |step| {
                let mut check = Command::new(&deny);
                check.args(["--locked", "check", "bans", "licenses", "sources"]);
                step.execute(check.current_dir(&workspace.root))
                    .advise("deny.toml says why each rule is there")
            })
        }),
    ];
    all.into_iter().collect()
}

/// The template, by four tools; each finds what the others do not.
fn check_template(workspace: &Workspace, steps: &Steps) -> Result<()> {
    let venv = workspace.tools_ready(steps, Tools::Sam)?;
    let sam = Sam {
        workspace,
        venv: &venv,
        build_dir: PathBuf::new(),
    };
    let template = workspace.root.join("template.yaml");
    let mut all = vec![
        steps.run("sam validate", |step| sam.validate(step, &[])),
        steps.run("sam validate --lint", |step| {
            sam.validate(step, &["--lint"])
        }),
        steps.run("cfn-lint", |step| {
            let mut lint = Command::new(venv.program("cfn-lint"));
            step.execute(lint.arg(&template).current_dir(&workspace.root))
        }),
    ];
    all.push(
        workspace
            .tools_ready(steps, Tools::Checkov)
            .and_then(|checkov| {
                steps.run("checkov", |step| {
                    let mut check = Command::new(checkov.program("checkov"));
                    check.args([
                        "--framework",
                        "cloudformation",
                        "--compact",
                        "--quiet",
                        "--skip-download",
                    ]);
                    step.execute(
                        check
                            .arg("--file")
                            .arg(&template)
                            .current_dir(&workspace.root),
                    )
                    .advise("mend it, or skip the check in the template with the reason")
                })
            }),
    );
    all.into_iter().collect()
}

/// Compiles cargo-deny into `.venv/cargo`, unless an earlier run has.
fn install_cargo_deny(workspace: &Workspace, steps: &Steps) -> Result<PathBuf> {
    let root = workspace.tools().join("cargo");
    let program = root.join("bin/cargo-deny");
    let version = Command::new(&program).arg("--version").output();
    let expected = format!("cargo-deny {CARGO_DENY}");
    if version.is_ok_and(|version| version.stdout.trim_ascii() == expected.as_bytes()) {
        return Ok(program);
    }
    steps.run("installing cargo-deny in .venv", |step| {
        // Unoptimized: it takes a quarter of the time to compile, and runs for a second or two.
        let mut install =
            workspace.cargo(["install", "--quiet", "--locked", "--debug", "cargo-deny"]);
        install
            .args(["--version", CARGO_DENY, "--force", "--root"])
            .arg(&root);
        // A folder of its own, so that an interrupted installation goes on where it was.
        let target = root.join("target");
        install.arg("--target-dir").arg(&target);
        step.execute(&install)
            .advise("crates.io must be reachable once")?;
        let _ = fs::remove_dir_all(target); // a gigabyte that is not needed again
        Ok(program)
    })
}
