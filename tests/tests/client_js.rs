//! The client in JavaScript on stacks that `clients/js/test/stack` cannot deploy.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;

use hermes_tests::stack::Stack;
use hermes_tests::toolchains::toolchains;
use tokio::process::Command;

#[tokio::test]
async fn it_works_where_no_history_is_kept() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/js");
    assert!(
        client.join("node_modules").exists(),
        "clients/js is not installed: run `cargo xtask test`, or `npm ci` there"
    );
    let shared = Stack::find().await;
    let stack = shared.deploy_another(&[("HistoryDays", "0")], |_| ()).await;
    let mut node = Command::new(toolchains().await["node"][0].as_str().unwrap());
    node.args(["--test", "test/no-history/no-history.test.ts"])
        .current_dir(client)
        .env("HERMES_STACK", &stack.name)
        .kill_on_drop(true);
    let tested = node.output().await.unwrap();
    let report = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{report}");
    assert!(report.contains("\nℹ pass 2\n"), "{report}");
    stack.delete().await;
}
