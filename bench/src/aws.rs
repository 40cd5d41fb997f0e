//! As much of AWS as the functions call, in this process: DynamoDB (dynoxide, a real engine, with what
//! each call costs), SQS as far as to hand on what is sent, and one secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, anyhow};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use dynoxide::types::ConsumedCapacity;
use dynoxide::{Database, ImportOptions};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::{AbortHandle, block_in_place};
use uuid::Uuid;

/// The tables, each with its partition and sort key.
const TABLES: [(&str, &str, Option<&str>); 4] = [
    (CONNECTIONS, "room_id", Some("member")),
    ("Credentials", "user_id", Some("room_id")),
    ("Streams", "stream", Some("entry")),
    (TUTORIAL_CONNECTIONS, "connection_id", None),
];

/// Hermes's table of connections, and the improved peer's.
pub(crate) const CONNECTIONS: &str = "Connections";

/// The tutorial's table of connections.
pub(crate) const TUTORIAL_CONNECTIONS: &str = "TutorialConnections";

/// The secret that the authorizer reads.
pub(crate) const JWT_SECRET: &str =
    "the-key-of-the-bench-s-tokens-which-is-long-enough-for-hs512-by-rfc-7518";

/// What was called since the last time that somebody asked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Calls {
    /// Calls to DynamoDB.
    pub(crate) dynamo: usize,
    /// Read units that they consumed.
    pub(crate) read_units: f64,
    /// Write units that they consumed.
    pub(crate) write_units: f64,
    /// Messages sent to SQS.
    pub(crate) sqs: usize,
}

/// The services, at one endpoint.
pub(crate) struct Aws {
    shared: Arc<Shared>,
    endpoint: String,
    server: AbortHandle,
}

struct Shared {
    database: Database,
    calls: Mutex<Calls>,
    queues: Mutex<HashMap<String, UnboundedSender<String>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Aws {
    /// Starts it, with empty tables.
    pub(crate) async fn start() -> Result<Self> {
        let database = Database::memory().map_err(|error| anyhow!("{error}"))?;
        for (table, partition, sort) in TABLES {
            create_table(&database, table, partition, sort)?;
        }
        let shared = Arc::new(Shared {
            database,
            calls: Mutex::default(),
            queues: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let routes = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self {
            shared,
            endpoint,
            server: server.abort_handle(),
        })
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The URL of a queue.
    pub(crate) fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.endpoint)
    }

    /// What was called since the last time.
    pub(crate) fn take_calls(&self) -> Calls {
        std::mem::take(&mut locked(&self.shared.calls))
    }

    /// What was called since [`Self::take_calls`].
    pub(crate) fn calls(&self) -> Calls {
        *locked(&self.shared.calls)
    }

    /// The bodies of the messages that are sent to a queue from now on. Those of other queues are dropped.
    pub(crate) fn receive(&self, queue: &str) -> UnboundedReceiver<String> {
        let (sender, receiver) = mpsc::unbounded_channel();
        locked(&self.shared.queues).insert(queue.to_owned(), sender);
        receiver
    }

    /// Puts rows into a table.
    pub(crate) fn put(&self, table: &str, rows: impl Iterator<Item = Value>) -> Result<()> {
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let batch: Result<Vec<_>, _> = rows
                .by_ref()
                .take(10_000)
                .map(serde_json::from_value)
                .collect();
            self.shared
                .database
                .import_items(table, batch?, ImportOptions::default())
                .map_err(|error| anyhow!("{error}"))?;
        }
        Ok(())
    }

