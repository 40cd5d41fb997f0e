//! What an operator does with the `hermes` command, against the deployed stack.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod bench;
mod doctor;
mod history;
mod kick;
mod refusals;
mod rooms;
mod tail;
