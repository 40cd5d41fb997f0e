//! The consumer of `DeliveryQueue`: works off delivery jobs, one page of a room each.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use hermes::delivery::DeliveryJob;
use hermes::fanout::Fanout;
use hermes::ports::{Connections, DeliveryJobs, Sockets};
use hermes::telemetry::error_chain;
use hermes::time::Clock;
use tokio::time::Instant;
use tracing::error;

/// Handles one batch. Begins nothing after `deadline`.
pub async fn handle<C: Connections, S: Sockets, J: DeliveryJobs, K: Clock>(
    fanout: &Fanout<C, S, J, K>,
    batch: SqsEvent,
    deadline: Instant,
) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for record in batch.records {
        let id = record.message_id.unwrap_or_default();
        // A job that is none of ours ends in the dead-letter queue after a few times.
        let done =
            match serde_json::from_str::<DeliveryJob>(record.body.as_deref().unwrap_or_default()) {
                Ok(job) => fanout
                    .run(&job, deadline)
                    .await
                    .map(drop)
                    .map_err(|error| error_chain(&error)),
                Err(error) => Err(format!("not a delivery job: {error}")),
            };
        if let Err(error) = done {
            error!(sqs_message_id = id, error, "could not work off {id}");
            response.add_failure(id);
        }
    }
    response
}
