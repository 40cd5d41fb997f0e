//! The programs that the README shows, in each language with its own toolchain: what they mint is what
//! Hermes mints, and what they enqueue arrives.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use authorizer::Authorizer;
use hermes::Message;
use hermes::UserId;
use hermes::claims::{Claims, TokenSigner, TokenVerifier};
use hermes::issue::{Issuer, revoke};
use hermes::memory::MemoryCredentials;
use hermes::ports::Credentials;
use hermes::secret::{JwtSecret, Secret};
use hermes::time::{Clock, SystemClock};
use hermes_tests::handshake::{Handshake, Outcome, decide};
use hermes_tests::socket::{Socket, TokenPlace};
use hermes_tests::stack::{PATIENCE, Room, Stack};
use hermes_tests::toolchains::toolchains;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const JWT_SECRET: &str = "a-secret-of-the-tests-that-has-more-than-sixty-four-bytes-0123456789";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn snippets() -> PathBuf {
    root().join("docs/snippets")
}

/// A program in `language`, to be run as its users run it.
async fn program(language: &str, file: &str) -> Command {
    let toolchains = toolchains().await;
    let mut words = toolchains[language]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap());
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .arg(snippets().join(file))
        .kill_on_drop(true);
    for (name, value) in toolchains["env"][language].as_object().unwrap() {
        command.env(name, value.as_str().unwrap());
    }
    command
}

