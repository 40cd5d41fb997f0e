//! The deployed stack: the release functions behind API Gateway, with IAM enforced. `cargo xtask test`
//! deploys one to a local AWS and says in the environment where it is.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, Parameter, StackStatus, TemplateStage};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::{Message as Received, SendMessageBatchRequestEntry};
use aws_types::SdkConfig;
use hermes::aws::{
    ApiGatewaySockets, DynamoConnections, DynamoCredentials, sdk_config, stored_secret,
};
use hermes::claims::TokenSigner;
use hermes::config::Environment;
use hermes::fanout::MEMBERS_PER_JOB;
use hermes::issue::Issuer;
use hermes::message::Sequence;
use hermes::ports::{Connections, Member, Sockets};
use hermes::secret::{JwtSecret, Secret};
use hermes::telemetry::error_chain;
use hermes::time::{Clock, SystemClock};
use hermes::{RoomId, UserId};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::socket::{Socket, TokenPlace};

/// How long a test waits for what must come: far longer than it ever takes, also on a busy machine
/// that starts each function for the first time.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long the tokens of tests are good.
const TTL: Duration = Duration::from_secs(600);

/// Lambda's name of this machine's processor.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "x86_64"
};

/// What to do where there is no stack.
const ADVICE: &str = "these tests need a deployed stack. Run `cargo xtask test`; or run `cargo xtask up` and set \
    AWS_ENDPOINT_URL to the URL that it prints, AWS_ACCESS_KEY_ID=test, AWS_SECRET_ACCESS_KEY=test and \
    AWS_REGION=us-east-1 (HERMES_STACK too, if the stack is not hermes-local)";

