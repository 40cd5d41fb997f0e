//! The operator's commands against a stand-in for AWS: what they do where they may not look, and what they
//! say of what only AWS has.

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::support::{Aws, Request, Run, run};

/// The names of the settings, as the variables and as the outputs have them.
const SETTINGS: [(&str, &str); 10] = [
    ("MESSAGE_QUEUE_URL", "MessageQueueUrl"),
    ("DEAD_LETTER_QUEUE_URL", "DeadLetterQueueUrl"),
    ("DELIVERY_QUEUE_URL", "DeliveryQueueUrl"),
    (
        "DELIVERY_DEAD_LETTER_QUEUE_URL",
        "DeliveryDeadLetterQueueUrl",
    ),
    ("CONNECTIONS_TABLE", "ConnectionsTable"),
    ("CREDENTIALS_TABLE", "CredentialsTable"),
    ("STREAMS_TABLE", "StreamsTable"),
    ("JWT_SECRET_ARN", "JwtSecretArn"),
    ("PASSCODE_SECRET_ARN", "PasscodeSecretArn"),
    ("CONNECTIONS_ENDPOINT", "ConnectionsEndpoint"),
];

fn described(status: &str, outputs: &[&str]) -> String {
    let outputs: String = outputs
        .iter()
        .map(|name| {
            format!("<member><OutputKey>{name}</OutputKey><OutputValue>x</OutputValue></member>")
        })
        .collect();
    format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName>\
         <StackStatus>{status}</StackStatus><CreationTime>2026-11-21T00:00:00Z</CreationTime>\
         <Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )
}

fn resources(resources: &[(&str, &str, &str)]) -> String {
    let members: String = resources
        .iter()
        .map(|(logical, physical, kind)| {
            format!(
                "<member><LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{physical}\
                 </PhysicalResourceId><ResourceType>{kind}</ResourceType><ResourceStatus>CREATE_COMPLETE\
                 </ResourceStatus><LastUpdatedTimestamp>2026-11-21T00:00:00Z</LastUpdatedTimestamp></member>"
            )
        })
        .collect();
    format!(
        "<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries>{members}\
         </StackResourceSummaries></ListStackResourcesResult></ListStackResourcesResponse>"
    )
}

fn denied(request: &Request) -> (u16, String) {
    let message = format!(
        "User: arn:aws:iam::1:user/dev is not authorized to perform: x:{} on resource: y",
        request.operation
    );
    let error = json!({"__type": "AccessDeniedException", "message": message});
    (403, error.to_string())
}

/// One of each of what is looked at.
const RESOURCES: [(&str, &str, &str); 4] = [
    ("DeliverFunction", "s-deliver", "AWS::Lambda::Function"),
    ("Jobs", "id-1", "AWS::Lambda::EventSourceMapping"),
    ("Messages", "id-2", "AWS::Lambda::EventSourceMapping"),
    ("Alarm", "s-Alarm", "AWS::CloudWatch::Alarm"),
];

/// A stack with these, whose last deployment was rolled back.
fn stack(answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static) -> Aws {
    Aws::start(move |request| match request.operation.as_str() {
        "DescribeStacks" => (200, described("UPDATE_ROLLBACK_COMPLETE", &[])),
        "ListStackResources" => (200, resources(&RESOURCES)),
        _ => answer(request),
    })
}

fn examined(aws: &Aws, options: &str) -> (i32, Vec<Value>) {
    let mut command = aws.hermes(&format!("doctor --stack s --json {options}"));
    for (name, _) in SETTINGS {
        command.env(format!("HERMES_{name}"), format!("https://x/{name}"));
    }
    command.env("HERMES_CONNECTIONS_ENDPOINT", "http://127.0.0.1:1/dev");
    let result = run(&mut command, "");
    let mut document: Value = serde_json::from_str(&result.stdout).expect("JSON");
    let Value::Array(checks) = document["checks"].take() else {
        panic!("{}", result.stdout)
    };
    (result.code, checks)
}

