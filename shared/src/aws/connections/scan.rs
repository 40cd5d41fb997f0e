//! Reading the whole table: for an operator who asks which rooms there are. No function does it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};

use super::{DynamoConnections, parse};
use crate::id::RoomId;
use crate::partition::Partition;
use crate::ports::{Member, PortError};
use crate::time::Timestamp;

/// A part of the table: at most 1 MB of it.
#[derive(Debug)]
pub struct Scanned {
    /// Connections that have not expired, each with its room.
    pub members: Vec<(RoomId, Member)>,
    /// What reading them cost, in read units.
    pub read_units: f64,
    next: Option<HashMap<String, AttributeValue>>,
}

impl DynamoConnections {
    /// The part of the table behind `before`, or its first one; none behind the last. Not consistent, which
    /// costs half.
    ///
    /// # Errors
    ///
    /// [`PortError`] where the table could not be read.
    pub async fn scan(
        &self,
        before: Option<&Scanned>,
        now: Timestamp,
    ) -> Result<Option<Scanned>, PortError> {
        let start = match before {
            Some(Scanned { next: None, .. }) => return Ok(None),
            Some(Scanned { next, .. }) => next.clone(),
            None => None,
        };
        let output = self
            .client
            .scan()
            .table_name(&self.table)
            .set_exclusive_start_key(start)
            // TTL may delete a row up to 48 hours late.
            .filter_expression("expires_at > :now")
            .projection_expression("room_id, #member, expires_at")
            .expression_attribute_names("#member", "member")
            .expression_attribute_values(":now", AttributeValue::N(now.as_secs().to_string()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| PortError::new("reading the table of connections", error))?;
        let members = output.items.unwrap_or_default();
        let members = members.iter().filter_map(|row| {
            let partition = Partition::from_key(row.get("room_id")?.as_s().ok()?)?;
            Some((partition.room, parse(row)?))
        });
        Ok(Some(Scanned {
            members: members.collect(),
            read_units: output
                .consumed_capacity
                .and_then(|consumed| consumed.capacity_units)
                .unwrap_or_default(),
            next: output.last_evaluated_key,
        }))
    }
}
