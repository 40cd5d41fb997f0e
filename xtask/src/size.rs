//! How large a function may be: what is downloaded and mapped at each cold start.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::failure::Failure;

/// The largest bootstrap, stripped, in bytes.
const LARGEST_BYTES: u64 = 5_000_000;

/// That of the server API, which is on no message's way to its members: it has the clients of three services, bcrypt and a
/// router besides what every function has.
const SERVER_API_LARGEST_BYTES: u64 = 5_300_000;

/// Checks every `NAME/bootstrap` in a folder; returns a line for each.
///
/// # Errors
///
/// When one is too large, or there is none.
pub(crate) fn check(build: &Path) -> Result<String> {
    let mut lines = Vec::new();
    let mut too_large = Vec::new();
    let entries =
        fs::read_dir(build).with_context(|| format!("cannot read {}", build.display()))?;
    for entry in entries {
        let entry = entry?;
        let Ok(bootstrap) = fs::metadata(entry.path().join("bootstrap")) else {
            continue;
        };
        let name = entry.file_name().display().to_string();
        let line = format!("  {name:26} {:>10} bytes", bootstrap.len());
        if bootstrap.len() > largest(&name) {
            too_large.push(line.clone());
        }
        lines.push(line);
    }
    lines.sort();
    if lines.is_empty() {
        bail!("no function was built in {}", build.display());
    }
    if too_large.is_empty() {
        return Ok(lines.join("\n"));
    }
    let what = format!(
        "larger than {LARGEST_BYTES} bytes (the server API: {SERVER_API_LARGEST_BYTES}):\n{}",
        too_large.join("\n")
    );
    let advice = "`cargo tree -e normal -p FUNCTION` shows what it depends on";
    Err(Failure::new(what).advice(advice).into())
}

fn largest(name: &str) -> u64 {
    match name {
        "ServerApiFunction" => SERVER_API_LARGEST_BYTES,
        _ => LARGEST_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_limit_is_inclusive_and_no_function_is_a_failure() {
        let build = std::env::temp_dir().join(format!("xtask-size-{}", std::process::id()));
        fs::create_dir_all(build.join("ConnectFunction")).unwrap();
        assert!(check(&build).is_err(), "nothing was built");
        let bootstrap = File::create(build.join("ConnectFunction/bootstrap")).unwrap();
        bootstrap.set_len(LARGEST_BYTES).unwrap();
        assert!(check(&build).unwrap().contains("5000000 bytes"));
        bootstrap.set_len(LARGEST_BYTES + 1).unwrap();
        assert!(
            check(&build)
                .unwrap_err()
                .to_string()
                .contains("ConnectFunction")
        );
        bootstrap.set_len(LARGEST_BYTES).unwrap();
        fs::create_dir_all(build.join("ServerApiFunction")).unwrap();
        let server_api = File::create(build.join("ServerApiFunction/bootstrap")).unwrap();
        server_api.set_len(SERVER_API_LARGEST_BYTES).unwrap();
        assert!(check(&build).is_ok(), "it may be larger");
        server_api.set_len(SERVER_API_LARGEST_BYTES + 1).unwrap();
        assert!(check(&build).is_err());
        fs::remove_dir_all(build).unwrap();
    }
}