/// The deployed stack, and what a backend has of it: its outputs and its secrets.
pub struct Stack {
    /// Region, credentials and endpoint of the AWS that it is deployed to.
    pub config: SdkConfig,
    /// Its name.
    pub name: String,
    outputs: HashMap<String, String>,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Stack {
    /// Finds the stack `HERMES_STACK` (`hermes-local`) at `AWS_ENDPOINT_URL`.
    ///
    /// # Panics
    ///
    /// Saying what to do, where there is none. Without an endpoint too: tests never touch the real AWS.
    pub async fn find() -> Self {
        let environment = Environment::from_process();
        let local = environment.required("AWS_ENDPOINT_URL");
        let config = local.and_then(|_| sdk_config(&environment));
        let config = config.unwrap_or_else(|error| panic!("{error}: {ADVICE}"));
        let name = environment
            .optional("HERMES_STACK")
            .unwrap_or("hermes-local");
        let found = describe(&config, name).await;
        found
            .unwrap_or_else(|error| panic!("no stack {name} ({error}): {ADVICE}"))
            .1
    }

    /// Makes a stack of the test's own, where this one is.
    pub async fn create(&self, template: &Value) -> Self {
        self.create_with(template, &[]).await
    }

    /// Deploys Hermes once more, with these parameters; `change` changes the template before.
    pub async fn deploy_another(
        &self,
        parameters: &[(&str, &str)],
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let mut template = self.template().await;
        // A body may have 51,200 bytes (CloudFormation, "Quotas"); larger ones come from a bucket. What linters and
        // people read is not deployed.
        for section in ["Resources", "Parameters", "Outputs"] {
            let parts = template[section].as_object_mut().expect("an object");
            for part in parts.values_mut() {
                let part = part.as_object_mut().expect("an object");
                part.remove("Metadata");
                part.remove("Description");
            }
        }
        change(&mut template);
        let endpoint = self.config.endpoint_url().expect("a local one");
        let local = [
            ("Stage", "local"),
            ("LocalEndpoint", endpoint),
            ("Architecture", ARCHITECTURE),
        ];
        self.create_with(&template, &[&local, parameters].concat())
            .await
    }

    async fn create_with(&self, template: &Value, parameters: &[(&str, &str)]) -> Self {
        let name = format!("hermes-tests-{}", Uuid::now_v7());
        let parameters = parameters.iter().map(|(name, value)| {
            Parameter::builder()
                .parameter_key(*name)
                .parameter_value(*value)
                .build()
        });
        let create = aws_sdk_cloudformation::Client::new(&self.config)
            .create_stack()
            .stack_name(&name)
            .template_body(template.to_string())
            .set_parameters(Some(parameters.collect()))
            .capabilities(Capability::CapabilityIam);
        create
            .send()
            .await
            .expect("CloudFormation takes the template");
        let created = async {
            loop {
                match describe(&self.config, &name).await.expect("it is there") {
                    (StackStatus::CreateInProgress, _) => tokio::task::yield_now().await,
                    (StackStatus::CreateComplete, stack) => return stack,
                    (status, _) => panic!("{name}: {status}"),
                }
            }
        };
        timeout(PATIENCE, created).await.expect("the stack is made")
    }

    /// Deletes a stack that a test made.
    pub async fn delete(self) {
        let delete = aws_sdk_cloudformation::Client::new(&self.config).delete_stack();
        delete
            .stack_name(&self.name)
            .send()
            .await
            .expect("it is deleted");
    }

    /// The resources of the deployed template, after the SAM transform.
    pub async fn resources(&self) -> Map<String, Value> {
        serde_json::from_value(self.template().await["Resources"].take()).expect("an object")
    }

    /// What AWS calls the resource that the template calls `logical`.
    pub async fn physical(&self, logical: &str) -> String {
        let describe = aws_sdk_cloudformation::Client::new(&self.config).describe_stack_resource();
        let described = describe
            .stack_name(&self.name)
            .logical_resource_id(logical)
            .send()
            .await
            .expect("the stack has it");
        let resource = described.stack_resource_detail.expect("a resource");
        resource.physical_resource_id.expect("it is made")
    }

    /// The deployed template, after the SAM transform.
    async fn template(&self) -> Value {
        let template = aws_sdk_cloudformation::Client::new(&self.config).get_template();
        let template = template
            .stack_name(&self.name)
            .template_stage(TemplateStage::Processed);
        let template = template
            .send()
            .await
            .expect("CloudFormation keeps it")
            .template_body;
        serde_json::from_str(&template.expect("a body")).expect("JSON")
    }

    /// An output of the stack.
    pub fn output(&self, name: &str) -> &str {
        let output = self.outputs.get(name);
        output.unwrap_or_else(|| panic!("the stack {} has no output {name}", self.name))
    }

    /// DynamoDB, for what the ports do not do.
    pub fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.dynamodb
    }

    /// SQS, for what the ports do not do.
    pub fn sqs(&self) -> &aws_sdk_sqs::Client {
        &self.sqs
    }

    /// The Connections table.
    pub fn connections(&self) -> DynamoConnections {
        DynamoConnections::with_client(self.dynamodb.clone(), self.output("ConnectionsTable"))
    }

    /// The Credentials table.
    pub fn credentials(&self) -> DynamoCredentials {
        DynamoCredentials::with_client(self.dynamodb.clone(), self.output("CredentialsTable"))
    }

    /// The sockets that are open.
    pub fn sockets(&self) -> ApiGatewaySockets {
        ApiGatewaySockets::new(&self.config, self.output("ConnectionsEndpoint"))
            .expect("the output is an endpoint")
    }

    /// The secret that signs tokens.
    pub async fn jwt_secret(&self) -> Secret {
        self.secret("JwtSecretArn").await
    }

    /// The key of inner tokens.
    pub async fn passcode(&self) -> Secret {
        self.secret("PasscodeSecretArn").await
    }

    async fn secret(&self, output: &str) -> Secret {
        let secret = stored_secret(&self.config, self.output(output)).await;
        secret.expect("the root account may read its secrets")
    }

