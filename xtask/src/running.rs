//! Which `cargo xtask up` runs: it holds a lock on a file and writes its number and port beside it.
//!
//! The lock is the truth: the system lets go of it when its holder ends, however that happens, and a
//! number that was given to another process since is never mistaken for ours.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::interrupt;
use crate::local_aws::Endpoint;
use crate::workspace::Workspace;

/// How often a lock is looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// The right to be the `up` that runs, until it is dropped.
pub(crate) struct Claim {
    state: PathBuf,
    _lock: File,
}

/// An `up` that runs in another process.
#[derive(Debug, PartialEq)]
pub(crate) struct Other {
    /// Its process.
    pub(crate) pid: i32,
    /// Its local AWS.
    pub(crate) endpoint: Endpoint,
    /// The port of its demo page.
    pub(crate) demo_port: u16,
    /// Whether its stack is deployed.
    pub(crate) ready: bool,
}

/// What [`claim`] found.
pub(crate) enum Found {
    /// None runs; from now on it is us.
    Nobody(Claim),
    /// One runs.
    Other(Other),
}

impl Claim {
    /// Writes down where our local AWS and demo page are, and whether the stack is deployed.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn write(&self, endpoint: Endpoint, demo_port: u16, ready: bool) -> Result<()> {
        let state = json!({
            "pid": std::process::id(),
            "port": endpoint.port,
            "demo_port": demo_port,
            "ready": ready,
        });
        // Moved into place, so that nobody reads half of it.
        let new = self.state.with_extension("new");
        fs::write(&new, state.to_string())
            .and_then(|()| fs::rename(&new, &self.state))
            .with_context(|| format!("cannot write {}", self.state.display()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.state);
    }
}

/// Becomes the `up` that runs, or says which one is.
///
/// # Errors
///
/// When the files cannot be read or written.
pub(crate) fn claim(workspace: &Workspace) -> Result<Found> {
    claim_in(&workspace.local("up"))
}

/// The `up` that runs, if one does.
///
/// # Errors
///
/// When the files cannot be read or written.
pub(crate) fn other(workspace: &Workspace) -> Result<Option<Other>> {
    Ok(match claim(workspace)? {
        Found::Nobody(_) => None,
        Found::Other(other) => Some(other),
    })
}

/// Ends the `up` that runs and waits until it is gone; says whether there was one.
///
/// # Errors
///
/// When it does not end.
pub(crate) fn end(workspace: &Workspace, patience: Duration) -> Result<bool> {
    let Some(Other { pid, .. }) = other(workspace)? else {
        return Ok(false);
    };
    let process = Pid::from_raw(pid);
    kill(process, Signal::SIGTERM).with_context(|| format!("cannot end process {pid}"))?;
    if wait_for_end(workspace, pid, patience)? {
        return Ok(true);
    }
    // What it started ends all the same: the pipes that it holds end with it.
    kill(process, Signal::SIGKILL).with_context(|| format!("cannot end process {pid}"))?;
    if wait_for_end(workspace, pid, patience)? {
        return Ok(true);
    }
    bail!("process {pid} does not end")
}

fn wait_for_end(workspace: &Workspace, pid: i32, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        interrupt::check()?;
        if other(workspace)?.is_none_or(|other| other.pid != pid) {
            return Ok(true);
        }
        thread::sleep(GLANCE);
    }
    Ok(false)
}

fn claim_in(folder: &Path) -> Result<Found> {
    /// Between taking the lock and writing the state there is a moment.
    const WRITING: Duration = Duration::from_secs(5);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let state = folder.join("running.json");
    let path = folder.join("running.lock");
    let deadline = Instant::now() + WRITING;
    loop {
        let lock =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => return Ok(Found::Nobody(Claim { state, _lock: lock })),
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock"),
            Err(TryLockError::WouldBlock) => {}
        }
        if let Some(other) = fs::read_to_string(&state).ok().as_deref().and_then(parse) {
            return Ok(Found::Other(other));
        }
        if Instant::now() > deadline {
            bail!(
                "{} is locked, but {} does not say by whom",
                path.display(),
                state.display()
            );
        }
        interrupt::check()?;
        thread::sleep(GLANCE);
    }
}

fn parse(state: &str) -> Option<Other> {
    let state: serde_json::Value = serde_json::from_str(state).ok()?;
    Some(Other {
        pid: state["pid"].as_i64()?.try_into().ok()?,
        endpoint: Endpoint {
            port: state["port"].as_u64()?.try_into().ok()?,
        },
        demo_port: state["demo_port"].as_u64()?.try_into().ok()?,
        ready: state["ready"].as_bool()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_can_run_and_the_others_know_it() {
        let folder = std::env::temp_dir().join(format!("xtask-running-{}", std::process::id()));
        let Found::Nobody(claim) = claim_in(&folder).unwrap() else {
            panic!("nobody runs");
        };
        let endpoint = Endpoint { port: 4566 };
        claim.write(endpoint, 4567, false).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let Found::Other(other) = claim_in(&folder).unwrap() else {
            panic!("one runs");
        };
        assert_eq!(
            other,
            Other {
                pid,
                endpoint,
                demo_port: 4567,
                ready: false
            }
        );
        drop(claim);
        assert!(matches!(claim_in(&folder).unwrap(), Found::Nobody(_)));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_a_killed_one_left_behind_does_not_count() {
        let folder = std::env::temp_dir().join(format!("xtask-killed-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("running.json"),
            r#"{"pid": 1, "port": 4566, "demo_port": 4567, "ready": true}"#,
        )
        .unwrap();
        assert!(matches!(claim_in(&folder).unwrap(), Found::Nobody(_)));
        fs::remove_dir_all(folder).unwrap();
    }
}
