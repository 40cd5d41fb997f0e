//! The function behind `ping` and `$default`.

use std::convert::Infallible;

use hermes::config::Environment;
use hermes::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(&Environment::from_process())?;

    run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, Infallible>(default::handle(&event.payload))
    }))
    .await
}
