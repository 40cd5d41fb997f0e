//! Flaws of the design that Hermes grew from, which only the deployed stack or a release function as a
//! process can be shown not to have. The others are named, by `Flaw:`, at tests of the part that does
//! not have them.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hermes::UserId;
use hermes::claims::TokenSigner;
use hermes::issue::Issuer;
use hermes::secret::{JwtSecret, Secret};
use hermes::time::{Clock, SystemClock};
use hermes_tests::dynamo::Dynamo;
use hermes_tests::handshake::Handshake;
use hermes_tests::process::{Counted, Function};
use hermes_tests::stack::Stack;
use serde_json::{Map, Value, json};

fn of_type<'a>(resources: &'a Map<String, Value>, of: &str) -> BTreeMap<&'a str, &'a Value> {
    let resources = resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == of);
    resources
        .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
        .collect()
}

fn arn(resource: &str) -> Value {
    json!({"Fn::GetAtt": [resource, "Arn"]})
}

/// Flaw: nine DynamoDB actions for each function where one or two are needed; wildcard and malformed
/// ARNs; no policy at all for two functions.
#[tokio::test]
async fn each_function_has_a_role_of_its_own_that_allows_exactly_what_it_does() {
    let resources = Stack::find().await.resources().await;
    let functions = of_type(&resources, "AWS::Lambda::Function");
    let roles = of_type(&resources, "AWS::IAM::Role");
    assert_eq!(functions.len(), 9, "say below what a new one may do");
    // In the template only with a log; where there is none, nobody may touch it.
    let streams = || json!("StreamsTable");
    let connections = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/${Stage}/POST/@connections/*";
    for (name, allowed) in [
        (
            "Authorizer",
            vec![
                (json!("dynamodb:GetItem"), arn("CredentialsTable")),
                (
                    json!("secretsmanager:GetSecretValue"),
                    json!({"Fn::GetAtt": ["JwtSecret", "Id"]}),
                ),
            ],
        ),
        (
            "Connect",
            vec![(json!("dynamodb:PutItem"), arn("ConnectionsTable"))],
        ),
        (
            "Disconnect",
            vec![(json!("dynamodb:DeleteItem"), arn("ConnectionsTable"))],
        ),
        (
            "SendMessage",
            vec![
                (
                    json!(["dynamodb:Query", "dynamodb:DeleteItem"]),
                    arn("ConnectionsTable"),
                ),
                (
                    json!([
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:UpdateItem"
                    ]),
                    streams(),
                ),
                (
                    json!("execute-api:ManageConnections"),
                    json!({"Fn::Sub": connections}),
                ),
                (
                    json!("sqs:SendMessage"),
                    json!([arn("DeadLetterQueue"), arn("DeliveryQueue")]),
                ),
                // What polls the queue for it.
                (
                    json!([
                        "sqs:ReceiveMessage",
                        "sqs:DeleteMessage",
                        "sqs:GetQueueAttributes"
                    ]),
                    arn("MessageQueue"),
                ),
            ],
        ),
        (
            "SendMessageToSqs",
            vec![(json!("sqs:SendMessage"), arn("MessageQueue"))],
        ),
        (
            "Deliver",
            vec![
                (
                    json!(["dynamodb:Query", "dynamodb:DeleteItem"]),
                    arn("ConnectionsTable"),
                ),
                (
                    json!("execute-api:ManageConnections"),
                    json!({"Fn::Sub": connections}),
                ),
                // It enqueues what is left of a room; and what polls the queue for it.
                (
                    json!([
                        "sqs:SendMessage",
                        "sqs:ReceiveMessage",
                        "sqs:DeleteMessage",
                        "sqs:GetQueueAttributes"
                    ]),
                    arn("DeliveryQueue"),
                ),
            ],
        ),
        (
            "Recover",
            vec![(
                json!(["dynamodb:Query", "dynamodb:GetItem", "dynamodb:PutItem"]),
                streams(),
            )],
        ),
        ("Default", vec![(json!("dynamodb:BatchGetItem"), streams())]),
        (
            "ServerApi",
            vec![
                (json!("sqs:SendMessage"), arn("MessageQueue")),
                (json!("dynamodb:Query"), streams()),
                (json!("dynamodb:Query"), arn("ConnectionsTable")),
                (
                    json!("execute-api:ManageConnections"),
                    json!([
                        {"Fn::Sub": connections},
                        {"Fn::Sub": connections.replace("POST", "DELETE")},
                    ]),
                ),
                (
                    json!(["dynamodb:GetItem", "dynamodb:UpdateItem"]),
                    arn("CredentialsTable"),
                ),
                (
                    json!("secretsmanager:GetSecretValue"),
                    json!([
                        {"Fn::GetAtt": ["JwtSecret", "Id"]},
                        {"Fn::GetAtt": ["PasscodeSecret", "Id"]},
                    ]),
                ),
            ],
        ),
    ] {
        let role = format!("{name}Role");
        assert_eq!(
            functions[format!("{name}Function").as_str()]["Role"],
            arn(&role)
        );
        let mut statements: Vec<Value> = allowed
            .into_iter()
            .map(|(action, resource)| {
                let allow =
                    |resource| json!({"Effect": "Allow", "Action": action, "Resource": resource});
                if resource == streams() {
                    let allow = allow(arn("StreamsTable"));
                    return json!({"Fn::If": ["HasHistory", allow, {"Ref": "AWS::NoValue"}]});
                }
                allow(resource)
            })
            .collect();
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": arn(&format!("{name}LogGroup")),
        }));
        let role = roles[role.as_str()];
        assert_eq!(role["Policies"].as_array().unwrap().len(), 1, "{name}");
        assert_eq!(
            role["Policies"][0]["PolicyDocument"]["Statement"],
            json!(statements),
            "{name}"
        );
        assert_eq!(role.get("ManagedPolicyArns"), None, "{name}");
    }
    for (name, permission) in of_type(&resources, "AWS::Lambda::Permission") {
        assert!(
            permission.get("SourceArn").is_some(),
            "{name} says who may call"
        );
    }
}

/// Flaw: a secret in the clear in the environment, printed in the documentation.
#[tokio::test]
async fn no_secret_is_in_the_environment_or_in_the_template() {
    let stack = Stack::find().await;
    let resources = stack.resources().await;
    let text = Value::Object(resources.clone()).to_string();
    for secret in [stack.jwt_secret().await, stack.passcode().await] {
        assert!(secret.expose().len() >= 64, "made by the stack");
        assert!(!text.contains(secret.expose()));
    }
    assert!(
        !text.contains("resolve:secretsmanager"),
        "which puts the value where it stands"
    );
    for (name, function) in of_type(&resources, "AWS::Lambda::Function") {
        for (variable, value) in function["Environment"]["Variables"].as_object().unwrap() {
            let allowed = match variable.as_str() {
                "JWT_SECRET" | "PASSCODE_SECRET" => *value == "",
                "JWT_SECRET_ARN" => ["AuthorizerFunction", "ServerApiFunction"].contains(&name),
                "PASSCODE_SECRET_ARN" => name == "ServerApiFunction",
                _ => !value.to_string().contains("Secret") && !variable.contains("SECRET"),
            };
            assert!(allowed, "{name}: {variable}");
        }
    }
}

/// Flaw: the table has no expiry: a lost `$disconnect` leaves a row for ever.
#[tokio::test]
async fn dynamodb_deletes_what_connect_wrote() {
    let resources = Stack::find().await.resources().await;
    let tables = of_type(&resources, "AWS::DynamoDB::Table");
    let ttl = json!({"AttributeName": "expires_at", "Enabled": true});
    assert_eq!(tables["ConnectionsTable"]["TimeToLiveSpecification"], ttl);
    assert_eq!(tables["StreamsTable"]["TimeToLiveSpecification"], ttl);
    assert_eq!(
        tables["CredentialsTable"].get("TimeToLiveSpecification"),
        None
    );
}

/// Flaw: answers 500 to SQS, which means success there.
#[tokio::test]
async fn sqs_is_told_which_records_failed() {
    let resources = Stack::find().await.resources().await;
    let sources = of_type(&resources, "AWS::Lambda::EventSourceMapping");
    let source = sources["SendMessageFunctionMessages"];
    assert_eq!(
        source["FunctionResponseTypes"],
        json!(["ReportBatchItemFailures"])
    );
    let queue = of_type(&resources, "AWS::SQS::Queue")["MessageQueue"];
    assert!(queue["RedrivePolicy"]["maxReceiveCount"].as_u64().unwrap() >= 5);
    let timeout =
        of_type(&resources, "AWS::Lambda::Function")["SendMessageFunction"]["Timeout"].as_u64();
    assert!(queue["VisibilityTimeout"].as_u64().unwrap() >= 6 * timeout.unwrap());
}

/// Flaw: another environment name for the same table, never defined; an undefined variable in the
/// endpoint; the table name read from a field that does not exist. A function that is not told what it
/// needs does not start, and says what is missing.
#[tokio::test]
async fn a_function_without_a_variable_refuses_to_start_and_names_it() {
    let all = [
        ("CONNECTIONS_TABLE", "Connections"),
        ("CREDENTIALS_TABLE", "Credentials"),
        ("CONNECTIONS_ENDPOINT", "http://127.0.0.1:9/dev"),
        ("DEAD_LETTER_QUEUE_URL", "http://127.0.0.1:9/dead"),
        ("MESSAGE_QUEUE_URL", "http://127.0.0.1:9/queue"),
        ("DELIVERY_QUEUE_URL", "http://127.0.0.1:9/jobs"),
        ("STREAMS_TABLE", "Streams"),
        ("HISTORY_DAYS", "7"),
        (
            "JWT_SECRET",
            "a-secret-of-the-tests-that-has-more-than-sixty-four-bytes-0123456789",
        ),
        ("PASSCODE_SECRET", "the passcode"),
    ];
    for (function, variable, named) in [
        (
            "AuthorizerFunction",
            "CREDENTIALS_TABLE",
            "CREDENTIALS_TABLE",
        ),
        ("AuthorizerFunction", "JWT_SECRET", "JWT_SECRET_ARN"),
        ("ConnectFunction", "CONNECTIONS_TABLE", "CONNECTIONS_TABLE"),
        (
            "DisconnectFunction",
            "CONNECTIONS_TABLE",
            "CONNECTIONS_TABLE",
        ),
        (
            "SendMessageFunction",
            "CONNECTIONS_TABLE",
            "CONNECTIONS_TABLE",
        ),
        (
            "SendMessageFunction",
            "CONNECTIONS_ENDPOINT",
            "CONNECTIONS_ENDPOINT",
        ),
        (
            "SendMessageFunction",
            "DEAD_LETTER_QUEUE_URL",
            "DEAD_LETTER_QUEUE_URL",
        ),
        (
            "SendMessageFunction",
            "DELIVERY_QUEUE_URL",
            "DELIVERY_QUEUE_URL",
        ),
        ("SendMessageFunction", "STREAMS_TABLE", "STREAMS_TABLE"),
        (
            "SendMessageToSqsFunction",
            "MESSAGE_QUEUE_URL",
            "MESSAGE_QUEUE_URL",
        ),
        (
            "DeliverFunction",
            "DELIVERY_QUEUE_URL",
            "DELIVERY_QUEUE_URL",
        ),
        ("RecoverFunction", "STREAMS_TABLE", "STREAMS_TABLE"),
        ("DefaultFunction", "STREAMS_TABLE", "STREAMS_TABLE"),
        (
            "ServerApiFunction",
            "MESSAGE_QUEUE_URL",
            "MESSAGE_QUEUE_URL",
        ),
        (
            "ServerApiFunction",
            "PASSCODE_SECRET",
            "PASSCODE_SECRET_ARN",
        ),
    ] {
        let given: Vec<_> = all
            .into_iter()
            .filter(|(name, _)| *name != variable)
            .collect();
        let (status, written) = Function::start(function, &given).await.ended().await;
        assert!(!status.success(), "{function}");
        assert!(
            written.contains(&format!("the environment variable {named} is not set")),
            "{function}: {written}"
        );
    }
}

/// Flaw: a 47-byte secret.
#[tokio::test]
async fn the_authorizer_refuses_to_start_with_a_short_secret() {
    let secret = "x".repeat(47);
    let variables = [
        ("CREDENTIALS_TABLE", "Credentials"),
        ("JWT_SECRET", secret.as_str()),
    ];
    let (status, written) = Function::start("AuthorizerFunction", &variables)
        .await
        .ended()
        .await;
    assert!(!status.success());
    assert!(
        written.contains("JWT_SECRET") && written.contains("47 bytes"),
        "{written}"
    );
    assert!(!written.contains(&secret), "and does not show it");
}

/// Flaw: a client is built on every call.
/// Flaw: a missing row throws outside the error handling and kills the process.
/// Flaw: error text with stack traces goes to clients.
#[tokio::test]
async fn one_process_and_one_connection_serve_every_handshake_and_log_no_token() {
    const SECRET: &str = "a-secret-of-the-tests-that-has-more-than-sixty-four-bytes-0123456789";
    let dynamo = Dynamo::start().await;
    let secret = JwtSecret::new(Secret::new(SECRET)).unwrap();
    let issuer = Issuer::new(
        dynamo.credentials(),
        TokenSigner::new(&secret),
        Secret::new("the passcode"),
    );
    let room = "red".parse().unwrap();
    let issue = async |user: &UserId| {
        let issued = issuer
            .issue(user, &room, Duration::from_secs(60), SystemClock.now())
            .await
            .unwrap();
        issued.jwt.expose().to_owned()
    };
    let (alice, bob, revoked): (UserId, UserId, UserId) = (
        "alice".parse().unwrap(),
        "bob".parse().unwrap(),
        "revoked".parse().unwrap(),
    );
    let tokens = [
        issue(&alice).await,
        issue(&bob).await,
        issue(&revoked).await,
    ];
    hermes::issue::revoke(&dynamo.credentials(), &revoked, &room)
        .await
        .unwrap();

    let table = Counted::before(dynamo.endpoint()).await;
    let variables = [
        ("CREDENTIALS_TABLE", "Credentials"),
        ("JWT_SECRET", SECRET),
        ("AWS_ENDPOINT_URL", table.url.as_str()),
        ("LOG_LEVEL", "trace"),
    ];
    let mut authorizer = Function::start("AuthorizerFunction", &variables).await;
    let effect = |answer: &Value| answer["policyDocument"]["Statement"][0]["Effect"].clone();
    for _ in 0..3 {
        for (token, expected) in tokens.iter().zip(["Allow", "Allow", "Deny"]) {
            let query = Handshake::with_query_token(token).to_event();
            assert_eq!(effect(&authorizer.invoke(query).await.unwrap()), expected);
        }
        let forged = format!("{}x", tokens[0]);
        for event in [
            Handshake::with_subprotocol_token(&forged).to_event(),
            Handshake::default().to_event(),
        ] {
            let error = authorizer.invoke(event).await.unwrap_err();
            assert_eq!(error["errorMessage"], "Unauthorized");
            assert_eq!(
                error["stackTrace"].as_array().map_or(0, Vec::len),
                0,
                "{error}"
            );
        }
        // What is no event at all ends the invocation, not the process.
        assert!(authorizer.invoke(json!([])).await.is_err());
    }
    assert_eq!(table.connections(), 1, "one client, kept");

    let log = authorizer.end().await;
    assert!(log.contains("denied revoked in red"), "{log}");
    for token in &tokens {
        for part in token.split('.').skip(1).chain([SECRET, "the passcode"]) {
            assert!(!log.contains(part), "{part} in {log}");
        }
    }
    for line in log.lines() {
        assert!(
            serde_json::from_str::<Map<String, Value>>(line).is_ok(),
            "each line is JSON: {line}"
        );
    }
}

/// Flaw: whoever knows the URL may call it. (That it is enforced: `e2e/server_api.rs`.)
#[tokio::test]
async fn every_route_of_the_server_api_asks_iam() {
    let resources = Stack::find().await.resources().await;
    let routes = of_type(&resources, "AWS::ApiGatewayV2::Route");
    let server = routes
        .into_iter()
        .filter(|(_, route)| route["ApiId"] == json!({"Ref": "ServerApi"}));
    let keys: Vec<_> = server
        .map(|(name, route)| {
            assert_eq!(route["AuthorizationType"], "AWS_IAM", "{name}");
            route["RouteKey"].as_str().unwrap().to_owned()
        })
        .collect();
    let document: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    let mut expected = vec!["$default".to_owned()];
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        expected.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert_eq!(BTreeSet::from_iter(keys), BTreeSet::from_iter(expected));
}