    /// Makes a table anew, empty.
    pub(crate) fn empty(&self, table: &str) -> Result<()> {
        let (name, partition, sort) = TABLES
            .into_iter()
            .find(|(name, ..)| *name == table)
            .ok_or_else(|| anyhow!("there is no table {table}"))?;
        let delete = serde_json::from_value(json!({"TableName": name}))?;
        self.shared
            .database
            .delete_table(delete)
            .map_err(|error| anyhow!("{error}"))?;
        create_table(&self.shared.database, name, partition, sort)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn create_table(
    database: &Database,
    name: &str,
    partition: &str,
    sort: Option<&str>,
) -> Result<()> {
    let keys = || std::iter::once((partition, "HASH")).chain(sort.map(|sort| (sort, "RANGE")));
    let attributes: Vec<Value> = keys()
        .map(|(name, _)| json!({"AttributeName": name, "AttributeType": "S"}))
        .collect();
    let schema: Vec<Value> = keys()
        .map(|(name, role)| json!({"AttributeName": name, "KeyType": role}))
        .collect();
    let table = json!({
        "TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes, "KeySchema": schema,
    });
    database
        .create_table(serde_json::from_value(table)?)
        .map_err(|error| anyhow!("{error}"))?;
    Ok(())
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let answer = match target.split_once('.') {
        Some(("AmazonSQS", "SendMessage")) => shared.send_message(&body),
        Some(("secretsmanager", "GetSecretValue")) => {
            Ok(json!({"Name": "jwt", "SecretString": JWT_SECRET}).to_string())
        }
        Some(("DynamoDB_20120810", operation)) => {
            block_in_place(|| shared.dynamo(operation, &body))
        }
        _ => Err(format!(
            r#"{{"__type":"UnknownOperationException","message":"{target}"}}"#
        )),
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(body) => (StatusCode::BAD_REQUEST, body),
    };
    (
        status,
        [("content-type", "application/x-amz-json-1.0")],
        body,
    )
        .into_response()
}

/// Calls one operation, asks what it cost, and leaves that out of the answer.
macro_rules! operation {
    ($shared:ident, $method:ident, $request:ident, $body:ident, $units:ident) => {{
        let mut request: dynoxide::actions::$method::$request = parse($body)?;
        request.return_consumed_capacity = Some("TOTAL".to_owned());
        let mut response = $shared
            .database
            .$method(request)
            .map_err(|error| error.to_json())?;
        let consumed = response.consumed_capacity.take();
        locked(&$shared.calls).$units += consumed.map_or(0.0, |consumed| consumed.units());
        serde_json::to_string(&response).map_err(|error| error.to_string())
    }};
}

/// What a call consumed: of one table, or of several.
trait Consumed {
    fn units(&self) -> f64;
}

impl Consumed for ConsumedCapacity {
    fn units(&self) -> f64 {
        self.capacity_units
    }
}

impl Consumed for Vec<ConsumedCapacity> {
    fn units(&self) -> f64 {
        self.iter().map(|consumed| consumed.capacity_units).sum()
    }
}

fn parse<T: DeserializeOwned>(body: &str) -> Result<T, String> {
    serde_json::from_str(body).map_err(|error| {
        json!({"__type": "SerializationException", "message": error.to_string()}).to_string()
    })
}

impl Shared {
    fn dynamo(&self, operation: &str, body: &str) -> Result<String, String> {
        locked(&self.calls).dynamo += 1;
        match operation {
            "GetItem" => operation!(self, get_item, GetItemRequest, body, read_units),
            "BatchGetItem" => {
                operation!(self, batch_get_item, BatchGetItemRequest, body, read_units)
            }
            "Query" => operation!(self, query, QueryRequest, body, read_units),
            "Scan" => operation!(self, scan, ScanRequest, body, read_units),
            "PutItem" => operation!(self, put_item, PutItemRequest, body, write_units),
            "DeleteItem" => operation!(self, delete_item, DeleteItemRequest, body, write_units),
            "UpdateItem" => operation!(self, update_item, UpdateItemRequest, body, write_units),
            "TransactWriteItems" => operation!(
                self,
                transact_write_items,
                TransactWriteItemsRequest,
                body,
                write_units
            ),
            other => {
                Err(json!({"__type": "UnknownOperationException", "message": other}).to_string())
            }
        }
    }

    fn send_message(&self, body: &str) -> Result<String, String> {
        let request: Value = parse(body)?;
        let queue = request["QueueUrl"].as_str().unwrap_or_default();
        let name = queue.rsplit('/').next().unwrap_or_default();
        locked(&self.calls).sqs += 1;
        self.send(
            name,
            request["MessageBody"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
        Ok(json!({"MessageId": Uuid::now_v7().to_string(), "MD5OfMessageBody": ""}).to_string())
    }

    fn send(&self, queue: &str, body: String) {
        if let Some(sender) = locked(&self.queues).get(queue) {
            // Where nobody receives any more, nobody misses it.
            let _ = sender.send(body);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by it")]

    use super::*;

    async fn call(aws: &Aws, target: &'static str, body: Value) -> String {
        let endpoint = aws.endpoint().to_owned();
        let called = tokio::task::spawn_blocking(move || {
            let request = ureq::post(endpoint).header("x-amz-target", target);
            let mut answer = request.send(body.to_string()).unwrap();
            answer.body_mut().read_to_string().unwrap()
        });
        called.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_called_is_counted_and_what_is_sent_is_received() {
        let aws = Aws::start().await.unwrap();
        let row = json!({"room_id": {"S": "r"}, "member": {"S": "m"}, "expires_at": {"N": "1"}});
        let put = json!({"TableName": CONNECTIONS, "Item": row});
        call(&aws, "DynamoDB_20120810.PutItem", put).await;
        let query = json!({
            "TableName": CONNECTIONS, "ConsistentRead": true, "KeyConditionExpression": "room_id = :r",
            "ExpressionAttributeValues": {":r": {"S": "r"}},
        });
        let found = call(&aws, "DynamoDB_20120810.Query", query).await;
        assert!(
            found.contains("\"m\"") && !found.contains("ConsumedCapacity"),
            "{found}"
        );

        let mut jobs = aws.receive("jobs");
        let message = json!({"QueueUrl": aws.queue_url("jobs"), "MessageBody": "work"});
        call(&aws, "AmazonSQS.SendMessage", message).await;
        assert_eq!(jobs.recv().await.as_deref(), Some("work"));

        let counted = Calls {
            dynamo: 2,
            read_units: 1.0,
            write_units: 1.0,
            sqs: 1,
        };
        assert_eq!(aws.take_calls(), counted);
        assert_eq!(aws.take_calls(), Calls::default());
    }
}
