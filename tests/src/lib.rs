//! What the tests across the crates share: a real DynamoDB engine in the process, handshakes, and the
//! deployed local stack.

pub mod dynamo;
pub mod handshake;
pub mod socket;
pub mod stack;
