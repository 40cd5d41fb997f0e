//! What a post costs: posts to a server in another process, for a profiler to count.
//!
//!     cargo build --release -p hermes --features aws --example posts
//!     target/release/examples/posts serve 7001 &
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!         target/release/examples/posts http://127.0.0.1:7001/dev 1000
//!
//! The difference between two runs, divided by that of their numbers, is free of the start.

use std::env::args;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::{StreamExt, stream};
use hermes::ConnectionId;
use hermes::aws::{ApiGatewaySockets, sdk_config};
use hermes::config::Environment;
use hermes::ports::Sockets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Posts under way at once, as in a function.
const CONCURRENCY: usize = 64;

/// A frame's length in bytes: a short notification.
const FRAME: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", port] => serve(port.parse().expect("a port")).await,
        [endpoint, posts] => post(endpoint, posts.parse().expect("a number")).await,
        _ => panic!("posts serve PORT, or posts ENDPOINT NUMBER"),
    }
}

async fn post(endpoint: &str, posts: usize) {
    let environment = Environment::from([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        ),
    ]);
    let config = sdk_config(&environment).expect("a configuration");
    // A role's session token, which is signed too, has about this length.
    let credentials = Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        Some("t".repeat(1000)),
        None,
        "example",
    );
    let config = config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let sockets = ApiGatewaySockets::new(&config, endpoint).expect("an endpoint");
    let frame = "x".repeat(FRAME);
    stream::iter(0..posts)
        .map(async |i| {
            let connection: ConnectionId = format!("L0SM9cOF{i:06}=").parse().expect("an id");
            sockets.post(&connection, &frame).await.expect("a post");
        })
        .buffer_unordered(CONCURRENCY)
        .collect::<()>()
        .await;
}

/// Answers 200 to each request that has a body of `FRAME` bytes.
async fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .expect("a port");
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        tokio::spawn(answer(socket));
    }
}

async fn answer(mut socket: TcpStream) {
    let mut request = Vec::new();
    while let Ok(1..) = socket.read_buf(&mut request).await {
        let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if end.is_some_and(|end| request.len() >= end + 4 + FRAME) {
            request.clear();
            let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            if socket.write_all(ok).await.is_err() {
                return;
            }
        }
    }
}
