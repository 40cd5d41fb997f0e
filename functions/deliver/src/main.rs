//! The function behind `DeliveryQueue`.

use std::convert::Infallible;

use hermes::aws::invocation::deadline;
use hermes::aws::{fanout, sdk_config};
use hermes::config::Environment;
use hermes::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    telemetry::init(&environment)?;
    let fanout = fanout(&sdk_config(&environment)?, &environment)?;

    run(service_fn(async |event: LambdaEvent<_>| {
        let deadline = deadline(&event.context);
        Ok::<_, Infallible>(deliver::handle(&fanout, event.payload, deadline).await)
    }))
    .await
}
