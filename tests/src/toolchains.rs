//! Python, Node.js and Ruby, for the programs that are not in Rust.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The command that runs a program of each language, and under `env` what to set for it: from
/// `HERMES_SNIPPET_TOOLCHAINS` or, where it is not set, from the program that makes it.
///
/// # Panics
///
/// When they cannot be prepared.
pub async fn toolchains() -> &'static Value {
    static TOOLCHAINS: OnceCell<Value> = OnceCell::const_new();
    TOOLCHAINS
        .get_or_init(async || {
            if let Ok(json) = std::env::var("HERMES_SNIPPET_TOOLCHAINS") {
                return serde_json::from_str(&json).expect("JSON");
            }
            let mut prepare = Command::new("python3");
            prepare
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/snippet_toolchains.py"))
                .stderr(Stdio::inherit());
            let prepared = prepare.output().await.expect("python3 starts");
            assert!(
                prepared.status.success(),
                "the toolchains cannot be prepared"
            );
            let text = String::from_utf8_lossy(&prepared.stdout);
            serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
        })
        .await
}
