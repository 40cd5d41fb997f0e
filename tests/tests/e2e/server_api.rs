//! The server API behind API Gateway: signed requests, real sockets, IAM enforced.

use std::path::Path;
use std::time::Duration;

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hermes_tests::server_api::Backend;
use hermes_tests::socket::TokenPlace;
use hermes_tests::stack::{PATIENCE, Room, Stack};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::permissions::assume;

fn in_path(id: &str) -> String {
    format!("~{}", URL_SAFE_NO_PAD.encode(id))
}

/// A part of the history of a room, once it has so many messages; and where it goes on.
async fn history(
    backend: &Backend,
    room: &Room<'_>,
    query: &str,
    messages: usize,
) -> (Vec<Value>, String) {
    let path = format!("/rooms/{}/messages{query}", room.id);
    let read = async {
        loop {
            let answer = backend.ask("GET", &path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let found = answer.json["messages"].as_array().unwrap();
            if found.len() >= messages {
                let next = answer.json["next"].as_str().unwrap();
                return (found.clone(), next.to_owned());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, read).await.expect("they are in the log")
}

#[tokio::test]
async fn what_a_backend_posts_reaches_the_room_and_its_history_once() {
    let stack = Stack::find().await;
    let room = stack.room();
    let backend = Backend::root(&stack);
    let mut alice = room.join("alice").await;
    let path = format!("/rooms/{}/messages", room.id);
    let message = json!({"data": {"type": "backup.finished"}, "id": "backup-17"});
    let answer = backend.post(&path, &message).await;
    assert_eq!(
        (answer.status, answer.json),
        (202, json!({"ids": ["backup-17"]}))
    );
    let frame = alice.notification().await;
    assert_eq!(frame.json["data"], message["data"]);
    assert_eq!(
        (&frame.json["id"], &frame.json["user_id"]),
        (&json!("backup-17"), &json!("system"))
    );

    // The answer was lost: the backend sends the same again, then a CloudEvent.
    assert_eq!(backend.post(&path, &message).await.status, 202);
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "e-1"),
        ("ce-source", "/billing"),
        ("ce-type", "invoice.paid"),
    ];
    let answer = backend
        .send("POST", &path, &headers, r#"{"total": 7.50}"#)
        .await;
    assert_eq!((answer.status, answer.json), (202, json!({"ids": ["e-1"]})));
    let (messages, next) = history(&backend, &room, "", 2).await;
    let ids: Vec<_> = messages.iter().map(|message| &message["id"]).collect();
    assert_eq!(ids, ["backup-17", "e-1"]);
    assert_eq!(messages[1]["user_id"], "/billing");
    assert_eq!(messages[1]["data"]["type"], "invoice.paid");
    assert_eq!(messages[1]["offset"], 2);

    let answer = backend.post(&path, &json!({"data": 3, "id": "m-3"})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let (since, _) = history(&backend, &room, &format!("?after={next}"), 1).await;
    let [third] = since.as_slice() else {
        panic!("only what was published since: {since:?}");
    };
    assert_eq!((&third["id"], &third["offset"]), (&json!("m-3"), &json!(3)));
}

/// API Gateway decodes paths: whatever is in an id reaches the room in the second form.
#[tokio::test]
async fn an_id_with_any_character_reaches_its_room() {
    let stack = Stack::find().await;
    let backend = Backend::root(&stack);
    let name = format!("{}/ü ?#%2F..", stack.room().id);
    let room = stack.room_named(&name);
    let mut alice = room.join("alice").await;
    let path = format!("/rooms/{}/messages", in_path(&name));
    let answer = backend.post(&path, &json!({"data": "found"})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let frame = alice.notification().await;
    assert_eq!(
        (frame.data(), &frame.json["room_id"]),
        (&json!("found"), &json!(name))
    );
}

#[tokio::test]
async fn members_are_seen_told_and_closed() {
    let stack = Stack::find().await;
    let room = stack.room();
    let backend = Backend::root(&stack);
    let (mut alice, mut bob) = (room.join("alice").await, room.join("bob").await);
    let path = format!("/rooms/{}/members", room.id);
    let answer = backend.ask("GET", &path).await;
    assert_eq!((answer.status, &answer.json["next"]), (200, &Value::Null));
    let [first, second] = answer.json["members"].as_array().unwrap().as_slice() else {
        panic!("two members: {answer:?}");
    };
    assert_eq!(
        (&first["user_id"], &second["user_id"]),
        (&json!("alice"), &json!("bob"))
    );

    let (mut one_by_one, mut after) = (Vec::new(), String::new());
    for _ in 0..2 {
        let answer = backend.ask("GET", &format!("{path}?{after}limit=1")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json["members"].as_array().unwrap();
        assert_eq!(page.len(), 1, "{answer:?}");
        one_by_one.extend(page.clone());
        after = match answer.json["next"].as_str() {
            Some(next) => format!("after={next}&"),
            None => break,
        };
    }
    assert_eq!(one_by_one, [first.clone(), second.clone()]);

    let connection = in_path(first["connection_id"].as_str().unwrap());
    let close = format!("{path}/{connection}?user=alice&reason=maintenance");
    let answer = backend.ask("DELETE", &close).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let told = alice.answer().await;
    assert_eq!(
        told,
        json!({"system": "closing", "data": {"reason": "maintenance"}})
    );
    alice.closed().await;
    room.until_members_are(1).await;
    let answer = backend.ask("DELETE", &close).await;
    assert_eq!(
        (answer.status, &answer.json["code"]),
        (404, &json!("unknown_member"))
    );
    assert_eq!(answer.media_type, "application/problem+json");
    bob.ping().await;
}

#[tokio::test]
async fn a_token_is_issued_and_revoked() {
    let stack = Stack::find().await;
    let room = stack.room();
    let backend = Backend::root(&stack);
    let wanted = json!({"user_id": "alice", "room_id": room.id, "ttl_seconds": 60});
    let answer = backend.post("/tokens", &wanted).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let token = answer.json["token"].as_str().unwrap();
    let mut alice = stack.connect(TokenPlace::Subprotocol, token).await.unwrap();
    alice.ping().await;

    let revoke = format!("/tokens/alice/{}?close=true&reason=banned", room.id);
    let answer = backend.ask("DELETE", &revoke).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json,
        json!({"revoked": true, "closed": 1, "failed": 0})
    );
    assert_eq!(alice.answer().await["data"]["reason"], "banned");
    alice.closed().await;
    assert_eq!(
        stack.connect(TokenPlace::Subprotocol, token).await.err(),
        Some(403)
    );
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let stack = Stack::find().await;
    let backend = Backend::root(&stack);
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/rooms/a%2Fb/members", 404, "not_found"),
        ("PUT", "/tokens", 405, "method_not_allowed"),
        ("GET", "/rooms/demo/members?limit=0", 400, "invalid_request"),
        ("POST", "/tokens", 415, "unsupported_media_type"),
    ] {
        let answer = backend.ask(method, path).await;
        assert_eq!(
            (answer.status, answer.media_type.as_str()),
            (status, "application/problem+json"),
            "{method} {path}"
        );
        assert_eq!(answer.json["code"], code, "{method} {path}");
    }
}

/// Flaw: whoever knows the URL may call it.
#[tokio::test]
async fn only_who_iam_allows_may_call_and_only_what_it_allows() {
    let stack = Stack::find().await;
    let (mine, other) = (stack.room(), stack.room());
    let message = json!({"data": 1});
    let path = |room: &Room<'_>| format!("/rooms/{}/messages", room.id);
    let unknown = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    for nobody in [None, Some(unknown)] {
        let nobody = Backend::with(&stack, nobody);
        for answer in [
            nobody.post(&path(&mine), &message).await,
            nobody.ask("GET", "/nothing").await,
        ] {
            assert_eq!(answer.status, 403, "{answer:?}");
        }
    }

    // A role that may publish to one room.
    let api = stack.output("ServerApiUrl").rsplit('/').next().unwrap();
    let allowed = format!(
        "arn:aws:execute-api:us-east-1:*:{api}/*/POST/rooms/{}/messages",
        mine.id
    );
    let template = json!({
        "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow",
                "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
                "Action": "sts:AssumeRole",
            }]},
            "Policies": [{"PolicyName": "publish", "PolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": allowed},
            ]}}],
        }}},
        "Outputs": {"Role": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
    });
    let role = stack.create(&template).await;
    let backend = Backend::with(&stack, Some(assume(&stack, role.output("Role")).await));
    assert_eq!(backend.post(&path(&mine), &message).await.status, 202);
    for answer in [
        backend.post(&path(&other), &message).await,
        backend.ask("GET", &path(&mine)).await,
        backend
            .post("/tokens", &json!({"user_id": "a", "room_id": mine.id}))
            .await,
    ] {
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    role.delete().await;
}

