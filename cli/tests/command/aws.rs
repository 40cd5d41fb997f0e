//! The commands against a stand-in for AWS: what they call, what they print, and what they say when
//! a call fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Aws, Request, run, run_and};
use serde_json::{Value, json};

const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/1/q";

fn denied(action: &str) -> (u16, String) {
    let message = format!(
        "User: arn:aws:iam::1:user/dev is not authorized to perform: {action} on resource: x"
    );
    (
        400,
        json!({"__type": "AccessDeniedException", "message": message}).to_string(),
    )
}

fn outputs(names: &[(&str, &str)]) -> (u16, String) {
    let outputs: String = names
        .iter()
        .map(|(key, value)| {
            format!(
                "<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            )
        })
        .collect();
    (
        200,
        format!(
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName>\
             <StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-21T00:00:00Z</CreationTime>\
             <Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        ),
    )
}

/// Takes every entry of a batch.
fn accept(request: &Request) -> (u16, String) {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let entries = body["Entries"].as_array().unwrap();
    let successful: Vec<Value> = entries
        .iter()
        .map(|entry| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "d"}))
        .collect();
    (200, json!({"Successful": successful}).to_string())
}

#[test]
fn a_stack_that_is_not_there_is_looked_for_in_a_region() {
    let aws = Aws::start(|_| {
        (
            400,
            "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
               <Message>Stack with id nope does not exist</Message></Error></ErrorResponse>"
                .to_owned(),
        )
    });
    let result = run(&mut aws.hermes("--stack nope publish --room r 1"), "");
    assert_eq!(result.code, 1);
    assert!(
        result
            .stderr
            .contains("there is no stack nope in eu-central-1"),
        "{}",
        result.stderr
    );
    assert!(result.stderr.contains("--region"), "{}", result.stderr);
}

#[test]
fn a_stack_of_something_else_is_told() {
    let aws = Aws::start(|_| outputs(&[("Other", "1")]));
    let result = run(
        aws.hermes("publish --room r 1").env("HERMES_STACK", "s"),
        "",
    );
    assert_eq!(result.code, 1);
    assert!(
        result
            .stderr
            .contains("the stack s has no output MessageQueueUrl"),
        "{}",
        result.stderr
    );
}

#[test]
fn no_answer_from_the_local_stack_says_where_it_was_looked_for() {
    let aws = Aws::start(|_| unreachable!());
    let mut command = aws.hermes("--stack s publish --room r 1");
    let result = run(command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), "");
    assert_eq!(result.code, 1);
    assert!(
        result
            .stderr
            .contains("AWS_ENDPOINT_URL is http://127.0.0.1:1: does the local stack run there?"),
        "{}",
        result.stderr
    );
}

#[test]
fn without_credentials_it_says_how_to_get_some() {
    let aws = Aws::start(|_| unreachable!());
    let mut command = aws.hermes("--stack s publish --room r 1");
    command.env_remove("AWS_ACCESS_KEY_ID");
    let result = run(&mut command, "");
    assert_eq!(result.code, 1);
    assert!(
        result.stderr.contains("no AWS credentials were found"),
        "{}",
        result.stderr
    );
    assert!(result.stderr.contains("aws sso login"), "{}", result.stderr);
}

#[test]
fn a_profile_that_is_named_wins_over_the_environment() {
    let aws = Aws::start(accept);
    let directory = env!("CARGO_TARGET_TMPDIR");
    let file = format!("{directory}/credentials");
    let profile = "[other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = s\n";
    std::fs::write(&file, profile).unwrap();
    for (option, key) in [("", "AKIDEXAMPLE"), ("--profile other", "AKIDOTHER")] {
        let mut command = aws.hermes(&format!("{option} publish --room r 1"));
        command
            .env("AWS_SHARED_CREDENTIALS_FILE", &file)
            .env("HERMES_MESSAGE_QUEUE_URL", QUEUE);
        let result = run(&mut command, "");
        assert_eq!(result.code, 0, "{}", result.stderr);
        assert_eq!(aws.keys().last().unwrap(), key);
    }
    let mut command = aws.hermes("--profile nope publish --room r 1");
    let result = run(command.env("HERMES_MESSAGE_QUEUE_URL", QUEUE), "");
    assert_eq!(result.code, 1);
    assert!(
        result.stderr.contains("no AWS credentials were found"),
        "{}",
        result.stderr
    );
}

#[test]
fn a_denied_call_names_the_action() {
    let aws = Aws::start(|_| denied("dynamodb:GetItem"));
    let mut command = aws.hermes("token issue --user u --room r");
    command
        .env("HERMES_CREDENTIALS_TABLE", "Credentials")
        .env("HERMES_JWT_SECRET", "k".repeat(64))
        .env("HERMES_PASSCODE", "passcode");
    let result = run(&mut command, "");
    assert_eq!(result.code, 1);
    assert_eq!(result.stdout, "");
    assert!(
        result.stderr.contains("reading the credential failed"),
        "{}",
        result.stderr
    );
    assert!(
        result
            .stderr
            .contains("ask for a policy that allows dynamodb:GetItem"),
        "{}",
        result.stderr
    );
}

