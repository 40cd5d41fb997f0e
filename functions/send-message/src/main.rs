//! The function behind `sendMessage` and `MessageQueue`.

use std::convert::Infallible;
use std::num::NonZeroUsize;

use hermes::aws::invocation::deadline;
use hermes::aws::{ApiGatewaySockets, DynamoConnections, SqsDeadLetters, sdk_config};
use hermes::config::Environment;
use hermes::fanout::Fanout;
use hermes::telemetry;
use hermes::time::SystemClock;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

/// How many posts are under way at once where `FANOUT_CONCURRENCY` does not say.
const FANOUT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    telemetry::init(&environment)?;
    let config = sdk_config(&environment)?;
    let connections = DynamoConnections::new(&config, environment.required("CONNECTIONS_TABLE")?);
    let sockets = ApiGatewaySockets::new(&config, environment.required("CONNECTIONS_ENDPOINT")?);
    let dead_letters = SqsDeadLetters::new(&config, environment.required("DEAD_LETTER_QUEUE_URL")?);
    let concurrency = environment
        .parsed("FANOUT_CONCURRENCY")?
        .unwrap_or(FANOUT_CONCURRENCY);
    let fanout = Fanout::new(connections, sockets, SystemClock, concurrency);

    run(service_fn(async |event: LambdaEvent<_>| {
        let deadline = deadline(&event.context);
        Ok::<_, Infallible>(
            send_message::handle(&fanout, &dead_letters, event.payload, deadline).await,
        )
    }))
    .await
}
