//! The `hermes` binary as a user meets it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arguments;
mod aws;
mod cost;
mod dlq;
mod listen;
mod operator;
mod support;
