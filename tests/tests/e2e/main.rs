//! End to end: real sockets and queues, the release functions, IAM enforced. Each test has a room of
//! its own, so that all run at the same time against one stack.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connect;
mod existing;
mod failures;
mod losses;
mod members;
mod messages;
mod permissions;
mod protocol;
mod queue;
mod recovery;
mod server_api;