#[track_caller]
fn finds(checks: &[Value], outcome: &str, check: &str, parts: &[&str]) {
    let found = checks.iter().any(|one| {
        let text = format!("{} {}", one["says"], one["hint"]);
        one["outcome"] == outcome && one["check"] == check && parts.iter().all(|p| text.contains(p))
    });
    assert!(found, "{outcome} {check} {parts:?} in {checks:#?}");
}

#[test]
fn what_may_not_be_looked_at_is_a_warning_that_names_the_action() {
    let aws = stack(denied);
    let (code, checks) = examined(&aws, "--no-round-trip");
    for check in [
        "tables",
        "functions",
        "triggers",
        "queues",
        "dead letters",
        "alarms",
    ] {
        finds(&checks, "warn", check, &["ask for a policy that allows x:"]);
    }
    finds(
        &checks,
        "warn",
        "permissions",
        &["you cannot see members", "x:Query"],
    );
    // The outputs are missing, and a rolled back deployment is in place.
    finds(&checks, "fail", "stack", &["no output WebSocketUrl"]);
    finds(&checks, "warn", "stack", &["UPDATE_ROLLBACK_COMPLETE"]);
    assert_eq!(code, 1);

    let rooms = run(aws.hermes("rooms").env("HERMES_CONNECTIONS_TABLE", "c"), "");
    assert_eq!(rooms.code, 1);
    assert!(
        rooms.stderr.contains("policy that allows x:Scan"),
        "{}",
        rooms.stderr
    );
    let tail = run(&mut aws.hermes("tail --stack s"), "");
    assert_eq!(tail.code, 1);
    let says = "policy that allows x:FilterLogEvents";
    assert!(tail.stderr.contains(says), "{}", tail.stderr);
}

/// A complete stack, which an operator cannot look into and send nothing through.
#[test]
fn for_an_operator_without_permissions_nothing_fails() {
    let aws = Aws::start(|request| match request.operation.as_str() {
        "DescribeStacks" => {
            let mut outputs = vec!["WebSocketUrl", "ServerApiUrl"];
            outputs.extend(SETTINGS.map(|(_, output)| output));
            (200, described("CREATE_COMPLETE", &outputs))
        }
        "ListStackResources" => (200, resources(&RESOURCES)),
        _ => denied(request),
    });
    let (code, checks) = examined(&aws, "");
    let policy = ["ask for a policy that allows x:GetSecretValue"];
    finds(&checks, "warn", "secrets", &policy);
    finds(&checks, "warn", "round trip", &policy);
    let failed = checks.iter().find(|check| check["outcome"] == "fail");
    assert_eq!((code, failed), (3, None));
}

#[test]
fn what_only_aws_says_of_functions_queues_and_alarms_is_understood() {
    let aws = stack(|request| {
        let answer = match request.operation.as_str() {
            operation if operation.contains("/configuration") => json!({
                "State": "Failed", "StateReason": "no image", "LastUpdateStatus": "Successful",
            }),
            operation if operation.contains("id-1") => json!({
                "State": "Enabled", "EventSourceArn": "arn:aws:sqs:r:1:jobs", "FunctionArn": "arn:x:s-deliver",
                "LastProcessingResult": "PROBLEM: Function call failed",
            }),
            operation if operation.contains("id-2") => json!({
                "State": "Disabled", "EventSourceArn": "arn:aws:sqs:r:1:messages", "FunctionArn": "arn:x:s-send",
            }),
            "DescribeAlarms" => json!({"MetricAlarms": [
                {"AlarmName": "s-Alarm", "StateValue": "ALARM", "AlarmDescription": "look at the log"},
            ]}),
            "GetQueueAttributes" => json!({"Attributes": {
                "ApproximateNumberOfMessages": "7", "RedrivePolicy": "{}",
            }}),
            "GetMetricStatistics" => json!({"Datapoints": [
                {"Timestamp": 2.0, "Maximum": 301.0, "Unit": "Seconds"},
                {"Timestamp": 1.0, "Maximum": 1.0, "Unit": "Seconds"},
            ]}),
            "DescribeTable" => json!({"Table": {"TableStatus": "DELETING"}}),
            _ => return denied(request),
        };
        (200, answer.to_string())
    });
    let (code, checks) = examined(&aws, "--no-round-trip");
    finds(
        &checks,
        "fail",
        "functions",
        &["s-deliver is Failed", "no image"],
    );
    finds(
        &checks,
        "warn",
        "triggers",
        &["jobs starts s-deliver, but: PROBLEM"],
    );
    finds(
        &checks,
        "fail",
        "triggers",
        &["messages does not start s-send", "--uuid id-2"],
    );
    finds(
        &checks,
        "warn",
        "alarms",
        &["s-Alarm rings", "look at the log"],
    );
    finds(
        &checks,
        "warn",
        "queues",
        &["7 waiting", "the oldest for 301 s", "send-message"],
    );
    finds(
        &checks,
        "warn",
        "dead letters",
        &["about 7 messages", "--queue deliveries"],
    );
    finds(&checks, "fail", "tables", &["ConnectionsTable", "DELETING"]);
    assert_eq!(code, 1);
}

