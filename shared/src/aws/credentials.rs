//! The Credentials table: partition key `user_id`, sort key `room_id`, `token` (bcrypt), `generation`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use aws_types::SdkConfig;

use crate::id::{RoomId, UserId};
use crate::ports::{Credential, Credentials, PortError, Written};
use crate::secret::Secret;

/// The Credentials table in DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoCredentials {
    client: Client,
    table: String,
}

impl DynamoCredentials {
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

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

impl Credentials for DynamoCredentials {
    async fn find(&self, user: &UserId, room: &RoomId) -> Result<Option<Credential>, PortError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("user_id", text(user.as_str()))
            .key("room_id", text(room.as_str()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| PortError::new("reading the credential", error))?;
        Ok(output.item.map(|row| {
            let string = |name: &str| row.get(name).and_then(|value| value.as_s().ok()).cloned();
            Credential {
                token_hash: string("token").map(Secret::new),
                generation: string("generation"),
            }
        }))
    }

    async fn renew(
        &self,
        user: &UserId,
        room: &RoomId,
        expected: Option<&str>,
        generation: &str,
        token_hash: &Secret,
    ) -> Result<Written, PortError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("user_id", text(user.as_str()))
            .key("room_id", text(room.as_str()))
            .update_expression("SET #generation = :generation, #token = :token")
            .expression_attribute_names("#generation", "generation")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":generation", text(generation))
            .expression_attribute_values(":token", text(token_hash.expose()));
        update = match expected {
            None => update.condition_expression("attribute_not_exists(#generation)"),
            Some(expected) => update
                .condition_expression("#generation = :expected")
                .expression_attribute_values(":expected", text(expected)),
        };
        match update.send().await {
            Ok(_) => Ok(Written::Yes),
            Err(SdkError::ServiceError(error))
                if error.err().is_conditional_check_failed_exception() =>
            {
                Ok(Written::Conflict)
            }
            Err(error) => Err(PortError::new("renewing the credential", error)),
        }
    }

    async fn revoke(
        &self,
        user: &UserId,
        room: &RoomId,
        generation: &str,
    ) -> Result<bool, PortError> {
        let output = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("user_id", text(user.as_str()))
            .key("room_id", text(room.as_str()))
            .update_expression("SET #generation = :generation REMOVE #token")
            .expression_attribute_names("#generation", "generation")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":generation", text(generation))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| PortError::new("revoking the credential", error))?;
        Ok(output
            .attributes
            .is_some_and(|row| row.contains_key("token")))
    }
}
