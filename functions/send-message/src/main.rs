//! The function behind `sendMessage` and `MessageQueue`.

use std::convert::Infallible;

use hermes::aws::invocation::deadline;
use hermes::aws::{SqsDeadLetters, fanout, history, sdk_config};
use hermes::config::Environment;
use hermes::publish::Publisher;
use hermes::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    telemetry::init(&environment)?;
    let config = sdk_config(&environment)?;
    let dead_letters = SqsDeadLetters::new(&config, environment.required("DEAD_LETTER_QUEUE_URL")?);
    let publisher = Publisher::new(
        history(&config, &environment)?,
        fanout(&config, &environment)?,
    );

    run(service_fn(async |event: LambdaEvent<_>| {
        let deadline = deadline(&event.context);
        Ok::<_, Infallible>(
            send_message::handle(&publisher, &dead_letters, event.payload, deadline).await,
        )
    }))
    .await
}