#[test]
fn a_call_that_is_throttled_is_made_again() {
    use std::sync::atomic::AtomicUsize;
    let calls = AtomicUsize::new(0);
    let aws = stack(move |_| {
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            let error = json!({"__type": "ThrottlingException", "message": "slow down"});
            return (400, error.to_string());
        }
        let message = json!({"level": "INFO", "message": "delivered m-1", "room_id": "demo"});
        let event = json!({"eventId": "1", "timestamp": 1_795_255_200_000_u64, "message": message.to_string()});
        (200, json!({"events": [event]}).to_string())
    });
    let tail = run(
        &mut aws.hermes("tail --stack s --since 5m --count 1 --json"),
        "",
    );
    assert_eq!(tail.code, 0, "{}", tail.stderr);
    let shown: Value = serde_json::from_str(&tail.stdout).unwrap();
    assert_eq!(
        (&shown["function"], &shown["room_id"]),
        (&json!("deliver"), &json!("demo"))
    );
    let logs: Value = serde_json::from_str(aws.bodies().last().unwrap()).unwrap();
    assert_eq!(logs["logGroupName"], "/aws/lambda/s-deliver");
}

/// A room with sockets of alice, by id and age in seconds. `closes` answers the nth attempt to close one.
fn room(
    sockets: &[(&'static str, u64)],
    closes: impl Fn(&str, usize) -> u16 + Send + Sync + 'static,
) -> Aws {
    let sockets: Vec<_> = sockets.iter().map(|(id, age)| (*id, *age, 0)).collect();
    let rows = Mutex::new(sockets);
    Aws::start(move |request| {
        let mut rows = rows.lock().unwrap();
        let (method, path) = request.operation.split_once(' ').unwrap_or_default();
        let closed = path.strip_prefix("/dev/@connections/").unwrap_or_default();
        match (method, request.operation.as_str()) {
            ("POST", _) => (410, String::new()),
            ("DELETE", _) => {
                let row = rows.iter_mut().find(|(id, ..)| *id == closed);
                let (id, _, attempts) = row.expect("it is there");
                *attempts += 1;
                let status = closes(id, *attempts);
                rows.retain(|(id, ..)| !(*id == closed && status == 204));
                (status, String::new())
            }
            (_, "Query") => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                let items = rows.iter().map(|(id, age, _)| {
                    let expires_at = (now.as_secs() + 7500 - age).to_string();
                    json!({"member": {"S": format!("alice\u{1f}{id}")}, "expires_at": {"N": expires_at}})
                });
                (200, json!({"Items": items.collect::<Vec<_>>()}).to_string())
            }
            (_, "DeleteItem") => {
                let body: Value = serde_json::from_str(&request.body).expect("JSON");
                let key = body["Key"]["member"]["S"].as_str().expect("a key");
                rows.retain(|(id, ..)| key != format!("alice\u{1f}{id}"));
                (200, "{}".to_owned())
            }
            _ => denied(request),
        }
    })
}

fn kicked(aws: &Aws) -> (Run, Vec<String>) {
    let mut command = aws.hermes("kick demo --user alice --json");
    command
        .env("HERMES_CONNECTIONS_TABLE", "c")
        .env("HERMES_CONNECTIONS_ENDPOINT", format!("{}/dev", aws.url()));
    let result = run(&mut command, "");
    let mut operations = aws.operations();
    operations.retain(|one| one.starts_with("DELETE ") || one == "DeleteItem");
    (result, operations)
}

#[test]
fn a_socket_that_cannot_be_closed_leaves_none_of_the_others_open() {
    const IDS: [&str; 20] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r",
        "s", "t",
    ];
    let aws = room(
        &IDS.map(|id| (id, 100)),
        |id, _| {
            if id == "a" { 403 } else { 204 }
        },
    );
    let (result, removed) = kicked(&aws);
    assert_eq!(
        (result.code, result.stdout.trim()),
        (1, r#"{"closed":19,"failed":1}"#)
    );
    let says = "closed 19 of 20 sockets: closing the connection failed";
    assert!(result.stderr.contains(says), "{}", result.stderr);
    assert_eq!(removed.len(), 20, "its row stays: {removed:?}");
}

/// Until its handshake has ended, a socket answers like a closed one.
#[test]
fn a_socket_that_opens_meanwhile_is_closed_all_the_same() {
    let aws = room(
        &[("a", 1)],
        |_, attempt| if attempt < 3 { 410 } else { 204 },
    );
    let (result, removed) = kicked(&aws);
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(removed, ["DELETE /dev/@connections/a"; 3]);
}

#[test]
fn the_row_of_a_socket_that_may_still_open_is_kept() {
    let aws = room(&[("young", 1), ("old", 100)], |_, _| 410);
    let (result, removed) = kicked(&aws);
    assert_eq!(
        (result.code, result.stdout.trim()),
        (1, r#"{"closed":1,"failed":1}"#)
    );
    for says in ["handshake may be under way", "removed 1 row", "in a minute"] {
        assert!(result.stderr.contains(says), "{}", result.stderr);
    }
    let rows = removed.iter().filter(|one| *one == "DeleteItem");
    assert_eq!(rows.count(), 1, "{removed:?}");
}

/// What is published while the last messages are read is neither among them nor forgotten.
#[tokio::test]
async fn following_an_empty_room_misses_nothing() {
    const KEY: &str = "me\u{1f}0000000000000001";
    let published = AtomicBool::new(false);
    let aws = Aws::start(move |request| {
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        let is_published = published.load(Ordering::Relaxed);
        let at = json!({"epoch": {"S": "e"}, "expires_at": {"N": "9999999999"}});
        let with = |more: Value| {
            let mut row = at.clone();
            row.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            row
        };
        let answer = match request.operation.as_str() {
            "GetItem" if is_published => {
                json!({"Item": with(json!({"entry": {"S": "~"}, "offset": {"N": "1"}}))})
            }
            "GetItem" => json!({}),
            // The last ones are read; then somebody publishes.
            "Query" if body["ScanIndexForward"] == false => {
                published.store(true, Ordering::Relaxed);
                json!({"Items": []})
            }
            "Query" => {
                let from = body["ExpressionAttributeValues"][":from"]["S"]
                    .as_str()
                    .unwrap();
                let frame = json!({"S": r#"{"user_id":"bob","data":1}"#});
                let message =
                    json!({"entry": {"S": KEY}, "notification": frame, "appended_at": {"N": "1"}});
                let found = (is_published && from <= KEY).then(|| with(message));
                json!({"Items": found.as_slice()})
            }
            _ => return denied(request),
        };
        (200, answer.to_string())
    });
    let mut command = aws.hermes("history demo --follow --json");
    command
        .env("HERMES_STREAMS_TABLE", "s")
        .stdout(Stdio::piped());
    let mut process = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let shown = timeout(Duration::from_secs(10), lines.next_line()).await;
    let shown = shown.expect("it is shown").unwrap().unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["data"], &shown["offset"]), (&json!(1), &json!(1)));
}
