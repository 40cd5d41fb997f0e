//! The Streams table: partition key `stream`, sort key `entry`, and `expires_at` for the TTL.
//!
//! | `entry` | other attributes |
//! |---|---|
//! | `i`, sender, U+001F, id | `epoch`, `offset`: where the message with this id stands |
//! | `m`, epoch, U+001F, offset as 16 digits | `epoch`, `notification`, `appended_at` (milliseconds) |
//! | `~`, the head | `epoch`, `offset` of the last message |
//!
//! The head sorts behind the messages, so that one query of the end of a stream sees both.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, KeysAndAttributes, Put,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use aws_types::SdkConfig;

use crate::log::{Appended, Draft, Entry, Epoch, Position, Stream};
use crate::ports::{Log, LogPage, PortError};
use crate::time::Timestamp;

/// The most rows that one query reads: what a frame can hold of small messages.
const PAGE: i32 = 100;

const HEAD: &str = "~";

type Row = HashMap<String, AttributeValue>;

/// The log in DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoLog {
    client: Client,
    table: String,
}

impl DynamoLog {
    /// The table named `table`.
    pub fn new(config: &SdkConfig, table: &str) -> Self {
        Self::with_client(Client::new(config), table)
    }

    /// The table named `table`, reached by `client`.
    pub fn with_client(client: Client, table: &str) -> Self {
        Self {
            client,
            table: table.to_owned(),
        }
    }

