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
        let body = body(job).map_err(|error| PortError::new("enqueueing a delivery job", error))?;
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

/// The two characters that SQS refuses, and JSON does not (SQS, `SendMessage`), stand in strings only: there
/// they can be escaped.
fn body(job: &DeliveryJob) -> serde_json::Result<String> {
    let body = serde_json::to_string(job)?;
    Ok(body
        .replace('\u{fffe}', r"\ufffe")
        .replace('\u{ffff}', r"\uffff"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_has_no_character_that_sqs_refuses_and_says_the_same() {
        let odd = "\u{fffe}, \u{ffff}";
        let job = json!({"room_id": odd, "after": format!("{odd}\u{1f}c"), "id": "m", "sent_at_ms": 0, "frame": {"data": odd}});
        let job: DeliveryJob = serde_json::from_str(&job.to_string()).unwrap();
        let body = body(&job).unwrap();
        assert!(!body.contains(['\u{fffe}', '\u{ffff}']), "{body}");
        let again: DeliveryJob = serde_json::from_str(&body).unwrap();
        assert_eq!((again.partition, again.after), (job.partition, job.after));
        let data: serde_json::Value = serde_json::from_str(again.frame.get()).unwrap();
        assert_eq!(data["data"], odd);
    }
}
