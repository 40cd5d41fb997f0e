//! The dead-letter queues, against queues in this process.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::support::{Aws, Request, Run, run};
use serde_json::{Value, json};

const DEAD: &str = "https://sqs.eu-central-1.amazonaws.com/1/hermes-DeadLetterQueue";
const TARGET: &str = "https://sqs.eu-central-1.amazonaws.com/1/hermes-MessageQueue";

/// What is left of SQS: messages that a receive hides.
#[derive(Default)]
struct Queue {
    messages: Vec<Value>,
    hidden: HashSet<String>,
    sent: Vec<Value>,
    /// Bodies that are not taken.
    refuses: String,
}

impl Queue {
    fn answer(&mut self, request: &Request) -> Value {
        let input: Value = serde_json::from_str(&request.body).unwrap();
        let entries = || input["Entries"].as_array().unwrap().clone();
        match request.operation.as_str() {
            "ReceiveMessage" => {
                let hidden = &mut self.hidden;
                let visible = self.messages.iter().filter(|message| {
                    hidden.insert(message["MessageId"].as_str().unwrap().to_owned())
                });
                json!({"Messages": visible.take(2).collect::<Vec<_>>()})
            }
            "ChangeMessageVisibilityBatch" => {
                for entry in entries() {
                    assert_eq!(entry["VisibilityTimeout"], 0);
                    self.hidden.remove(entry["ReceiptHandle"].as_str().unwrap());
                }
                json!({"Successful": [], "Failed": []})
            }
            "DeleteMessageBatch" => {
                for entry in entries() {
                    self.messages
                        .retain(|message| message["ReceiptHandle"] != entry["ReceiptHandle"]);
                }
                json!({"Successful": [], "Failed": []})
            }
            "SendMessageBatch" => {
                let (refused, taken): (Vec<_>, Vec<_>) = entries()
                    .into_iter()
                    .partition(|entry| entry["MessageBody"] == self.refuses.as_str());
                self.sent.extend(taken);
                let failed: Vec<_> = refused
                    .iter()
                    .map(|entry| json!({"Id": entry["Id"], "SenderFault": true, "Code": "Odd"}))
                    .collect();
                json!({"Successful": [], "Failed": failed})
            }
            "GetQueueAttributes" => {
                json!({"Attributes": {"ApproximateNumberOfMessages": self.messages.len().to_string()}})
            }
            "PurgeQueue" => {
                self.messages.clear();
                json!({})
            }
            other => panic!("{other}"),
        }
    }

    fn ids(&self) -> Vec<&str> {
        let ids = self.messages.iter();
        ids.map(|message| message["MessageId"].as_str().unwrap())
            .collect()
    }
}

fn dead(id: &str, body: &str, error: Option<(&str, &str)>) -> Value {
    let text = |value: &str| json!({"DataType": "String", "StringValue": value});
    let attributes: HashMap<&str, Value> = error
        .map(|(code, message)| [("error_code", text(code)), ("error_message", text(message))])
        .into_iter()
        .flatten()
        .collect();
    json!({
        "MessageId": id, "ReceiptHandle": id, "Body": body,
        "Attributes": {"SentTimestamp": "1795300000000"}, "MessageAttributes": attributes,
    })
}

struct Stand {
    aws: Aws,
    queue: Arc<Mutex<Queue>>,
}

impl Stand {
    fn with(messages: impl IntoIterator<Item = Value>) -> Self {
        let queue = Arc::new(Mutex::new(Queue {
            messages: messages.into_iter().collect(),
            ..Queue::default()
        }));
        let answers = Arc::clone(&queue);
        let aws =
            Aws::start(move |request| (200, answers.lock().unwrap().answer(request).to_string()));
        Self { aws, queue }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.aws.hermes(arguments);
        command
            .env("HERMES_DEAD_LETTER_QUEUE_URL", DEAD)
            .env("HERMES_MESSAGE_QUEUE_URL", TARGET);
        command
    }

    fn run(&self, arguments: &str) -> Run {
        run(&mut self.command(arguments), "")
    }

    #[track_caller]
    fn assert_all_visible(&self) {
        let queue = self.queue.lock().unwrap();
        let hidden = queue.ids().into_iter().any(|id| queue.hidden.contains(id));
        assert!(!hidden, "others see them again");
    }
}

const GOOD: &str = r#"{"room_id":"demo","data":1,"id":"m-1"}"#;
const BAD: &str = r#"{"room_id":"demo"}"#;

