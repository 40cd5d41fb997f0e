//! What the tests across the crates share: a real DynamoDB engine in the process, handshakes, functions as
//! processes, the deployed local stack, the command, other languages, and a simulation of everything.

pub mod command;
pub mod dynamo;
pub mod follower;
pub mod handshake;
pub mod process;
pub mod server_api;
pub mod signed;
pub mod simulation;
pub mod socket;
pub mod stack;
pub mod toolchains;
