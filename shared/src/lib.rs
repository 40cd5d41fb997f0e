//! Hermes: a backend drops a message on a queue, and every browser in that room has it within a second.
//!
//! This crate holds what the functions share, in three layers whose dependencies point one way:
//!
//! - **rules**, free of any AWS type: [`id`], [`frame`], [`message`], [`session`], [`handshake`],
//!   [`claims`], [`credential`], [`issue`], [`closing`], [`log`], [`fanout`], [`time`];
//! - **ports**, one domain operation each: [`ports`];
//! - **adapters**: `aws` (feature `aws`) and `memory` (feature `memory`, for tests and simulation).
//!
//! Plus what every function does at its start: [`config`] and [`telemetry`].

pub mod claims;
pub mod closing;
pub mod config;
pub mod credential;
pub mod delivery;
pub mod fanout;
pub mod frame;
pub mod handshake;
pub mod id;
pub mod issue;
pub mod log;
pub mod message;
pub mod partition;
pub mod ports;
pub mod publish;
pub mod secret;
pub mod session;
pub mod telemetry;
pub mod time;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "memory")]
pub mod contract;
#[cfg(feature = "memory")]
pub mod memory;

pub use id::{ConnectionId, MessageId, RoomId, UserId};
pub use message::Message;
pub use time::Timestamp;