    /// What issues tokens for it, as a backend in Rust does.
    pub async fn issuer(&self) -> Issuer<DynamoCredentials> {
        let secret =
            JwtSecret::new(self.jwt_secret().await).expect("the stack made it long enough");
        Issuer::new(
            self.credentials(),
            TokenSigner::new(&secret),
            self.passcode().await,
        )
    }

    /// Tries to connect with `token`.
    ///
    /// # Errors
    ///
    /// The HTTP status of the refusal.
    pub async fn connect(&self, place: TokenPlace, token: &str) -> Result<Socket, u16> {
        Socket::connect(self.output("WebSocketUrl"), place, token).await
    }

    /// A room that no other test knows.
    pub fn room(&self) -> Room<'_> {
        self.room_named(&format!("room-{}", Uuid::now_v7()))
    }

    /// The room `id`.
    pub fn room_named(&self, id: &str) -> Room<'_> {
        Room {
            stack: self,
            id: id.parse().expect("an id"),
        }
    }

    /// Puts a body on the message queue; gives the id that SQS gave it.
    pub async fn enqueue(&self, body: &str) -> String {
        let sent = self
            .sqs
            .send_message()
            .queue_url(self.output("MessageQueueUrl"))
            .message_body(body)
            .send()
            .await
            .expect("the queue takes it");
        sent.message_id.expect("SQS gives an id")
    }

    /// Puts bodies on the message queue in one call.
    pub async fn enqueue_batch<B: AsRef<str>>(&self, bodies: impl IntoIterator<Item = B>) {
        let mut batch = self
            .sqs
            .send_message_batch()
            .queue_url(self.output("MessageQueueUrl"));
        for (index, body) in bodies.into_iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body.as_ref());
            batch = batch.entries(entry.build().expect("complete"));
        }
        let sent = batch.send().await.expect("the queue takes the batch");
        assert!(sent.failed().is_empty(), "{:?}", sent.failed());
    }

    /// Puts messages, at most ten, on a FIFO message queue in one call.
    pub async fn enqueue_in_order<'a>(
        &self,
        messages: impl IntoIterator<Item = (&'a RoomId, String, Value)>,
    ) {
        let mut batch = self
            .sqs
            .send_message_batch()
            .queue_url(self.output("MessageQueueUrl"));
        let system: UserId = "system".parse().expect("an id");
        for (index, (room, id, data)) in messages.into_iter().enumerate() {
            let body = json!({"room_id": room, "id": id, "data": data}).to_string();
            let sequence = Sequence::of(room, &system, &id.parse().expect("an id"));
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .message_group_id(sequence.group)
                .message_deduplication_id(sequence.deduplication);
            batch = batch.entries(entry.build().expect("complete"));
        }
        let sent = batch.send().await.expect("the queue takes the batch");
        assert!(sent.failed().is_empty(), "{:?}", sent.failed());
    }

    /// The next dead letter whose body contains `mark`, taken out of its queue. Those of other tests,
    /// which read the same queue at the same time, are seen again two seconds later.
    pub async fn dead_letter(&self, mark: &str) -> Received {
        let queue = self.output("DeadLetterQueueUrl");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let received = self
                .sqs
                .receive_message()
                .queue_url(queue)
                .message_attribute_names("All")
                .max_number_of_messages(1)
                .visibility_timeout(2)
                .wait_time_seconds(1)
                .send()
                .await
                .expect("the queue is read");
            let [letter] = received.messages() else {
                continue;
            };
            if letter.body().expect("a body").contains(mark) {
                let delete = self.sqs.delete_message().queue_url(queue);
                let delete = delete.receipt_handle(letter.receipt_handle().expect("SQS gives one"));
                delete.send().await.expect("it is deleted");
                return letter.clone();
            }
        }
        panic!("no dead letter with {mark} came");
    }
}

