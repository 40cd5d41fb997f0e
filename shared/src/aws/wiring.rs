//! What more than one function is made of, from the variables that the template sets.

use std::num::NonZeroUsize;
use std::time::Duration;

use aws_types::SdkConfig;

use super::{ApiGatewaySockets, DynamoConnections, DynamoLog, SqsDeliveryJobs};
use crate::config::{ConfigError, Environment};
use crate::fanout::{Fanout, MEMBERS_PER_JOB};
use crate::log::History;
use crate::time::SystemClock;

/// How many posts are under way at once where `FANOUT_CONCURRENCY` does not say.
const FANOUT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// The fan-out of a deployment.
pub type AwsFanout = Fanout<DynamoConnections, ApiGatewaySockets, SqsDeliveryJobs, SystemClock>;

/// The fan-out, from `CONNECTIONS_TABLE`, `CONNECTIONS_ENDPOINT`, `DELIVERY_QUEUE_URL`, and, where they
/// are set, `SHARDED_ROOMS`, `FANOUT_CONCURRENCY` and `MEMBERS_PER_JOB`.
///
/// # Errors
///
/// [`ConfigError`] names the variable that is missing or wrong.
pub fn fanout(config: &SdkConfig, environment: &Environment) -> Result<AwsFanout, ConfigError> {
    let connections = DynamoConnections::new(config, environment.required("CONNECTIONS_TABLE")?);
    let sockets = sockets(config, environment)?;
    let jobs = SqsDeliveryJobs::new(config, environment.required("DELIVERY_QUEUE_URL")?);
    let sharding = environment.parsed("SHARDED_ROOMS")?.unwrap_or_default();
    let concurrency = environment
        .parsed("FANOUT_CONCURRENCY")?
        .unwrap_or(FANOUT_CONCURRENCY);
    let members_per_job = environment
        .parsed("MEMBERS_PER_JOB")?
        .unwrap_or(MEMBERS_PER_JOB);
    let fanout = Fanout::new(
        connections,
        sockets,
        jobs,
        SystemClock,
        sharding,
        concurrency,
    );
    Ok(fanout.with_members_per_job(members_per_job))
}

/// The sockets, from `CONNECTIONS_ENDPOINT`.
///
/// # Errors
///
/// [`ConfigError`] where it is missing or no URL.
pub fn sockets(
    config: &SdkConfig,
    environment: &Environment,
) -> Result<ApiGatewaySockets, ConfigError> {
    let endpoint = environment.required("CONNECTIONS_ENDPOINT")?;
    ApiGatewaySockets::new(config, endpoint).map_err(|error| ConfigError::Wrong {
        name: "CONNECTIONS_ENDPOINT".to_owned(),
        reason: error.to_string(),
    })
}

/// The log, from `STREAMS_TABLE`, kept for `HISTORY_DAYS`; none where these are 0.
///
/// # Errors
///
/// [`ConfigError`] names the variable that is missing or wrong.
pub fn history(
    config: &SdkConfig,
    environment: &Environment,
) -> Result<Option<History<DynamoLog>>, ConfigError> {
    let days: u64 = environment.parsed("HISTORY_DAYS")?.unwrap_or(0);
    if days == 0 {
        return Ok(None);
    }
    let log = DynamoLog::new(config, environment.required("STREAMS_TABLE")?);
    Ok(Some(History::new(
        log,
        Duration::from_secs(days * 24 * 60 * 60),
    )))
}
