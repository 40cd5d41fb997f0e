//! What is wrong before anything is called: exit code 2, and a sentence that says what to do.

use crate::support::{Run, hermes, run};

#[track_caller]
fn refused(arguments: &str, input: &str, says: &[&str]) {
    let Run {
        code,
        stdout,
        stderr,
    } = run(&mut hermes(arguments), input);
    assert_eq!(code, 2, "{arguments}: {stderr}");
    assert_eq!(stdout, "", "{arguments}");
    for part in says {
        assert!(stderr.contains(part), "{arguments}: {stderr}");
    }
}

#[test]
fn ids_and_durations_are_checked() {
    refused("token issue --user alice", "", &["--room <ROOM>"]);
    refused(
        &format!("token issue --room r --user {}", "u".repeat(257)),
        "",
        &["1 to 256 bytes"],
    );
    refused(
        "token issue --room r --user u --ttl 60",
        "",
        &["--ttl", "60"],
    );
    refused(
        "token issue --room r --user u --ttl 0s",
        "",
        &["at least a second"],
    );
    refused("listen --room r", "", &["--user <USER>"]);
    refused("listen --room r --user u --count 0", "", &["--count"]);
    refused(
        "listen --room r --user u --timeout soon",
        "",
        &["--timeout"],
    );
    refused(
        "publish --room r 1 --id ü",
        "",
        &["1 to 128 printable ASCII"],
    );
    refused("completions tcsh", "", &["bash"]);
}

#[test]
fn a_missing_setting_is_named_with_its_variable() {
    for (command, output, variable) in [
        (
            "publish --room r 1",
            "MessageQueueUrl",
            "HERMES_MESSAGE_QUEUE_URL",
        ),
        (
            "token issue --user u --room r",
            "CredentialsTable",
            "HERMES_CREDENTIALS_TABLE",
        ),
        (
            "token revoke --user u --room r",
            "CredentialsTable",
            "HERMES_CREDENTIALS_TABLE",
        ),
        (
            "listen --user u --room r",
            "CredentialsTable",
            "HERMES_CREDENTIALS_TABLE",
        ),
        (
            "dlq list",
            "DeadLetterQueueUrl",
            "HERMES_DEAD_LETTER_QUEUE_URL",
        ),
        (
            "dlq show m --queue deliveries",
            "DeliveryDeadLetterQueueUrl",
            "HERMES_DELIVERY_DEAD_LETTER_QUEUE_URL",
        ),
        (
            "listen --token e30.e30.c2ln",
            "WebSocketUrl",
            "HERMES_WEBSOCKET_URL",
        ),
    ] {
        refused(
            command,
            "",
            &[
                &format!("{output} is not known"),
                variable,
                "--stack or HERMES_STACK",
            ],
        );
    }
}

#[test]
fn dead_letters_are_named_or_all_meant() {
    for command in ["redrive", "purge"] {
        refused(&format!("dlq {command}"), "", &["--all"]);
        refused(&format!("dlq {command} m --all"), "", &["--all"]);
    }
    refused("dlq list --queue rubbish", "", &["messages", "deliveries"]);
    refused("dlq list --limit 0", "", &["--limit"]);
}

#[test]
fn without_a_region_nothing_is_called() {
    refused(
        "--stack hermes-dev publish --room r 1",
        "",
        &["no AWS region", "--region"],
    );
}

#[test]
fn data_that_is_no_json_is_refused_before_anything_is_looked_up() {
    refused(
        "publish --room r hello",
        "",
        &["\"hello\" is no JSON", "--text"],
    );
    refused("publish --room r {", "", &["not JSON"]);
    refused(
        "publish --room r @/nowhere",
        "",
        &["cannot read the file /nowhere"],
    );
    refused(
        "publish --room r @Cargo.toml",
        "",
        &["Cargo.toml: this is not JSON"],
    );
    refused(
        "publish --room r -",
        "1\nhello\n",
        &["nothing was sent", "line 2: "],
    );
    refused("publish --room r -", "\n", &["nothing to send"]);
    refused(
        "publish --room r - --id m",
        "1\n2\n",
        &["--id names one message, and there are 2"],
    );
}

#[test]
fn a_text_that_is_too_large_is_refused() {
    let text = "x".repeat(123_000);
    refused(
        "publish --room r --text -",
        &text,
        &["line 1: the notification would have"],
    );
}

#[test]
fn a_token_that_is_none_needs_no_stack_to_be_refused() {
    let result = run(&mut hermes("token inspect"), "Bearer abc\n");
    assert_eq!(result.code, 1, "{}", result.stderr);
    assert!(result.stdout.contains("✗ shape"), "{}", result.stdout);
    assert!(
        result.stdout.contains("refused with 401"),
        "{}",
        result.stdout
    );

    refused("listen --url ws://127.0.0.1:1", "", &["--room"]);
    let mut listen = hermes("listen --url ws://127.0.0.1:1");
    let result = run(listen.env("HERMES_TOKEN", "s3cret"), "");
    assert_eq!(result.code, 2);
    assert!(result.stderr.contains("three parts"), "{}", result.stderr);
    assert!(!result.stderr.contains("s3cret"), "{}", result.stderr);
}

#[test]
fn a_token_for_somebody_else_is_not_connected_with() {
    // {"user_id":"bob","room_id":42}
    let token = "e30.eyJ1c2VyX2lkIjoiYm9iIiwicm9vbV9pZCI6NDJ9.c2ln";
    refused(
        &format!("listen --user alice --room 42 --token {token}"),
        "",
        &["the token is for bob in 42"],
    );
    let same = run(
        &mut hermes(&format!(
            "listen --user bob --room 42 --token {token} --url ws://127.0.0.1:1"
        )),
        "",
    );
    assert_eq!(same.code, 1);
    assert!(
        same.stderr.contains("cannot reach ws://127.0.0.1:1"),
        "{}",
        same.stderr
    );
}

#[test]
fn help_shows_examples_and_exit_codes_but_no_values_of_variables() {
    let result = run(hermes("listen --help").env("HERMES_TOKEN", "s3cret"), "");
    assert_eq!(result.code, 0);
    assert!(result.stdout.contains("Examples:"));
    assert!(!result.stdout.contains("s3cret"));
    assert!(
        run(&mut hermes("--help"), "")
            .stdout
            .contains("Exit codes:")
    );
    assert!(
        run(&mut hermes("completions bash"), "")
            .stdout
            .contains("hermes")
    );
}
