//! The server API on ports in memory: what each request is answered, and what came of it.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod cloud_events;
mod document;
mod events;
mod history;
mod members;
mod messages;
mod support;
mod tokens;
