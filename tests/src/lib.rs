//! What the tests across the crates share: a real DynamoDB engine in the process, handshakes, functions as
//! processes, and the deployed local stack.

pub mod dynamo;
pub mod handshake;
pub mod process;
pub mod socket;
pub mod stack;
