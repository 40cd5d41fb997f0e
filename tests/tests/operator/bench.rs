//! `hermes bench`.

use std::time::Duration;

use hermes_tests::command::{documents, done, ended, failed, hermes, text};
use hermes_tests::stack::Stack;

#[tokio::test]
async fn everything_arrives_once_and_its_latency_is_measured() {
    let stack = Stack::find().await;
    let short = [
        "bench",
        "--clients",
        "6",
        "--rate",
        "20",
        "--duration",
        "1s",
    ];
    let more = ["--rooms", "3", "--json"];
    let [report] = documents(&[&short[..], &more].concat())
        .await
        .try_into()
        .unwrap();
    assert_eq!(report["messages"], 20);
    assert_eq!(
        (&report["expected"], &report["received"]),
        (&40.into(), &40.into())
    );
    for nothing in ["lost", "duplicated", "refused", "broken"] {
        assert_eq!(report[nothing], 0, "{report}");
    }
    let ms = |name: &str| report["latency_ms"][name].as_f64().unwrap();
    assert!(
        0.1 < ms("p50") && ms("p50") <= ms("p99") && ms("p99") <= ms("max"),
        "{report}"
    );
    let room = stack.room_named("hermes-bench-0");
    room.until_members_are(0).await;

    let shown = done(&["bench", "--clients", "1", "--rate", "5", "--duration", "1s"]).await;
    for part in [
        "p99.9",
        "5 of 5 notifications arrived: 0 lost, 0 duplicated",
    ] {
        assert!(shown.contains(part), "{shown}");
    }

    // What a socket misses that breaks on the way is counted, and no success. Who does not want to wait
    // for it until the end interrupts.
    let mut broken = hermes(&[
        "bench",
        "--clients",
        "2",
        "--rate",
        "10",
        "--duration",
        "4s",
        "--drain",
        "10m",
    ]);
    let broken = broken.spawn().unwrap();
    room.until_members_are(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    done(&["kick", "hermes-bench-0", "--user", "hermes-bench"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let id = broken.id().unwrap().to_string();
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(interrupt.unwrap().success());
    let output = ended(broken).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["lost", "2 sockets broke", "interrupted"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn what_costs_more_than_some_cents_has_to_be_agreed_to() {
    let dear = [
        "bench",
        "--clients",
        "1000",
        "--rate",
        "100",
        "--duration",
        "10m",
    ];
    let (code, said) = failed(hermes(&dear)).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("60000000 deliveries, about $") && said.contains("--yes"),
        "{said}"
    );
    let odd = ["bench", "--clients", "2", "--rate", "1", "--rooms", "3"];
    let (code, said) = failed(hermes(&odd)).await;
    assert!(code == 2 && said.contains("more than 2 clients"), "{said}");
    for wrong in [
        ["--clients", "0"],
        ["--rate", "0"],
        ["--duration", "2h"],
        ["--bytes", "7"],
    ] {
        let arguments = [&["bench", "--clients", "1", "--rate", "1"][..], &wrong].concat();
        let (code, _) = failed(hermes(&arguments)).await;
        assert_eq!(code, 2, "{wrong:?}");
    }
}
