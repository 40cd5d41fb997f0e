//! The function behind `$default`.

use std::convert::Infallible;

use hermes::aws::{history, sdk_config};
use hermes::config::Environment;
use hermes::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    telemetry::init(&environment)?;
    let history = history(&sdk_config(&environment)?, &environment)?;
    let log = history.as_ref().map(|history| history.log());

    run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, Infallible>(default::handle(log, &event.payload).await)
    }))
    .await
}
