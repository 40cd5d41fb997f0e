//! The function behind `$disconnect`.

use hermes::aws::{DynamoConnections, sdk_config};
use hermes::config::Environment;
use hermes::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    telemetry::init(&environment)?;
    let connections = DynamoConnections::new(
        &sdk_config(&environment)?,
        environment.required("CONNECTIONS_TABLE")?,
    );
    let sharding = environment.parsed("SHARDED_ROOMS")?.unwrap_or_default();

    run(service_fn(|event: LambdaEvent<_>| {
        disconnect::handle(&connections, &sharding, event.payload)
    }))
    .await
}