#[test]
fn the_outputs_of_the_stack_and_its_secrets_are_enough() {
    let aws = Aws::start(|request| match request.operation.as_str() {
        "DescribeStacks" => outputs(&[
            ("CredentialsTable", "Credentials"),
            ("JwtSecretArn", "arn:jwt"),
            ("PasscodeSecretArn", "arn:passcode"),
            ("WebSocketUrl", "wss://x/dev"),
        ]),
        "GetSecretValue" => (200, json!({"SecretString": "k".repeat(64)}).to_string()),
        _ => (200, "{}".to_owned()),
    });
    let command = "--stack s token issue --user alice --room demo --ttl 10m";
    let result = run(&mut aws.hermes(command), "");
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(
        result.stderr, "",
        "nothing but the token where no person reads"
    );
    let token = result.stdout.strip_suffix('\n').unwrap();
    assert_eq!(token.split('.').count(), 3, "the JWT alone: {token}");
    assert_eq!(
        aws.operations(),
        [
            "DescribeStacks",
            "GetSecretValue",
            "GetSecretValue",
            "GetItem",
            "UpdateItem"
        ]
    );

    let result = run(&mut aws.hermes(&format!("{command} --json")), "");
    let document: Value = serde_json::from_str(&result.stdout).unwrap();
    assert_eq!(document["url"], "wss://x/dev");
    assert_eq!(document["renewed"], true);
    assert!(document["expires_at"].as_str().unwrap().ends_with('Z'));

    // The table of this AWS stays empty.
    let result = run(&mut aws.hermes("--stack s token inspect"), token);
    assert_eq!(result.code, 1, "{}", result.stderr);
    for says in [
        "user alice, room demo, expires ",
        "✓ signature",
        "✗ row        the Credentials table has no row for alice in demo",
        "refused with 403",
        "hermes token issue --user alice --room demo",
    ] {
        assert!(result.stdout.contains(says), "{}", result.stdout);
    }
    assert!(!result.stdout.contains(token));
}

#[test]
fn lines_are_sent_in_batches_of_ten_and_what_was_throttled_once_more() {
    let calls = AtomicUsize::new(0);
    let aws = Aws::start(move |request| {
        let has_first = request.body.contains(r#""Id":"0""#);
        if !has_first || calls.fetch_add(1, Ordering::Relaxed) > 0 {
            return accept(request);
        }
        let failed = json!([{"Id": "0", "SenderFault": false, "Code": "InternalError"}]);
        (200, json!({"Successful": [], "Failed": failed}).to_string())
    });
    let lines: String = (1..=23).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    let mut command = aws.hermes("publish --room demo - --user backend --to alice --json");
    let result = run(command.env("HERMES_MESSAGE_QUEUE_URL", QUEUE), &lines);
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(result.stderr, "enqueued 23 messages for demo\n");
    let ids: Vec<Value> = result
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(ids.len(), 23);
    assert_eq!(ids[22]["line"], 23);

    let mut sizes = Vec::new();
    for body in aws.bodies() {
        let request: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(request["QueueUrl"], QUEUE);
        let entries = request["Entries"].as_array().unwrap().clone();
        for entry in &entries {
            let body = entry["MessageBody"].as_str().unwrap();
            let message: Value = serde_json::from_str(body).unwrap();
            assert_eq!(message["room_id"], "demo");
            assert_eq!(message["user_id"], "backend");
            assert_eq!(message["to"], "alice");
            assert!(ids.iter().any(|line| line["id"] == message["id"]));
        }
        sizes.push(entries.len());
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 3, 10, 10]);
}