fn three() -> Stand {
    Stand::with([
        dead("id-1", BAD, Some(("invalid_message", "`data` is missing"))),
        dead("id-2", GOOD, None),
        dead("id-3", r#"{"room_id":"other","data":null}"#, None),
    ])
}

#[test]
fn a_list_shows_why_and_removes_nothing() {
    let stand = three();
    let result = stand.run("dlq list");
    assert_eq!(result.code, 0, "{}", result.stderr);
    for says in [
        "ID ",
        "id-1",
        "invalid_message",
        "`data` is missing",
        "demo",
        "the log of send-message says why",
        r#"{"room_id":"other","data":null}"#,
    ] {
        assert!(result.stdout.contains(says), "{}", result.stdout);
    }
    assert_eq!(result.stdout.lines().count(), 4, "{}", result.stdout);
    assert_eq!(result.stderr, "3 messages in hermes-DeadLetterQueue\n");
    stand.assert_all_visible();

    let result = stand.run("dlq list --json --limit 1");
    let document: Value = serde_json::from_str(&result.stdout).unwrap();
    assert_eq!(
        document,
        json!({"id": "id-1", "sent_at": "2026-11-21T22:26:40.000Z", "error_code": "invalid_message",
               "error_message": "`data` is missing", "room_id": "demo", "body": BAD})
    );
    assert_eq!(
        result.stderr,
        "1 message of about 3 in hermes-DeadLetterQueue; SQS may not show all at once\n"
    );
    stand.assert_all_visible();
    assert_eq!(stand.queue.lock().unwrap().messages.len(), 3);

    let empty = Stand::with([]).run("dlq list");
    assert_eq!((empty.code, empty.stdout.as_str()), (0, ""));
}

#[test]
fn one_message_is_shown_whole() {
    let stand = three();
    let result = stand.run("dlq show id-1");
    assert_eq!(result.code, 0, "{}", result.stderr);
    for says in [
        "error   invalid_message",
        "room    demo",
        &format!("\n\n{BAD}\n"),
    ] {
        assert!(result.stdout.contains(says), "{}", result.stdout);
    }
    stand.assert_all_visible();
    let result = stand.run("dlq show id-9");
    assert_eq!(result.code, 1);
    assert!(
        result.stderr.contains("SQS shows no message id-9"),
        "{}",
        result.stderr
    );
    stand.assert_all_visible();
}

#[test]
fn a_named_message_goes_back_and_the_others_stay() {
    let stand = three();
    let result = stand.run("dlq redrive id-2 id-9");
    assert_eq!(result.code, 1, "one is missing");
    assert_eq!(
        result.stdout,
        "sent 1 message back to hermes-MessageQueue\n"
    );
    assert!(
        result.stderr.contains("no message id-9"),
        "{}",
        result.stderr
    );
    let queue = stand.queue.lock().unwrap();
    assert_eq!(queue.ids(), ["id-1", "id-3"]);
    assert_eq!(queue.sent[0]["MessageBody"], GOOD);
    assert_eq!(queue.sent[0].get("MessageGroupId"), None);
    drop(queue);
    stand.assert_all_visible();
}

#[test]
fn all_go_back_in_order_with_an_id_and_what_was_refused_is_told() {
    let stand = three();
    let result = stand.run("dlq redrive --all --dry-run --json");
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(result.stdout.lines().count(), 3);
    assert_eq!(
        result.stderr,
        "3 messages would be sent back to hermes-MessageQueue\n"
    );
    assert!(stand.queue.lock().unwrap().sent.is_empty());
    stand.assert_all_visible();

    let mut command = stand.command("dlq redrive --all --json");
    let result = run(
        command.env("HERMES_MESSAGE_QUEUE_URL", format!("{TARGET}.fifo")),
        "",
    );
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(result.stdout, "{\"redriven\":3,\"failed\":0}\n");
    assert!(
        result.stderr.contains("1 message had been refused"),
        "{}",
        result.stderr
    );
    let queue = stand.queue.lock().unwrap();
    assert_eq!(queue.ids(), [] as [&str; 0]);
    let bodies: Vec<_> = queue.sent.iter().map(|one| &one["MessageBody"]).collect();
    assert_eq!(
        bodies,
        [BAD, GOOD, r#"{"id":"id-3","room_id":"other","data":null}"#]
    );
    for sent in &queue.sent {
        for id in ["MessageGroupId", "MessageDeduplicationId"] {
            assert_eq!(sent[id].as_str().unwrap().len(), 64, "{sent}");
        }
    }
}

#[test]
fn what_cannot_be_sent_back_stays() {
    let stand = three();
    stand.queue.lock().unwrap().refuses = GOOD.to_owned();
    let result = stand.run("dlq redrive --all");
    assert_eq!(result.code, 1);
    assert!(
        result
            .stderr
            .contains("1 message could not be sent back: Odd"),
        "{}",
        result.stderr
    );
    assert_eq!(stand.queue.lock().unwrap().ids(), ["id-2"]);
    stand.assert_all_visible();
}

/// What is sent back and fails at once is dead again while the command runs.
#[test]
fn what_arrives_meanwhile_is_left_alone() {
    let mut young = dead("id-4", BAD, None);
    young["Attributes"]["SentTimestamp"] = json!("99999999999999");
    let stand = Stand::with([young, dead("id-2", GOOD, None)]);
    let result = stand.run("dlq redrive --all");
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(stand.queue.lock().unwrap().ids(), ["id-4"]);
    stand.assert_all_visible();
}

#[test]
fn deleting_is_never_done_unasked() {
    let stand = three();
    for what in ["id-1", "--all"] {
        let result = stand.run(&format!("dlq purge {what}"));
        assert_eq!(result.code, 2);
        assert!(result.stderr.contains("--yes"), "{}", result.stderr);
    }
    assert_eq!(stand.queue.lock().unwrap().messages.len(), 3);

    let result = stand.run("dlq purge id-3 id-1 --yes");
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(
        result.stdout,
        "deleted 2 messages in hermes-DeadLetterQueue\n"
    );
    assert_eq!(stand.queue.lock().unwrap().ids(), ["id-2"]);
    stand.assert_all_visible();

    let result = stand.run("dlq purge --all --yes");
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(result.stdout, "SQS empties hermes-DeadLetterQueue\n");
    assert!(stand.queue.lock().unwrap().messages.is_empty());
}

#[test]
fn delivery_jobs_have_their_own_queues() {
    let job = r#"{"room_id":"demo","shard":0,"frame":{}}"#;
    let stand = Stand::with([dead("id-1", job, None)]);
    let mut command = stand.aws.hermes("dlq redrive --queue deliveries --all");
    command
        .env("HERMES_DELIVERY_DEAD_LETTER_QUEUE_URL", DEAD)
        .env("HERMES_DELIVERY_QUEUE_URL", TARGET);
    let result = run(&mut command, "");
    assert_eq!(result.code, 0, "{}", result.stderr);
    assert_eq!(stand.queue.lock().unwrap().sent[0]["MessageBody"], job);
}
