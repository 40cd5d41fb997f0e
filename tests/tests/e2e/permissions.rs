//! IAM is enforced where these tests run: that they pass means that each function has the permissions
//! that it needs. (That none has more: `tutorial_flaws.rs`.)

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use hermes::aws::{
    ApiGatewaySockets, DynamoConnections, DynamoCredentials, SqsQueue, stored_secret,
};
use hermes::fanout::MEMBERS_PER_JOB;
use hermes::message::Sequence;
use hermes::ports::{Connections, Credentials as _, MessageQueue, PortError, Sockets};
use hermes::telemetry::error_chain;
use hermes::time::{Clock, SystemClock};
use hermes_tests::stack::{Room, Stack};
use serde_json::json;

fn with_credentials(stack: &Stack, credentials: Credentials) -> SdkConfig {
    let provider = SharedCredentialsProvider::new(credentials);
    stack
        .config
        .clone()
        .into_builder()
        .credentials_provider(provider)
        .build()
}

/// Everything that Hermes does with AWS, except for enqueueing.
async fn try_everything(
    stack: &Stack,
    config: &SdkConfig,
    room: &Room<'_>,
) -> Vec<(&'static str, Result<(), PortError>)> {
    let user = "alice".parse().unwrap();
    let [member] = room.members().await.try_into().unwrap();
    let partition = room.id.clone().into();
    let connections = DynamoConnections::new(config, stack.output("ConnectionsTable"));
    let credentials = DynamoCredentials::new(config, stack.output("CredentialsTable"));
    let sockets = ApiGatewaySockets::new(config, stack.output("ConnectionsEndpoint")).unwrap();
    let dead_letters = SqsQueue::new(config, stack.output("DeadLetterQueueUrl"));
    let post = sockets.post(&member.connection, "intruder").await;
    vec![
        (
            "Query",
            connections
                .members(&partition, None, None, MEMBERS_PER_JOB, SystemClock.now())
                .await
                .map(drop),
        ),
        ("PutItem", connections.join(&partition, &member).await),
        (
            "DeleteItem",
            connections
                .leave(&partition, &user, &member.connection)
                .await,
        ),
        ("GetItem", credentials.find(&user, &room.id).await.map(drop)),
        (
            "UpdateItem",
            credentials.revoke(&user, &room.id, "0").await.map(drop),
        ),
        (
            "the JWT secret",
            stored_secret(config, stack.output("JwtSecretArn"))
                .await
                .map(drop),
        ),
        (
            "the passcode",
            stored_secret(config, stack.output("PasscodeSecretArn"))
                .await
                .map(drop),
        ),
        (
            "the dead-letter queue",
            dead_letters
                .enqueue("intruder", &Sequence::alone("-"))
                .await,
        ),
        (
            "posting",
            post.map(drop)
                .map_err(|error| PortError::new("posting", error)),
        ),
        ("closing", sockets.close(&member.connection).await),
    ]
}

#[tokio::test]
async fn nobody_gets_in_with_keys_that_do_not_exist() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    let unknown = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let config = with_credentials(&stack, unknown);
    for (what, tried) in try_everything(&stack, &config, &room).await {
        assert!(tried.is_err(), "{what}");
    }
    let queue = SqsQueue::new(&config, stack.output("MessageQueueUrl"));
    assert!(
        queue
            .enqueue(
                &json!({"room_id": room.id, "data": 1}).to_string(),
                &Sequence::alone("-")
            )
            .await
            .is_err()
    );
    alice.receives_nothing_more("alice").await;
}

/// A role that may put messages on the queue (as a backend's, or send-message-to-sqs's) can do that and
/// nothing else, with the kind of credentials that functions have.
#[tokio::test]
async fn a_role_can_do_what_its_policy_says_and_nothing_else() {
    let stack = Stack::find().await;
    let room = stack.room();
    let mut alice = room.join("alice").await;
    let role = role_that_may_enqueue(&stack).await;
    let config = with_credentials(&stack, assume(&stack, role.output("Role")).await);

    for (what, tried) in try_everything(&stack, &config, &room).await {
        let error = error_chain(&tried.expect_err(what)).to_lowercase();
        let is_denied =
            error.contains("not authorized") || error.contains("403 forbidden accessdenied");
        assert!(is_denied, "{what}: {error}");
    }
    let queue = SqsQueue::new(&config, stack.output("MessageQueueUrl"));
    queue
        .enqueue(
            &json!({"room_id": room.id, "data": "allowed"}).to_string(),
            &Sequence::alone("-"),
        )
        .await
        .unwrap();
    assert_eq!(alice.notification().await.data(), "allowed");
    alice.receives_nothing_more("alice").await;
    role.delete().await;
}

/// A role that may put messages on the queue, in a stack of its own.
async fn role_that_may_enqueue(stack: &Stack) -> Stack {
    let queue = stack
        .sqs()
        .get_queue_attributes()
        .queue_url(stack.output("MessageQueueUrl"));
    let queue = queue
        .attribute_names("QueueArn".into())
        .send()
        .await
        .unwrap();
    let queue = queue
        .attributes
        .unwrap()
        .remove(&"QueueArn".into())
        .unwrap();
    let template = json!({
        "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow",
                "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
                "Action": "sts:AssumeRole",
            }]},
            "Policies": [{"PolicyName": "enqueue", "PolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue},
            ]}}],
        }}},
        "Outputs": {"Role": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
    });
    stack.create(&template).await
}

pub(crate) async fn assume(stack: &Stack, role: &str) -> Credentials {
    let sts = aws_sdk_sts::Client::new(&stack.config);
    let assume = sts.assume_role().role_arn(role).role_session_name("tests");
    let given = assume.send().await.unwrap().credentials.unwrap();
    let token = Some(given.session_token);
    Credentials::new(
        given.access_key_id,
        given.secret_access_key,
        token,
        None,
        "assumed",
    )
}
