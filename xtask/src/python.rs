//! The tools that are Python packages, in virtual environments under `.venv`.
//!
//! There are several, because sam-cli, ministack and checkov pin different versions of boto3, and schemathesis brings
//! much that they do not know. The versions are in `xtask/requirements-*.txt`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::failure::{Explain, Failure};
use crate::interrupt;
use crate::step::Steps;
use crate::workspace::Workspace;

/// The oldest Python that sam-cli and ministack run on.
const OLDEST: (u32, u32) = (3, 10);

/// What to install where Python, or a part of it, is missing.
const INSTALL: &str = "install Python 3.10 or later with its venv module, then run this again \
    (Debian, Ubuntu: apt-get install python3 python3-venv; Fedora: dnf install python3)";

/// Prints what [`parse_version`] reads; ensurepip is what Debian and Ubuntu leave out.
const PROBE: &str = "import sys, venv, ensurepip; print(*sys.version_info[:2])";

/// A set of tools that can live in one environment.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Tools {
    /// sam, cfn-lint, cargo-lambda, and zig.
    Sam,
    /// The local AWS.
    Ministack,
    /// checkov, which only `lint` needs.
    Checkov,
    /// schemathesis, with which only `test` fuzzes the server API.
    Schemathesis,
    /// Node.js, for `clients/js`.
    Node,
}

impl Tools {
    fn name(self) -> &'static str {
        match self {
            Self::Sam => "sam",
            Self::Ministack => "ministack",
            Self::Checkov => "checkov",
            Self::Schemathesis => "schemathesis",
            Self::Node => "node",
        }
    }
}

/// A virtual environment that is ready.
#[derive(Clone)]
pub(crate) struct Venv(PathBuf);

impl Venv {
    /// A program that is installed in it.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    /// `PATH`, with the programs of this environment before all others.
    pub(crate) fn path(&self) -> OsString {
        prepend_to_path(&self.0.join("bin"))
    }

    /// A file that one of its Python packages brings.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub(crate) fn package_file(&self, path: &str) -> Result<PathBuf> {
        let lib = self.0.join("lib"); // lib/python3.N/site-packages/PATH
        for python in
            fs::read_dir(&lib).with_context(|| format!("cannot read {}", lib.display()))?
        {
            let file = python?.path().join("site-packages").join(path);
            if file.exists() {
                return Ok(file);
            }
        }
        bail!("{path} is not in {}", self.0.display())
    }
}

/// `PATH`, with a folder before all others.
pub(crate) fn prepend_to_path(folder: &Path) -> OsString {
    let others = env::var_os("PATH").unwrap_or_default();
    let all = [folder.to_owned()]
        .into_iter()
        .chain(env::split_paths(&others));
    env::join_paths(all).unwrap_or(others)
}

impl Workspace {
    /// Installs tools, unless an earlier run has.
    ///
    /// # Errors
    ///
    /// When Python is missing, or a package cannot be had.
    pub(crate) fn tools_ready(&self, steps: &Steps, tools: Tools) -> Result<Venv> {
        let name = tools.name();
        let requirements = self.root.join(format!("xtask/requirements-{name}.txt"));
        let venv = Venv(self.tools().join(name));
        let pins = fs::read_to_string(&requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let stamp = stamp(&venv.0, &pins);
        if unready(&venv, &stamp)?.is_none() {
            return Ok(venv);
        }
        steps.run(&format!("installing {name} and what it needs in .venv"), |step| {
            let python = python()?;
            fs::create_dir_all(self.tools())?;
            let lock = File::create(self.tools().join(format!("{name}.lock")))?;
            while let Err(error) = lock.try_lock() {
                if let TryLockError::Error(error) = error {
                    return Err(error).context("cannot lock the environment");
                }
                interrupt::check()?;
                thread::sleep(Duration::from_millis(100));
            }
            let Some(why) = unready(&venv, &stamp)? else {
                return Ok(venv); // another `cargo xtask` made it meanwhile
            };
            if venv.0.exists() {
                steps.say(&format!("  {} is made again: {why}", venv.0.display()));
                fs::remove_dir_all(&venv.0)
                    .with_context(|| format!("cannot remove {}", venv.0.display()))?;
            }
            step.execute(Command::new(python).args(["-m", "venv"]).arg(&venv.0)).advise(INSTALL)?;
            let mut pip = Command::new(venv.program("python"));
            pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "install"]);
            // Python compiles what is used when it is first used; all of it would take longer.
            pip.args(["--no-compile", "--progress-bar", "off", "--requirement"]).arg(&requirements);
            step.execute(&pip).advise(
                "PyPI must be reachable once; behind a proxy or a mirror set PIP_INDEX_URL, HTTPS_PROXY",
            )?;
            fs::write(venv.0.join(STAMP), &stamp).context("cannot write the stamp")?;
            Ok(venv)
        })
    }
}