/// The stack and how far it is; or why there is none.
async fn describe(config: &SdkConfig, name: &str) -> Result<(StackStatus, Stack), String> {
    let describe = aws_sdk_cloudformation::Client::new(config).describe_stacks();
    let described = describe
        .stack_name(name)
        .send()
        .await
        .map_err(|error| error_chain(&error))?;
    let [stack] = described.stacks() else {
        return Err("not one of this name".to_owned());
    };
    let outputs = stack.outputs().iter().filter_map(|output| {
        Some((
            output.output_key()?.to_owned(),
            output.output_value()?.to_owned(),
        ))
    });
    let found = Stack {
        config: config.clone(),
        name: name.to_owned(),
        outputs: outputs.collect(),
        dynamodb: aws_sdk_dynamodb::Client::new(config),
        sqs: aws_sdk_sqs::Client::new(config),
    };
    let status = stack.stack_status().cloned();
    Ok((status.ok_or("without a status")?, found))
}

/// A room of one test.
pub struct Room<'a> {
    stack: &'a Stack,
    /// Its name.
    pub id: RoomId,
}

impl Room<'_> {
    /// A token for `user` in this room.
    pub async fn token(&self, user: &str) -> String {
        let user: UserId = user.parse().expect("an id");
        let issuer = self.stack.issuer().await;
        let issued = issuer.issue(&user, &self.id, TTL, SystemClock.now()).await;
        issued.expect("the token is issued").jwt.expose().to_owned()
    }

    /// A socket of `user` that is open on both sides.
    pub async fn join(&self, user: &str) -> Socket {
        let token = self.token(user).await;
        let mut socket = self
            .stack
            .connect(TokenPlace::Subprotocol, &token)
            .await
            .expect("it connects");
        socket.ping().await;
        socket
    }

    /// Enqueues `data` for everybody in the room, as the backend `system`.
    pub async fn publish(&self, data: &Value) {
        self.stack
            .enqueue(&json!({"room_id": self.id, "data": data}).to_string())
            .await;
    }

    /// The members as the Connections table has them.
    pub async fn members(&self) -> Vec<Member> {
        let (connections, mut members, mut page) = (self.stack.connections(), Vec::new(), None);
        loop {
            let part = connections
                .members(
                    &self.id.clone().into(),
                    None,
                    page.as_ref(),
                    MEMBERS_PER_JOB,
                    SystemClock.now(),
                )
                .await;
            let part = part.expect("the room is read");
            members.extend(part.members);
            page = part.next;
            if page.is_none() {
                return members;
            }
        }
    }

    /// The connections of `user`.
    pub async fn connections_of(&self, user: &str) -> Vec<hermes::ConnectionId> {
        let members = self.members().await.into_iter();
        members
            .filter(|member| member.user.as_str() == user)
            .map(|member| member.connection)
            .collect()
    }

    /// Waits until the room has `count` members.
    pub async fn until_members_are(&self, count: usize) {
        let reached = async { while self.members().await.len() != count {} };
        timeout(PATIENCE, reached)
            .await
            .unwrap_or_else(|_| panic!("never {count} members in {}", self.id));
    }

    /// Closes the sockets of `user`, as `hermes token revoke` does.
    pub async fn close(&self, user: &str) {
        for connection in self.connections_of(user).await {
            self.stack
                .sockets()
                .close(&connection)
                .await
                .expect("the socket is closed");
        }
    }

    /// Writes a row of the Connections table as `$connect` would have written it, some seconds ago.
    pub async fn insert_row(&self, user: &str, connection: &str, connected_seconds_ago: u64) {
        let expires_at = SystemClock.now().as_secs() - connected_seconds_ago + 7500;
        let put = self
            .stack
            .dynamodb
            .put_item()
            .table_name(self.stack.output("ConnectionsTable"));
        put.item("room_id", AttributeValue::S(self.id.to_string()))
            .item(
                "member",
                AttributeValue::S(format!("{user}\u{1f}{connection}")),
            )
            .item("expires_at", AttributeValue::N(expires_at.to_string()))
            .send()
            .await
            .expect("the row is written");
    }
}
