//! The ports on AWS pass the contract suites, against a real DynamoDB engine. (The ones in memory:
//! `shared/tests/memory_contract.rs`.)

use hermes::contract;
use hermes_tests::dynamo::Dynamo;

#[tokio::test]
async fn connections() {
    contract::connections(&Dynamo::start().await.connections()).await;
}

#[tokio::test]
async fn credentials() {
    contract::credentials(&Dynamo::start().await.credentials()).await;
}

#[tokio::test]
async fn log() {
    contract::log(&Dynamo::start().await.log()).await;
}
