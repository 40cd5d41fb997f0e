//! What the tests across the crates share: a real DynamoDB engine in the process, handshakes, the
//! deployed local stack, and a simulation of everything.

pub mod dynamo;
pub mod handshake;
pub mod simulation;
pub mod stack;
