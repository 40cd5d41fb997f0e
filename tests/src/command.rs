//! The `hermes` command, run against the deployed stack, which it finds by its name (`HERMES_STACK`).

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::stack::PATIENCE;

/// The command with these arguments.
///
/// # Panics
///
/// Saying what to do, where `HERMES_CLI` is not set.
pub fn hermes(arguments: &[&str]) -> Command {
    let program = std::env::var_os("HERMES_CLI")
        .expect("HERMES_CLI is not set. Run `cargo xtask test`; or build `hermes` and set it to target/debug/hermes");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env(
        "HERMES_STACK",
        std::env::var("HERMES_STACK").unwrap_or_else(|_| "hermes-local".to_owned()),
    );
    command
}

/// Waits until it has ended.
pub async fn ended(process: Child) -> Output {
    timeout(PATIENCE, process.wait_with_output())
        .await
        .expect("it ends")
        .expect("its output is read")
}

/// What it wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs it with this input; it succeeds; what it printed.
pub async fn done_with(arguments: &[&str], input: &str) -> String {
    let mut process = hermes(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = process.stdin.take().expect("a pipe");
    stdin
        .write_all(input.as_bytes())
        .await
        .expect("it reads its input");
    drop(stdin);
    let output = ended(process).await;
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs it; it succeeds; what it printed.
pub async fn done(arguments: &[&str]) -> String {
    done_with(arguments, "").await
}

/// Runs it; it succeeds; what it printed as JSON, a document a line.
pub async fn documents(arguments: &[&str]) -> Vec<Value> {
    let printed = done(arguments).await;
    let lines = printed.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Runs it; it fails; its exit code and what it said.
pub async fn failed(mut command: Command) -> (i32, String) {
    let output = ended(command.spawn().expect("it starts")).await;
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    for internal in ["SdkError", "panicked", "ServiceError", ".rs:"] {
        assert!(!said.contains(internal), "{said}");
    }
    (output.status.code().expect("no signal"), said)
}
