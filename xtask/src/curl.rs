//! The curl that runs the examples of the server API: the machine's own, or one that `apt-get` installs now.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::failure::Failure;
use crate::step::Step;

/// The first that has `--json`, and signs (`--aws-sigv4`, since 7.75).
const OLDEST: (u32, u32) = (7, 82);

/// Finds it, or installs it.
///
/// # Errors
///
/// When it is missing or too old, and cannot be installed.
pub(crate) fn ready(step: &Step<'_>) -> Result<()> {
    if is_new_enough() {
        return Ok(());
    }
    for arguments in [
        "update --quiet",
        "install --quiet --yes --no-install-recommends curl",
    ] {
        // What keeps it from installing is in the log; what counts is whether there is one then.
        let _ = step.execute(Command::new("apt-get").args(arguments.split(' ')));
    }
    if is_new_enough() {
        return Ok(());
    }
    let (major, minor) = OLDEST;
    let missing = format!("there is no curl {major}.{minor} or later, and none could be installed");
    let advice = "install one (Debian, Ubuntu: apt-get install curl): the examples with curl are run by the tests";
    Err(Failure::new(missing).advice(advice).into())
}

fn is_new_enough() -> bool {
    let asked = Command::new("curl")
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    asked.is_ok_and(|told| {
        version(&String::from_utf8_lossy(&told.stdout)).is_some_and(|found| found >= OLDEST)
    })
}

/// Of `curl 7.88.1 (x86_64-pc-linux-gnu) …`.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.strip_prefix("curl ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read() {
        assert_eq!(
            version("curl 7.88.1 (x86_64) libcurl/7.88.1"),
            Some((7, 88))
        );
        assert_eq!(version("curl 8.10.0-DEV (aarch64)"), Some((8, 10)));
        assert!(version("curl 7.81.0 (x86_64)").unwrap() < OLDEST);
        assert_eq!(version("sh: curl: not found"), None);
    }
}