/// Runs a program to its end; gives what it printed.
async fn run(command: &mut Command, input: &str) -> String {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .await
        .unwrap();
    let ended = timeout(PATIENCE, process.wait_with_output())
        .await
        .expect("the program ends")
        .unwrap();
    let error = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {error}");
    String::from_utf8(ended.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Runs the minting part of a snippet.
async fn mint(language: &str, extension: &str, given: &Value) -> Value {
    let mut command = program(language, &format!("test/run_mint.{extension}")).await;
    serde_json::from_str(&run(&mut command, &given.to_string()).await).unwrap()
}

/// The minting part of a snippet against the rules that the functions have.
async fn mints_what_hermes_mints(language: &str, extension: &str) {
    let secret = JwtSecret::new(Secret::new(JWT_SECRET)).unwrap();
    let generation = "00112233445566778899aabbccddeeff";
    for (user, room, passcode, inner) in [
        (
            "alice",
            "demo",
            "passcode",
            "940b3f7368d2f5e81b1d75bfc3eff15d0efcbc9401c2e25882aab9be43040bf9",
        ),
        // In bytes of UTF-8, not in characters.
        (
            "Łukasz 🦀",
            "комната/β",
            "pässcode",
            "b7d1ed4af11457ff085e3a04b79af75594d29417429b6f838008c1452e52714f",
        ),
    ] {
        let given = json!({
            "user_id": user, "room_id": room, "passcode": passcode, "generation": generation,
            "jwt_secret": JWT_SECRET, "ttl_seconds": 60,
        });
        let now = SystemClock.now();
        let minted = mint(language, extension, &given).await;
        assert_eq!(minted["token"], inner);
        let jwt = minted["jwt"].as_str().unwrap();
        let claims = TokenVerifier::new(&secret).verify(jwt).unwrap();
        let expires_in = claims.expires_at.since(now);
        assert!(
            expires_in > Duration::from_secs(58) && expires_in < Duration::from_secs(60) + PATIENCE
        );
        let expected = Claims {
            user: user.parse().unwrap(),
            room: room.parse().unwrap(),
            token: Secret::new(inner),
            expires_at: claims.expires_at,
        };
        assert_eq!(claims, expected);

        // The row that it writes is good for the authorizer.
        let store = MemoryCredentials::default();
        store.insert(&claims.user, &claims.room, minted["hash"].as_str().unwrap());
        let authorizer = Authorizer::new(TokenVerifier::new(&secret), store);
        for handshake in [
            Handshake::with_query_token(jwt),
            Handshake::with_subprotocol_token(jwt),
        ] {
            assert_eq!(
                decide(&authorizer, handshake.to_event()).await,
                Outcome::Allowed
            );
        }

        // The row that Hermes writes is good for the snippet, which then writes none.
        let store = MemoryCredentials::default();
        let issuer = Issuer::new(&store, TokenSigner::new(&secret), Secret::new(passcode));
        let issued = issuer
            .issue(&claims.user, &claims.room, Duration::from_secs(60), now)
            .await
            .unwrap();
        let row = store
            .find(&claims.user, &claims.room)
            .await
            .unwrap()
            .unwrap();
        let mut given = given.clone();
        given["generation"] = json!(row.generation.unwrap());
        given["stored_hash"] = json!(row.token_hash.unwrap().expose());
        let minted = mint(language, extension, &given).await;
        assert_eq!(minted["is_hash"], true);
        let ours = TokenVerifier::new(&secret)
            .verify(issued.jwt.expose())
            .unwrap();
        assert_eq!(minted["token"], ours.token.expose());
        given["passcode"] = json!("another");
        assert_eq!(mint(language, extension, &given).await["is_hash"], false);
    }
}

#[tokio::test]
async fn ruby_mints_what_hermes_mints() {
    mints_what_hermes_mints("ruby", "rb").await;
}

#[tokio::test]
async fn node_mints_what_hermes_mints() {
    mints_what_hermes_mints("node", "mjs").await;
}

#[tokio::test]
async fn python_mints_what_hermes_mints() {
    mints_what_hermes_mints("python", "py").await;
}

/// What a program that mints is told of the stack.
fn tell(command: &mut Command, stack: &Stack, user: &str, room: &Room<'_>) {
    command.args([user, room.id.as_str()]);
    command.env("CREDENTIALS_TABLE", stack.output("CredentialsTable"));
    command.env("JWT_SECRET_ARN", stack.output("JwtSecretArn"));
    command.env("PASSCODE_SECRET_ARN", stack.output("PasscodeSecretArn"));
}

async fn connect(stack: &Stack, token: &str) -> Result<Socket, u16> {
    stack.connect(TokenPlace::Subprotocol, token).await
}

/// A whole program that mints, beside Hermes's own issuer, on the deployed stack.
async fn admits_users(command: impl AsyncFn() -> Command) {
    let stack = Stack::find().await;
    let room = stack.room();
    let name = "Łukasz 🦀";
    let user: UserId = name.parse().unwrap();
    let mint = async || {
        let mut command = command().await;
        tell(&mut command, &stack, name, &room);
        run(&mut command, "").await
    };
    let row = async || {
        stack
            .credentials()
            .find(&user, &room.id)
            .await
            .unwrap()
            .unwrap()
    };

    let first = mint().await;
    connect(&stack, &first)
        .await
        .expect("a new user")
        .ping()
        .await;
    let written = row().await;
    let second = mint().await;
    connect(&stack, &second).await.expect("a second tab");
    room.token(name).await;
    assert_eq!(
        row().await,
        written,
        "neither it nor Hermes writes where the row admits its token"
    );

    assert!(revoke(&stack.credentials(), &user, &room.id).await.unwrap());
    assert_eq!(connect(&stack, &first).await.err(), Some(403));
    let third = mint().await;
    connect(&stack, &third).await.expect("admitted again");
    assert_eq!(
        connect(&stack, &second).await.err(),
        Some(403),
        "the old one stays revoked"
    );
}

#[tokio::test]
async fn the_ruby_program_admits_users() {
    admits_users(async || program("ruby", "mint.rb").await).await;
}

#[tokio::test]
async fn the_python_program_admits_users() {
    admits_users(async || program("python", "mint.py").await).await;
}

#[tokio::test]
async fn the_node_program_admits_users() {
    admits_users(async || program("node", "mint.mjs").await).await;
}

#[tokio::test]
async fn the_rust_program_admits_users() {
    let hermes = std::env::var_os("HERMES_CLI").expect("HERMES_CLI is set by `cargo xtask test`");
    // `cargo test` builds examples too, beside the programs.
    let example = Path::new(&hermes).with_file_name("examples").join("mint");
    assert!(
        example.exists(),
        "run `cargo build --package hermes-cli --example mint`"
    );
    admits_users(async || {
        let mut command = Command::new(&example);
        command.kill_on_drop(true);
        command
    })
    .await;
}

/// A whole program that enqueues, on the deployed stack.
async fn enqueues(language: &str, file: &str) {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    let data = json!({"type": "greeting", "data": "grüße 🦀"});
    let mut command = program(language, file).await;
    command.args([room.id.as_str(), &data.to_string()]);
    command.env("MESSAGE_QUEUE_URL", stack.output("MessageQueueUrl"));
    run(&mut command, "").await;
    let message = alice.notification().await;
    assert_eq!(message.data(), &data);
    assert_eq!(message.json["user_id"], "system");
    alice.receives_nothing_more("alice").await;
}

#[tokio::test]
async fn what_the_ruby_program_enqueues_arrives() {
    enqueues("ruby", "enqueue.rb").await;
}

#[tokio::test]
async fn what_the_python_program_enqueues_arrives() {
    enqueues("python", "enqueue.py").await;
}

#[tokio::test]
async fn what_the_node_program_enqueues_arrives() {
    enqueues("node", "enqueue.mjs").await;
}

/// Node.js has the WebSocket of browsers, which refuses a server that chose none of the subprotocols
/// offered: the lines that the README has for a browser's console, as they stand there.
#[tokio::test]
async fn the_lines_for_a_browser_show_a_notification() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Connect from a browser\n").unwrap();
    let mut blocks = section
        .split("```js\n")
        .skip(1)
        .map(|block| block.split_once("```").unwrap().0);
    let (connect, send) = (blocks.next().unwrap(), blocks.next().unwrap());

    let stack = Stack::find().await;
    let room = stack.room();
    let mut bob = room.join("bob").await;
    let lines = format!(
        "const WEBSOCKET_URL = {}, TOKEN = {};\n{connect}\nsocket.onopen = () => {{\n{send}\n}};",
        json!(stack.output("WebSocketUrl")),
        json!(room.token("alice").await),
    );
    let toolchains = toolchains().await;
    let mut browser = Command::new(toolchains["node"][0].as_str().unwrap());
    browser
        .arg("--eval")
        .arg(lines)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut browser = browser.spawn().unwrap();
    let mut console = BufReader::new(browser.stdout.take().unwrap()).lines();
    let mut line = async || {
        timeout(PATIENCE, console.next_line())
            .await
            .unwrap()
            .unwrap()
            .expect("a line")
    };

    let sent = bob.notification().await.json;
    assert_eq!(
        (&sent["user_id"], &sent["data"]),
        (&json!("alice"), &json!({"type": "chat", "data": "Hello"}))
    );
    assert_eq!(line().await, "alice: { type: 'chat', data: 'Hello' }");
    room.publish(&json!("from the queue")).await;
    assert_eq!(line().await, "system: from the queue");
    browser.kill().await.unwrap();
}

/// What a program gives SQS, read as Hermes reads it.
async fn enqueues_what_hermes_reads(language: &str, extension: &str) {
    for url in ["https://sqs/1/queue", "https://sqs/1/queue.fifo"] {
        for (room, optional) in [
            (json!("demo"), json!({})),
            (json!(42), json!({"user_id": 7, "id": "m-1", "to": "bob"})),
            // In bytes of UTF-8, not in characters.
            (json!("комната/β"), json!({"user_id": "Łukasz 🦀"})),
        ] {
            let data = json!({"text": "grüße 🦀"});
            let given = json!({"room_id": room, "data": data, "optional": optional});
            let mut command = program(language, &format!("test/run_enqueue.{extension}")).await;
            command.env("MESSAGE_QUEUE_URL", url);
            let sent = run(&mut command, &given.to_string()).await;
            let sent: Value = serde_json::from_str(&sent).unwrap();
            assert_eq!(sent["QueueUrl"], url);
            let body = sent["MessageBody"].as_str().unwrap();
            let message =
                Message::from_queue(body, SystemClock.now(), || panic!("it has an id")).unwrap();
            assert_eq!(
                serde_json::from_str::<Value>(message.data.get()).unwrap(),
                data
            );
            assert_eq!(message.to.is_some(), optional.get("to").is_some());
            if url.ends_with(".fifo") {
                let sequence = message.sequence();
                assert_eq!(sent["MessageGroupId"], sequence.group);
                assert_eq!(sent["MessageDeduplicationId"], sequence.deduplication);
            } else {
                assert_eq!(sent.as_object().unwrap().len(), 2, "{sent}");
            }
        }
    }
}

#[tokio::test]
async fn ruby_enqueues_what_hermes_reads() {
    enqueues_what_hermes_reads("ruby", "rb").await;
}

#[tokio::test]
async fn node_enqueues_what_hermes_reads() {
    enqueues_what_hermes_reads("node", "mjs").await;
}

#[tokio::test]
async fn python_enqueues_what_hermes_reads() {
    enqueues_what_hermes_reads("python", "py").await;
}
