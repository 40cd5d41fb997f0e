//! The ports on AWS, and the clients behind them.
//!
//! A function does without the crate `aws-config`: on Lambda the region and the credentials are always
//! environment variables, and looking elsewhere would cost a megabyte and time at every cold start.

mod connections;
mod credentials;
mod http;
pub mod invocation;
mod jobs;
mod log;
mod queue;
mod secrets;
mod signature;
mod sockets;
mod wiring;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_types::SdkConfig;

pub use connections::{DynamoConnections, Scanned};
pub use credentials::DynamoCredentials;
pub use http::Http;
pub use jobs::SqsDeliveryJobs;
pub use log::DynamoLog;
pub use queue::{SqsDeadLetters, SqsQueue};
pub use secrets::{jwt_secret, secret, stored_secret};
pub use sockets::{ApiGatewaySockets, InvalidEndpoint};
pub use wiring::{AwsFanout, fanout, history, sockets};

use crate::config::{ConfigError, Environment};

/// The behaviour that the SDK's defaults are pinned to.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// No call may outlast the function that makes it; the SDK's default is to wait for ever.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(8))
        .build()
}

/// What all clients of a function share, from the variables that Lambda sets.
///
/// # Errors
///
/// [`ConfigError`] names the variable that is missing.
pub fn sdk_config(environment: &Environment) -> Result<SdkConfig, ConfigError> {
    let credentials = Credentials::new(
        environment.required("AWS_ACCESS_KEY_ID")?,
        environment.required("AWS_SECRET_ACCESS_KEY")?,
        environment.optional("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    );
    let timeouts = timeouts();
    let mut config = SdkConfig::builder()
        .behavior_version(behavior_version())
        .http_client(Http::new(timeouts.connect_timeout()))
        .region(Region::new(environment.required("AWS_REGION")?.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(timeouts);
    config.set_endpoint_url(environment.optional("AWS_ENDPOINT_URL").map(str::to_owned));
    Ok(config.build())
}