#[test]
fn what_was_not_sent_is_named() {
    let aws = Aws::start(|request| {
        let failed = json!([{"Id": "1", "SenderFault": true, "Code": "Odd", "Message": "too odd"}]);
        let (status, body) = accept(request);
        let mut body: Value = serde_json::from_str(&body).unwrap();
        body["Failed"] = failed;
        (status, body.to_string())
    });
    let mut command = aws.hermes("publish --room demo -");
    let result = run(command.env("HERMES_MESSAGE_QUEUE_URL", QUEUE), "1\n2\n3\n");
    assert_eq!(result.code, 1);
    assert!(
        result
            .stderr
            .contains("2 of 3 messages enqueued for demo; not these lines: 2"),
        "{}",
        result.stderr
    );
    assert!(result.stderr.contains("too odd (Odd)"), "{}", result.stderr);

    let aws = Aws::start(|_| denied("sqs:sendmessage"));
    let mut command = aws.hermes("publish --room demo 1");
    let result = run(command.env("HERMES_MESSAGE_QUEUE_URL", QUEUE), "");
    assert_eq!(result.code, 1);
    assert!(
        result.stderr.contains("the message was not enqueued"),
        "{}",
        result.stderr
    );
    assert!(
        result.stderr.contains("allows sqs:sendmessage"),
        "{}",
        result.stderr
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_lets_what_is_under_way_end_and_says_what_was_not_sent() {
    let aws = Aws::start(|request| {
        std::thread::sleep(std::time::Duration::from_secs(1));
        accept(request)
    });
    let lines: String = (1..=200).map(|n| format!("{n}\n")).collect();
    let mut command = aws.hermes("publish --room demo -");
    command.env("HERMES_MESSAGE_QUEUE_URL", QUEUE);
    let result = run_and(&mut command, &lines, |id| {
        while aws.operations().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let kill = std::process::Command::new("kill")
            .args(["-INT", &id.to_string()])
            .status();
        assert!(kill.unwrap().success());
    });
    assert_eq!(result.code, 1);
    assert_eq!(
        result.stderr,
        "error: 80 of 200 messages enqueued for demo; not these lines: 81-200\n  interrupted\n"
    );
}

#[test]
fn revoking_closes_the_sockets_and_counts_them() {
    let aws = Aws::start(|request| match request.operation.as_str() {
        "UpdateItem" => (
            200,
            json!({"Attributes": {"token": {"S": "hash"}}}).to_string(),
        ),
        "Query" => {
            let row = |connection: &str| json!({"member": {"S": format!("alice\u{1f}{connection}")}, "expires_at": {"N": "9999999999"}});
            (200, json!({"Items": [row("c1="), row("c2=")]}).to_string())
        }
        path if path.contains("c1") => (204, String::new()),
        _ => (403, json!({"message": "no"}).to_string()),
    });
    let mut command = aws.hermes("token revoke --user alice --room demo --json");
    command
        .env("HERMES_CREDENTIALS_TABLE", "Credentials")
        .env("HERMES_CONNECTIONS_TABLE", "Connections")
        .env(
            "HERMES_CONNECTIONS_ENDPOINT",
            aws.hermes("")
                .get_envs()
                .find_map(|(name, value)| {
                    (name == "AWS_ENDPOINT_URL").then(|| value.unwrap().to_owned())
                })
                .unwrap(),
        );
    let result = run(&mut command, "");
    assert_eq!(result.code, 1, "{}", result.stderr);
    assert_eq!(
        result.stdout,
        "{\"revoked\":true,\"closed\":1,\"failed\":1}\n"
    );
    assert!(
        result.stderr.contains("1 socket could not be closed"),
        "{}",
        result.stderr
    );
    assert_eq!(
        aws.operations()[0],
        "UpdateItem",
        "first the tokens, then the sockets"
    );
}

#[test]
fn to_a_fifo_queue_the_lines_go_in_order_and_nothing_behind_a_refused_one() {
    let fifo = format!("{QUEUE}.fifo");
    let aws = Aws::start(accept);
    let lines: String = (1..=23).map(|n| format!("{n}\n")).collect();
    let mut command = aws.hermes("publish --room demo -");
    let result = run(command.env("HERMES_MESSAGE_QUEUE_URL", &fifo), &lines);
    assert_eq!(result.code, 0, "{}", result.stderr);
    let mut data = Vec::new();
    for body in aws.bodies() {
        let request: Value = serde_json::from_str(&body).unwrap();
        for entry in request["Entries"].as_array().unwrap() {
            let body = entry["MessageBody"].as_str().unwrap();
            let message: Value = serde_json::from_str(body).unwrap();
            data.push(message["data"].as_u64().unwrap());
            let sequence = hermes::message::Sequence::of(
                &"demo".parse().unwrap(),
                &"system".parse().unwrap(),
                &message["id"].as_str().unwrap().parse().unwrap(),
            );
            assert_eq!(entry["MessageGroupId"], sequence.group);
            assert_eq!(entry["MessageDeduplicationId"], sequence.deduplication);
        }
    }
    assert_eq!(data, (1..=23).collect::<Vec<_>>());

    // Even where SQS would take it the next time: it would be behind those of its batch.
    let aws = Aws::start(|request| {
        let (status, body) = accept(request);
        let mut body: Value = serde_json::from_str(&body).unwrap();
        body["Failed"] = json!([{"Id": "4", "SenderFault": false, "Code": "InternalError"}]);
        (status, body.to_string())
    });
    let mut command = aws.hermes("publish --room demo -");
    let result = run(command.env("HERMES_MESSAGE_QUEUE_URL", &fifo), &lines);
    assert_eq!(result.code, 1);
    assert!(
        result
            .stderr
            .contains("9 of 23 messages enqueued for demo; not these lines: 5, 11-23"),
        "{}",
        result.stderr
    );
    assert_eq!(aws.operations().len(), 1);
}
