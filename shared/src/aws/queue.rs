//! The queues: `MessageQueue` and its dead-letter queue.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::MessageAttributeValue;
use aws_types::SdkConfig;

use crate::frame::Refusal;
use crate::message::Sequence;
use crate::ports::{DeadLetters, MessageQueue, PortError};

/// The message queue in SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(config: &SdkConfig, url: &str) -> Self {
        Self {
            client: Client::new(config),
            url: url.to_owned(),
        }
    }
}

impl MessageQueue for SqsQueue {
    async fn enqueue(&self, body: &str, sequence: &Sequence) -> Result<(), PortError> {
        in_sequence(
            self.client.send_message().queue_url(&self.url),
            &self.url,
            sequence,
        )
        .message_body(body)
        .send()
        .await
        .map_err(|error| PortError::new("enqueueing the message", error))?;
        Ok(())
    }
}

/// Only a FIFO queue takes a sequence; its name, and so its URL, ends in `.fifo`.
fn in_sequence(
    send: SendMessageFluentBuilder,
    url: &str,
    sequence: &Sequence,
) -> SendMessageFluentBuilder {
    if !url.ends_with(".fifo") {
        return send;
    }
    send.message_group_id(&sequence.group)
        .message_deduplication_id(&sequence.deduplication)
}

/// The dead-letter queue in SQS. The reason stands in the message attributes `error_code` and
/// `error_message`, so that the body stays what the producer sent.
#[derive(Debug, Clone)]
pub struct SqsDeadLetters {
    client: Client,
    url: String,
}

impl SqsDeadLetters {
    /// The queue at `url`.
    pub fn new(config: &SdkConfig, url: &str) -> Self {
        Self {
            client: Client::new(config),
            url: url.to_owned(),
        }
    }
}

impl DeadLetters for SqsDeadLetters {
    async fn bury(
        &self,
        body: &str,
        reason: &Refusal,
        sequence: &Sequence,
    ) -> Result<(), PortError> {
        let attribute = |value: &str| {
            MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
        };
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            PortError::new("writing to the dead-letter queue", error)
        };
        in_sequence(
            self.client.send_message().queue_url(&self.url),
            &self.url,
            sequence,
        )
        .message_body(body)
        .message_attributes(
            "error_code",
            attribute(reason.code.as_str()).map_err(|error| failed(error.into()))?,
        )
        .message_attributes(
            "error_message",
            attribute(&reason.message).map_err(|error| failed(error.into()))?,
        )
        .send()
        .await
        .map_err(|error| failed(error.into()))?;
        Ok(())
    }
}
