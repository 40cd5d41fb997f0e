//! The Connections table: partition key `room_id`, sort key `member`, and `expires_at` for the TTL.
//!
//! Rows are as small as they can be: their size is what reading a room costs with every message.

mod scan;

use std::collections::HashMap;
use std::num::NonZeroUsize;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use tracing::warn;

pub use scan::Scanned;

use crate::id::{ConnectionId, UserId};
use crate::partition::Partition;
use crate::ports::{
    Connections, MEMBERSHIP, Member, MemberPage, PageToken, PortError, SEPARATOR, expires_at,
};
use crate::time::Timestamp;

/// The Connections table in DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoConnections {
    client: Client,
    table: String,
}

impl DynamoConnections {
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
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn member_key(user: &UserId, connection: &ConnectionId) -> AttributeValue {
    text(format!("{user}{SEPARATOR}{connection}"))
}

impl Connections for DynamoConnections {
    async fn join(&self, partition: &Partition, member: &Member) -> Result<(), PortError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .item("room_id", text(partition.key()))
            .item("member", member_key(&member.user, &member.connection))
            .item(
                "expires_at",
                AttributeValue::N(expires_at(member.connected_at).as_secs().to_string()),
            )
            .send()
            .await
            .map_err(|error| PortError::new("joining the room", error))?;
        Ok(())
    }

    async fn leave(
        &self,
        partition: &Partition,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<(), PortError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .key("room_id", text(partition.key()))
            .key("member", member_key(user, connection))
            .send()
            .await
            .map_err(|error| PortError::new("leaving the room", error))?;
        Ok(())
    }

    async fn members(
        &self,
        partition: &Partition,
        only: Option<&UserId>,
        page: Option<&PageToken>,
        limit: NonZeroUsize,
        now: Timestamp,
    ) -> Result<MemberPage, PortError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .limit(i32::try_from(limit.get()).unwrap_or(i32::MAX))
            .key_condition_expression(if only.is_some() {
                "room_id = :room AND begins_with(#member, :user)"
            } else {
                "room_id = :room"
            })
            // TTL may delete a row up to 48 hours late.
            .filter_expression("expires_at > :now")
            .projection_expression("#member, expires_at")
            .expression_attribute_names("#member", "member")
            .expression_attribute_values(":room", text(partition.key()))
            .expression_attribute_values(":now", AttributeValue::N(now.as_secs().to_string()));
        if let Some(user) = only {
            query = query.expression_attribute_values(":user", text(format!("{user}{SEPARATOR}")));
        }
        if let Some(PageToken(member)) = page {
            query = query
                .exclusive_start_key("room_id", text(partition.key()))
                .exclusive_start_key("member", text(member));
        }
        let output = query
            .send()
            .await
            .map_err(|error| PortError::new("reading the room", error))?;

        let next = output
            .last_evaluated_key
            .as_ref()
            .and_then(|key| key.get("member")?.as_s().ok().cloned())
            .map(PageToken);
        let rows = output.items.unwrap_or_default();
        let members = rows.iter().filter_map(|row| {
            let member = parse(row);
            if member.is_none() {
                warn!(room_id = %partition.room, "skipped a row of {} that Hermes did not write", partition.room);
            }
            member
        });
        Ok(MemberPage {
            members: members.collect(),
            next,
        })
    }
}

fn parse(row: &HashMap<String, AttributeValue>) -> Option<Member> {
    let (user, connection) = row.get("member")?.as_s().ok()?.split_once(SEPARATOR)?;
    let expires_at: u64 = row.get("expires_at")?.as_n().ok()?.parse().ok()?;
    Some(Member {
        user: user.parse().ok()?,
        connection: connection.parse().ok()?,
        connected_at: Timestamp::from_secs(expires_at.saturating_sub(MEMBERSHIP.as_secs())),
    })
}
