//! The function behind `sendMessageToSQS`.

use std::convert::Infallible;

use hermes::aws::{SqsQueue, sdk_config};
use hermes::config::Environment;
use hermes::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    telemetry::init(&environment)?;
    let queue = SqsQueue::new(
        &sdk_config(&environment)?,
        environment.required("MESSAGE_QUEUE_URL")?,
    );

    run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, Infallible>(send_message_to_sqs::handle(&queue, event.payload).await)
    }))
    .await
}