/// Written into an environment as the last thing: without it, the environment is half-made.
const STAMP: &str = "hermes-stamp";

/// What an environment was made from. Its programs contain its own path.
fn stamp(venv: &Path, pins: &str) -> String {
    format!("{}\n{pins}", venv.display())
}

/// Why an environment cannot be used; `None` if it can.
///
/// # Errors
///
/// When that cannot be found out: it may be good, and is left alone.
fn unready(venv: &Venv, stamp: &str) -> Result<Option<&'static str>> {
    let file = venv.0.join(STAMP);
    let found = match fs::read_to_string(&file) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some("it is half-made")),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    if found != stamp {
        return Ok(Some(
            "other versions are pinned now, or the project was moved",
        ));
    }
    // A link to the machine's Python, which may have gone since.
    let python = venv.program("python").try_exists()?;
    Ok((!python).then_some("its Python is not there any more"))
}

/// A Python of the machine that can make environments: `$PYTHON`, `python3`, or one with a version
/// in its name.
///
/// # Errors
///
/// When there is none; says what was found instead.
pub(crate) fn python() -> Result<OsString> {
    let versioned = (OLDEST.1..=15)
        .rev()
        .map(|minor| OsString::from(format!("python3.{minor}")));
    let mut found = Vec::new();
    for name in env::var_os("PYTHON")
        .into_iter()
        .chain(["python3".into()])
        .chain(versioned)
    {
        match probe(&name) {
            Some(Ok(version)) if version >= OLDEST => return Ok(name),
            Some(Ok((major, minor))) => {
                found.push(format!("{} is {major}.{minor}, too old", name.display()));
            }
            Some(Err(why)) => found.push(format!("{} cannot be used: {why}", name.display())),
            None => {}
        }
    }
    let found = if found.is_empty() {
        "there is none".to_owned()
    } else {
        found.join("; ")
    };
    Err(Failure::new(format!("no Python that can be used: {found}"))
        .advice(INSTALL)
        .into())
}

/// The version of a Python, or why it cannot be used; `None` where there is no such program.
fn probe(python: &OsStr) -> Option<Result<(u32, u32), String>> {
    let probe = Command::new(python)
        .args(["-c", PROBE])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&probe.stderr);
    let version = parse_version(&String::from_utf8_lossy(&probe.stdout));
    Some(version.ok_or_else(|| {
        errors
            .lines()
            .last()
            .unwrap_or("it printed nothing")
            .to_owned()
    }))
}

fn parse_version(printed: &str) -> Option<(u32, u32)> {
    let (major, minor) = printed.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(parse_version("3 9\n"), Some((3, 9)));
        assert!(parse_version("3 9").unwrap() < OLDEST);
        assert!(parse_version("3 11").unwrap() >= OLDEST);
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn a_program_that_is_no_python_is_told_apart_from_one_that_is_not_there() {
        assert!(matches!(probe(OsStr::new("false")), Some(Err(_))));
        assert!(probe(OsStr::new("no-such-python-anywhere")).is_none());
    }

    #[test]
    fn only_the_last_thing_written_makes_an_environment_ready() {
        let folder = env::temp_dir().join(format!("xtask-venv-{}", std::process::id()));
        let venv = Venv(folder.clone());
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::write(venv.program("python"), "").unwrap();
        let made_from = stamp(&folder, "ministack==1");
        assert_eq!(unready(&venv, &made_from).unwrap(), Some("it is half-made"));
        fs::write(folder.join(STAMP), &made_from).unwrap();
        assert_eq!(unready(&venv, &made_from).unwrap(), None);
        for other in [
            stamp(&folder, "ministack==2"),
            stamp(Path::new("/moved"), "ministack==1"),
        ] {
            let why = unready(&venv, &other).unwrap();
            assert!(why.is_some_and(|why| why.contains("pinned")), "{why:?}");
        }
        fs::remove_file(venv.program("python")).unwrap();
        assert!(unready(&venv, &made_from).unwrap().is_some());
        fs::remove_dir_all(folder).unwrap();
    }
}
