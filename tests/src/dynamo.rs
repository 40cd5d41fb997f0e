//! A real DynamoDB engine (dynoxide) in this process, with our tables, and what each call costs there.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{
    BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, ConsumedCapacity, KeySchemaElement, KeyType,
    ReturnConsumedCapacity, ScalarAttributeType,
};
use aws_sdk_dynamodb::{Client, config};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use hermes::aws::{DynamoConnections, DynamoCredentials, DynamoLog};

/// A call to DynamoDB, and the capacity units that it consumed.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The operation, such as `Query`.
    pub operation: &'static str,
    /// Read or write capacity units.
    pub units: f64,
    /// Whether it was a strongly consistent read.
    pub consistent: bool,
}

/// The engine with the tables `Connections`, `Credentials` and `Streams`, and the calls made to it.
pub struct Dynamo {
    client: Client,
    endpoint: String,
    meter: Meter,
}

impl Dynamo {
    /// Starts an engine of its own on a free port of 127.0.0.1; it ends with the test's runtime.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let database = dynoxide::Database::memory().expect("an engine in memory");
        tokio::spawn(dynoxide::server::serve_on(listener, database));

        let meter = Meter::default();
        let config = config::Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(&endpoint)
            .interceptor(meter.clone())
            .build();
        let client = Client::from_conf(config);
        create_table(&client, "Connections", "room_id", "member").await;
        create_table(&client, "Credentials", "user_id", "room_id").await;
        create_table(&client, "Streams", "stream", "entry").await;
        meter.take();
        Self {
            client,
            endpoint,
            meter,
        }
    }

    /// Where it answers, for other processes.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The client, for what the ports do not do.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The Connections table.
    pub fn connections(&self) -> DynamoConnections {
        DynamoConnections::with_client(self.client.clone(), "Connections")
    }

    /// The Credentials table.
    pub fn credentials(&self) -> DynamoCredentials {
        DynamoCredentials::with_client(self.client.clone(), "Credentials")
    }

    /// The Streams table.
    pub fn log(&self) -> DynamoLog {
        DynamoLog::with_client(self.client.clone(), "Streams")
    }

    /// The calls since the last time that this was asked.
    pub fn calls(&self) -> Vec<Call> {
        self.meter.take()
    }
}

async fn create_table(client: &Client, name: &str, partition: &str, sort: &str) {
    let mut table = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    for (attribute, role) in [(partition, KeyType::Hash), (sort, KeyType::Range)] {
        let definition = AttributeDefinition::builder()
            .attribute_name(attribute)
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder()
            .attribute_name(attribute)
            .key_type(role);
        table = table
            .attribute_definitions(definition.build().expect("complete"))
            .key_schema(key.build().expect("complete"));
    }
    table.send().await.expect("the table is created");
}

/// Whether a call under way reads consistently.
#[derive(Debug)]
struct Consistent(bool);

impl Storable for Consistent {
    type Storer = StoreReplace<Self>;
}

/// Asks every call for its cost, and keeps the answers.
#[derive(Debug, Clone, Default)]
struct Meter(Arc<Mutex<Vec<Call>>>);

impl Meter {
    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let total = Some(ReturnConsumedCapacity::Total);
        let input = context.input_mut();
        if let Some(input) = input.downcast_mut::<GetItemInput>() {
            input.return_consumed_capacity = total;
            bag.interceptor_state()
                .store_put(Consistent(input.consistent_read == Some(true)));
        } else if let Some(input) = input.downcast_mut::<PutItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<DeleteItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<UpdateItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<BatchGetItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<TransactWriteItemsInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<QueryInput>() {
            input.return_consumed_capacity = total;
            bag.interceptor_state()
                .store_put(Consistent(input.consistent_read == Some(true)));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Ok(output)) = context.output_or_error() else {
            return Ok(());
        };
        let consistent = bag
            .load::<Consistent>()
            .is_some_and(|consistent| consistent.0);
        let (operation, capacity) = if let Some(output) = output.downcast_ref::<GetItemOutput>() {
            ("GetItem", output.consumed_capacity())
        } else if let Some(output) = output.downcast_ref::<PutItemOutput>() {
            ("PutItem", output.consumed_capacity())
        } else if let Some(output) = output.downcast_ref::<DeleteItemOutput>() {
            ("DeleteItem", output.consumed_capacity())
        } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
            ("UpdateItem", output.consumed_capacity())
        } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
            ("Query", output.consumed_capacity())
        } else if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
            ("TransactWriteItems", output.consumed_capacity().first())
        } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
            ("BatchGetItem", output.consumed_capacity().first())
        } else {
            ("other", None)
        };
        let units = capacity
            .and_then(ConsumedCapacity::capacity_units)
            .unwrap_or(f64::NAN);
        self.0.lock().expect("not poisoned").push(Call {
            operation,
            units,
            consistent,
        });
        Ok(())
    }
}