/// Runs a program of the documentation as its reader would; gives the JSON of each line.
async fn shell(stack: &Stack, room: &Room<'_>, program: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-e", program])
        .env("SERVER_API_URL", stack.output("ServerApiUrl"))
        .env("ROOM", room.id.as_str())
        .envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ])
        .current_dir(root.join("docs/snippets"))
        .kill_on_drop(true);
    let ended = timeout(PATIENCE, shell.output()).await.expect("it ends");
    let ended = ended.unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    let error = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success(),
        "{said} {error}: curl 7.82 or later?"
    );
    let lines = said.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn the_examples_with_curl_do_what_they_say() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    let answers = shell(&stack, &room, "publish.sh").await;
    assert_eq!(answers, [json!({"ids": ["backup-17"]})]);
    let answers = shell(&stack, &room, "server-api.sh").await;
    let [again, batch, structured, binary, _, members, token, revoked] = answers.as_slice() else {
        panic!("eight answers: {answers:?}");
    };
    assert_eq!(again, &json!({"ids": ["backup-17"]}));
    assert_eq!(batch, &json!({"ids": ["a", "b"]}));
    assert_eq!(structured, &json!({"ids": ["invoice-1"]}));
    assert_eq!(binary, &json!({"ids": ["invoice-2"]}));
    assert_eq!(members["members"][0]["user_id"], "alice");
    assert!(token["token"].as_str().unwrap().len() > 100);
    assert_eq!(revoked, &json!({"revoked": true, "closed": 1, "failed": 0}));
    let (messages, _) = history(&Backend::root(&stack), &room, "", 4).await;
    let mut ids: Vec<_> = messages.iter().map(|message| &message["id"]).collect();
    ids.sort_by_key(|id| id.to_string());
    assert_eq!(ids, ["a", "backup-17", "invoice-1", "invoice-2"]);
    assert_eq!(alice.answer().await["data"]["reason"], "banned");
    alice.closed().await;
}

/// Requests made from the OpenAPI document, right and wrong ones: none is answered by a 5xx, and each
/// answer is one that the document has. Each operation but closing succeeds at least once.
#[tokio::test]
async fn fuzzed_against_its_document_it_never_fails() {
    let stack = Stack::find().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut fuzz = Command::new(root.join(".venv/schemathesis/bin/schemathesis"));
    fuzz.arg("--config-file")
        .arg(root.join("tests/fuzz/schemathesis.toml"))
        .arg("run")
        .arg(root.join("docs/openapi.json"))
        .args(["--url", stack.output("ServerApiUrl")])
        .env("SCHEMATHESIS_HOOKS", root.join("tests/fuzz/hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(std::env::temp_dir())
        .kill_on_drop(true);
    let ended = timeout(Duration::from_secs(240), fuzz.output())
        .await
        .expect("it ends")
        .expect("schemathesis: `cargo xtask test` installs it");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}
