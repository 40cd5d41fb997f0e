//! One of each: a function with two versions of the TLS or HTTP stack, or two cryptography libraries,
//! is larger, starts slower, and has twice as much to keep safe.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// At most one version of each of these.
const ONE_VERSION: [&str; 6] = ["aws-lc-rs", "aws-lc-sys", "h2", "hyper", "rustls", "tokio"];

/// None of these: a second implementation of TLS or of cryptography. aws-lc-rs is the one that the
/// AWS SDK links.
const NEVER: [&str; 8] = [
    "aws-lc-fips-sys",
    "boring",
    "graviola",
    "native-tls",
    "openssl",
    "openssl-sys",
    "ring",
    "rustls-openssl",
];

/// Checks what each function is linked from.
///
/// # Errors
///
/// When one has two of something.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    for function in workspace.functions()? {
        let mut tree =
            workspace.cargo(["tree", "--edges", "normal", "--prefix", "none", "--locked"]);
        tree.args(["--format", "{p}", "--package", &function]);
        let tree = stdout(&mut tree)?;
        wrong.extend(
            faults(&tree)
                .iter()
                .map(|fault| format!("{function}: {fault}")),
        );
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let advice = "`cargo tree -e normal -i CRATE -p FUNCTION` shows where it comes from";
    Err(Failure::new(wrong.join("\n       ")).advice(advice).into())
}

/// What is wrong with a tree: lines of `NAME vVERSION …`.
fn faults(tree: &str) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().insert(version);
        }
    }
    let several = ONE_VERSION.iter().filter_map(|name| {
        let found = versions.get(name).filter(|found| found.len() > 1)?;
        let found: Vec<&str> = found.iter().copied().collect();
        Some(format!("{name} in the versions {}", found.join(" and ")))
    });
    let forbidden = NEVER.iter().filter(|name| versions.contains_key(*name));
    several
        .chain(forbidden.map(|name| format!("{name}, which must not be there")))
        .collect()
}

fn stdout(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_is_used_twice_counts_once() {
        let tree = "connect v0.1.0 (/home/me/hermes)\nrustls v0.23.36\nhyper v1.8.1\nrustls v0.23.36 (*)\n";
        assert_eq!(faults(tree), Vec::<String>::new());
    }

    #[test]
    fn two_versions_and_a_second_library_are_faults() {
        let tree = "rustls v0.23.36\nrustls v0.21.12\nring v0.17.14\n";
        assert_eq!(
            faults(tree),
            [
                "rustls in the versions v0.21.12 and v0.23.36",
                "ring, which must not be there"
            ]
        );
    }
}