    /// A consistent query of one stream between two entries.
    async fn query(
        &self,
        stream: &Stream,
        from: String,
        to: String,
        forward: bool,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(forward)
            .limit(PAGE)
            // `stream` is one of the words that DynamoDB reserves.
            .key_condition_expression("#stream = :stream AND #entry BETWEEN :from AND :to")
            .expression_attribute_names("#stream", "stream")
            .expression_attribute_names("#entry", "entry")
            .expression_attribute_values(":stream", text(stream.key()))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .send()
            .await
            .map_err(|error| PortError::new("reading the log", error))?;
        let mut page = LogPage {
            ended: output.last_evaluated_key.is_none(),
            ..LogPage::default()
        };
        let rows = output.items.unwrap_or_default();
        page.last = rows.iter().rev().find_map(message_position);
        // TTL may delete a row up to 48 hours late.
        for row in rows.iter().filter(|row| is_live(row, now)) {
            if row
                .get("entry")
                .is_some_and(|entry| entry.as_s().is_ok_and(|entry| entry == HEAD))
            {
                page.head = position(row);
            } else {
                page.entries.extend(parse(row));
            }
        }
        Ok(page)
    }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn message_key(epoch: &Epoch, offset: u64) -> String {
    format!("m{}\u{1f}{offset:016}", epoch.as_str())
}

fn id_key(draft: &Draft<'_>) -> String {
    format!("i{}\u{1f}{}", draft.sender, draft.id)
}

fn number_of(row: &Row, name: &str) -> Option<u64> {
    row.get(name)?.as_n().ok()?.parse().ok()
}

fn is_live(row: &Row, now: Timestamp) -> bool {
    number_of(row, "expires_at").is_some_and(|expires_at| expires_at > now.as_secs())
}

fn epoch(row: &Row) -> Option<Epoch> {
    row.get("epoch")?.as_s().ok()?.parse().ok()
}

fn position(row: &Row) -> Option<Position> {
    Some(Position {
        epoch: epoch(row)?,
        offset: number_of(row, "offset")?,
    })
}

/// Where a message stands: its offset is in its key.
fn message_position(row: &Row) -> Option<Position> {
    let (_, offset) = row.get("entry")?.as_s().ok()?.split_once('\u{1f}')?;
    Some(Position {
        epoch: epoch(row)?,
        offset: offset.parse().ok()?,
    })
}

fn parse(row: &Row) -> Option<Entry> {
    Some(Entry {
        position: message_position(row)?,
        notification: row.get("notification")?.as_s().ok()?.clone(),
        appended_at: Timestamp::from_millis(number_of(row, "appended_at")?),
    })
}

impl Log for DynamoLog {
    async fn head(&self, stream: &Stream, now: Timestamp) -> Result<Option<Position>, PortError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("stream", text(stream.key()))
            .key("entry", text(HEAD))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| PortError::new("reading the head of the log", error))?;
        Ok(output
            .item
            .filter(|row| is_live(row, now))
            .as_ref()
            .and_then(position))
    }

    async fn heads(
        &self,
        streams: [&Stream; 2],
        now: Timestamp,
    ) -> Result<[Option<Position>; 2], PortError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            PortError::new("reading the heads of the log", error)
        };
        let mut keys = KeysAndAttributes::builder().consistent_read(true);
        for stream in streams {
            keys = keys.keys(
                [
                    ("stream".to_owned(), text(stream.key())),
                    ("entry".to_owned(), text(HEAD)),
                ]
                .into(),
            );
        }
        let keys = keys.build().map_err(|error| failed(error.into()))?;
        let output = self
            .client
            .batch_get_item()
            .request_items(&self.table, keys)
            .send()
            .await;
        let output = output.map_err(|error| failed(error.into()))?;
        if output
            .unprocessed_keys()
            .is_some_and(|keys| !keys.is_empty())
        {
            return Err(failed("throttled".into()));
        }
        let rows = output
            .responses
            .unwrap_or_default()
            .remove(&self.table)
            .unwrap_or_default();
        Ok(streams.map(|stream| {
            let row = rows.iter().find(|row| {
                row.get("stream")
                    .is_some_and(|key| key.as_s().is_ok_and(|key| *key == stream.key()))
            });
            row.filter(|row| is_live(row, now)).and_then(position)
        }))
    }

    async fn begin(
        &self,
        stream: &Stream,
        epoch: &Epoch,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Position, PortError> {
        let begun = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("stream", text(stream.key()))
            .item("entry", text(HEAD))
            .item("epoch", text(epoch.as_str()))
            .item("offset", number(0))
            .item("expires_at", number(expires_at.as_secs()))
            .condition_expression("attribute_not_exists(epoch) OR expires_at <= :now")
            .expression_attribute_values(":now", number(now.as_secs()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match begun {
            Ok(_) => {
                return Ok(Position {
                    epoch: epoch.clone(),
                    offset: 0,
                });
            }
            Err(error) => error,
        };
        let exists = match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                failed.item().and_then(position)
            }
            // Somebody publishes the stream's first message at this moment.
            Some(PutItemError::TransactionConflictException(_)) => self.head(stream, now).await?,
            _ => None,
        };
        exists.ok_or_else(|| PortError::new("beginning a stream of the log", error))
    }

    async fn append(
        &self,
        stream: &Stream,
        head: Option<&Position>,
        epoch: &Epoch,
        drafts: &[Draft<'_>],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Appended, PortError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            PortError::new("appending to the log", error)
        };
        let offset = head.map_or(0, |head| head.offset);
        let expires_at = number(expires_at.as_secs());
        let mut new_head = Update::builder()
            .table_name(&self.table)
            .key("stream", text(stream.key()))
            .key("entry", text(HEAD))
            .update_expression("SET epoch = :epoch, #offset = :offset, expires_at = :expires_at")
            .expression_attribute_names("#offset", "offset")
            .expression_attribute_values(":epoch", text(epoch.as_str()))
            .expression_attribute_values(":offset", number(offset + drafts.len() as u64))
            .expression_attribute_values(":expires_at", expires_at.clone());
        new_head = match head {
            None => new_head
                .condition_expression("attribute_not_exists(epoch) OR expires_at <= :now")
                .expression_attribute_values(":now", number(now.as_secs())),
            Some(head) => new_head
                .condition_expression("epoch = :epoch AND #offset = :expected")
                .expression_attribute_values(":expected", number(head.offset)),
        };
        let new_head = new_head.build().map_err(|error| failed(error.into()))?;
        let mut transaction = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(new_head).build());
        for (offset, draft) in (offset + 1..).zip(drafts) {
            let row = |entry: String| {
                Put::builder()
                    .table_name(&self.table)
                    .item("stream", text(stream.key()))
                    .item("entry", text(entry))
                    .item("epoch", text(epoch.as_str()))
                    .item("expires_at", expires_at.clone())
            };
            let message = row(message_key(epoch, offset))
                .item("notification", text(draft.notification))
                .item("appended_at", number(now.as_millis()));
            // An id of another epoch, or one that TTL has not yet deleted, is free.
            let id = row(id_key(draft))
                .item("offset", number(offset))
                .condition_expression(
                    "attribute_not_exists(epoch) OR epoch <> :epoch OR expires_at <= :now",
                )
                .expression_attribute_values(":epoch", text(epoch.as_str()))
                .expression_attribute_values(":now", number(now.as_secs()))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                );
            for put in [message, id] {
                let put = put.build().map_err(|error| failed(error.into()))?;
                transaction =
                    transaction.transact_items(TransactWriteItem::builder().put(put).build());
            }
        }
        match transaction.send().await {
            Ok(_) => Ok(Appended::Done),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    cancelled(canceled.cancellation_reasons()).ok_or_else(|| failed(error.into()))
                }
                _ => Err(failed(error.into())),
            },
        }
    }

    async fn find(
        &self,
        stream: &Stream,
        position: &Position,
        now: Timestamp,
    ) -> Result<Option<Entry>, PortError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("stream", text(stream.key()))
            .key("entry", text(message_key(&position.epoch, position.offset)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| PortError::new("reading a message of the log", error))?;
        Ok(output
            .item
            .filter(|row| is_live(row, now))
            .as_ref()
            .and_then(parse))
    }

    async fn read(
        &self,
        stream: &Stream,
        after: &Position,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        let from = message_key(&after.epoch, after.offset + 1);
        self.query(stream, from, HEAD.to_owned(), true, now).await
    }

    async fn read_back(
        &self,
        stream: &Stream,
        before: Option<&Position>,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        let to = before.map_or(HEAD.to_owned(), |before| {
            message_key(&before.epoch, before.offset.saturating_sub(1))
        });
        self.query(stream, "m".to_owned(), to, false, now).await
    }
}

