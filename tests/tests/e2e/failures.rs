//! What clients see of functions that cannot work at all.

use hermes_tests::socket::Socket;
use hermes_tests::stack::Stack;
use serde_json::{Value, json};

/// An API whose one route has a function of the deployed stack, but none of its variables: it refuses
/// to start.
async fn api_with_a_function_that_does_not_start(
    stack: &Stack,
    route: &str,
    function: &str,
) -> Stack {
    let resources = stack.resources().await;
    let deployed = &resources[function]["Properties"];
    let template = json!({
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }],
            }}},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                "Runtime": deployed["Runtime"], "Handler": deployed["Handler"], "Code": deployed["Code"],
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            }},
            "Permission": {"Type": "AWS::Lambda::Permission", "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Function"},
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": {"Fn::Sub":
                    "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*"},
            }},
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {
                "Name": {"Ref": "AWS::StackName"},
                "ProtocolType": "WEBSOCKET",
                "RouteSelectionExpression": "$request.body.action",
            }},
            "Integration": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {
                "ApiId": {"Ref": "Api"},
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": {"Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path\
                    /2015-03-31/functions/${Function.Arn}/invocations"},
            }},
            "Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
                "ApiId": {"Ref": "Api"},
                "RouteKey": route,
                "Target": {"Fn::Sub": "integrations/${Integration}"},
            }},
            "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": {
                "ApiId": {"Ref": "Api"}, "StageName": "test", "AutoDeploy": true,
            }},
        },
        "Outputs": {"Api": {"Value": {"Ref": "Api"}}},
    });
    stack.create(&template).await
}

/// The URL of an API of the test's own, where the deployed one's is.
fn url(stack: &Stack, api: &str) -> String {
    let mut parts: Vec<_> = stack.output("WebSocketUrl").rsplitn(3, '/').collect();
    (parts[0], parts[1]) = ("test", api);
    parts.reverse();
    parts.join("/")
}

/// Flaw: raw error text is returned.
#[tokio::test]
async fn a_connect_that_fails_is_a_server_error_and_no_socket() {
    let stack = Stack::find().await;
    let own = api_with_a_function_that_does_not_start(&stack, "$connect", "ConnectFunction").await;
    let refused = Socket::open(&url(&stack, own.output("Api")), None)
        .await
        .err();
    assert!(refused.is_some_and(|status| status >= 500), "{refused:?}");
    own.delete().await;
}

/// Flaw: error text with stack traces goes to clients.
#[tokio::test]
async fn a_message_whose_function_fails_is_answered_without_internals() {
    let stack = Stack::find().await;
    let own = api_with_a_function_that_does_not_start(&stack, "fail", "SendMessageFunction").await;
    let mut socket = Socket::open(&url(&stack, own.output("Api")), None)
        .await
        .unwrap();
    socket.send(r#"{"action":"fail"}"#).await;
    let answer = socket.notification().await.json;
    assert_eq!(answer["message"], "Internal server error");
    let fields: Vec<_> = answer
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(fields, ["connectionId", "message", "requestId"]);
    assert!(answer.as_object().unwrap().values().all(Value::is_string));
    own.delete().await;
}
