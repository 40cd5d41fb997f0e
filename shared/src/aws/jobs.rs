//! The queue of delivery jobs.

use aws_sdk_sqs::Client;
use aws_types::SdkConfig;

use crate::delivery::DeliveryJob;
use crate::ports::{DeliveryJobs, PortError};

/// Delivery jobs in SQS.
#[derive(Debug, Clone)]
pub struct SqsDeliveryJobs {
    client: Client,
    url: String,
}

impl SqsDeliveryJobs {
    /// The queue at `url`.
    pub fn new(config: &SdkConfig, url: &str) -> Self {
        Self {
            client: Client::new(config),
            url: url.to_owned(),
        }
    }
}

impl DeliveryJobs for SqsDeliveryJobs {
    async fn enqueue(&self, job: &DeliveryJob) -> Result<(), PortError> {
        let body = serde_json::to_string(job)
            .map_err(|error| PortError::new("enqueueing a delivery job", error))?;
        let send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body);
        send.send()
            .await
            .map_err(|error| PortError::new("enqueueing a delivery job", error))?;
        Ok(())
    }
}