/// Codes of what passes by itself: another transaction has one of the items, or the partition has had its 1,000
/// writes of this second. Nothing of the SDK tries a cancelled transaction again.
const PASSING: [&str; 3] = [
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
];

/// Why a transaction was cancelled, from the reasons of its items: the head's, then for each draft its
/// message's and its id's. None where it failed for another reason than ours.
fn cancelled(reasons: &[CancellationReason]) -> Option<Appended> {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    let is_ours =
        |code: &str| matches!(code, "None" | "ConditionalCheckFailed") || PASSING.contains(&code);
    if !reasons.iter().all(|reason| is_ours(&code(reason))) {
        return None;
    }
    let known: BTreeMap<usize, Position> = reasons
        .iter()
        .skip(2)
        .step_by(2)
        .enumerate()
        .filter(|(_, reason)| code(reason) == "ConditionalCheckFailed")
        .filter_map(|(i, reason)| Some((i, position(reason.item()?)?)))
        .collect();
    let head_moved = reasons
        .first()
        .is_some_and(|head| code(head) == "ConditionalCheckFailed");
    if !known.is_empty() && !head_moved {
        return Some(Appended::Known(known));
    }
    let passes = reasons
        .iter()
        .any(|reason| PASSING.contains(&code(reason).as_str()));
    (head_moved || passes).then_some(Appended::HeadMoved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        let reason = |code: &&str| CancellationReason::builder().code(*code).build();
        codes.iter().map(reason).collect()
    }

    #[test]
    fn what_passes_is_tried_again_and_nothing_else() {
        for code in [
            "TransactionConflict",
            "ThrottlingError",
            "ProvisionedThroughputExceeded",
        ] {
            let found = cancelled(&reasons(&["None", code, "None"]));
            assert_eq!(found, Some(Appended::HeadMoved), "{code}");
        }
        let moved = cancelled(&reasons(&["ConditionalCheckFailed", "None", "None"]));
        assert_eq!(moved, Some(Appended::HeadMoved));
        for code in ["ItemCollectionSizeLimitExceeded", "ValidationError", "None"] {
            assert_eq!(cancelled(&reasons(&["None", code, "None"])), None, "{code}");
        }
    }
}
