//! The ports in memory pass the contract suites. (The ones on AWS: `tests/tests/contract.rs`.)

use hermes::contract;
use hermes::memory::{MemoryConnections, MemoryCredentials, MemoryLog};

#[tokio::test]
async fn connections() {
    contract::connections(&MemoryConnections::default()).await;
}

#[tokio::test]
async fn credentials() {
    contract::credentials(&MemoryCredentials::default()).await;
}

#[tokio::test]
async fn log() {
    contract::log(&MemoryLog::default()).await;
}
