//! A dead-letter queue: what nobody could handle, and why.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};
use aws_types::SdkConfig;
use hermes::time::Timestamp;

use crate::failure::Failure;

/// SQS gives and takes this many messages in one call.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const BATCH: usize = 10;

/// For how long nobody else sees what is being looked at. It is given back before; this is for a
/// command that is interrupted.
const HIDDEN: Duration = Duration::from_secs(60);

/// How long SQS looks for messages: with any time at all it asks all of its servers.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const LOOK_FOR: Duration = Duration::from_secs(1);

/// A message that could not be handled.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetter {
    /// The id that SQS gave it.
    pub(crate) id: String,
    /// When it was sent to the queue that it comes from, or buried by a function.
    pub(crate) sent_at: Option<Timestamp>,
    /// Why a function buried it; nothing where SQS gave up delivering it.
    pub(crate) error_code: Option<String>,
    /// The same in words.
    pub(crate) error_message: Option<String>,
    /// What was sent.
    pub(crate) body: String,
}

impl DeadLetter {
    fn read(message: Message) -> (Self, String) {
        let attribute = |name: &str| {
            let attributes = message.message_attributes.as_ref()?;
            attributes.get(name)?.string_value.clone()
        };
        let sent_at = message.attributes.as_ref().and_then(|attributes| {
            let millis = attributes.get(&MessageSystemAttributeName::SentTimestamp)?;
            Some(Timestamp::from_millis(millis.parse().ok()?))
        });
        let letter = Self {
            sent_at,
            error_code: attribute("error_code"),
            error_message: attribute("error_message"),
            id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
        };
        (letter, message.receipt_handle.unwrap_or_default())
    }
}

/// A dead-letter queue.
pub(crate) struct DeadLetters {
    client: Client,
    url: String,
}

impl DeadLetters {
    /// The queue at `url`.
    pub(crate) fn new(config: &SdkConfig, url: String) -> Self {
        Self {
            client: Client::new(config),
            url,
        }
    }

    /// The queue's name.
    pub(crate) fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// About how many messages there are: SQS counts with a delay. Nothing where it may not be asked.
    pub(crate) async fn count(&self) -> Option<u64> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(name.clone())
            .send()
            .await
            .ok()?;
        answer.attributes?.get(&name)?.parse().ok()
    }

    /// Deletes everything that was in the queue up to now.
    pub(crate) async fn purge(&self) -> Result<(), Failure> {
        self.client
            .purge_queue()
            .queue_url(&self.url)
            .send()
            .await
            .map_err(|error| Failure::aws("purging the dead-letter queue", &error))?;
        Ok(())
    }

    /// Begins to look through the queue.
    pub(crate) fn look(&self) -> Look<'_> {
        Look {
            queue: self,
            held: HashMap::new(),
        }
    }
}

/// A look through the queue. What was seen stays in it, and is hidden from others until
/// [`Look::end`].
pub(crate) struct Look<'a> {
    queue: &'a DeadLetters,
    /// Ids and receipts of what was seen.
    held: HashMap<String, String>,
}

impl Look<'_> {
    /// The next messages; none where SQS shows no other ones.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the call.
    pub(crate) async fn next(&mut self) -> Result<Vec<DeadLetter>, Failure> {
        let received = self
            .queue
            .client
            .receive_message()
            .queue_url(&self.queue.url)
            .max_number_of_messages(BATCH as i32)
            .visibility_timeout(HIDDEN.as_secs() as i32)
            .wait_time_seconds(LOOK_FOR.as_secs() as i32)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names("error_code")
            .message_attribute_names("error_message")
            .send()
            .await
            .map_err(|error| Failure::aws("reading the dead-letter queue", &error))?;
        let mut letters = Vec::new();
        for message in received.messages.unwrap_or_default() {
            let (letter, receipt) = DeadLetter::read(message);
            // One that is seen again was held for so long that it was no longer hidden.
            if self.held.insert(letter.id.clone(), receipt).is_none() {
                letters.push(letter);
            }
        }
        Ok(letters)
    }

    /// Deletes messages that were seen.
    ///
    /// # Errors
    ///
    /// [`Failure`] where some of them are still there.
    pub(crate) async fn delete(&mut self, ids: &[&str]) -> Result<(), Failure> {
        for ids in ids.chunks(BATCH) {
            let entries = ids.iter().enumerate().map(|(index, id)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(self.held.get(*id).map_or("", String::as_str))
                    .build()
                    .expect("an id and a receipt are all that is required")
            });
            let answer = self
                .queue
                .client
                .delete_message_batch()
                .queue_url(&self.queue.url)
                .set_entries(Some(entries.collect()))
                .send()
                .await
                .map_err(|error| Failure::aws("deleting from the dead-letter queue", &error))?;
            for (index, id) in ids.iter().enumerate() {
                if !answer.failed.iter().any(|one| one.id == index.to_string()) {
                    self.held.remove(*id);
                }
            }
            if let Some(failed) = answer.failed.first() {
                let reason = failed.message().unwrap_or(&failed.code);
                return Err(Failure::new(format!(
                    "{} of {} messages could not be deleted from the dead-letter queue: {reason}",
                    answer.failed.len(),
                    ids.len()
                )));
            }
        }
        Ok(())
    }

    /// Lets others see again what is left.
    pub(crate) async fn end(self) {
        let receipts: Vec<_> = self.held.into_values().collect();
        for receipts in receipts.chunks(BATCH) {
            let entries = receipts.iter().enumerate().map(|(index, receipt)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(0)
                    .build()
                    .expect("an id and a receipt are all that is required")
            });
            let shown = self
                .queue
                .client
                .change_message_visibility_batch()
                .queue_url(&self.queue.url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
            // They come back by themselves, a little later.
            if shown.is_err() {
                return;
            }
        }
    }
}
