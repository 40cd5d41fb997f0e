//! Calls to services of which the tests need one: signed by hand.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use serde_json::Value;
use ureq::http::Request;
use ureq::http::request::Builder;

use crate::stack::Stack;

/// Signs a request for a service.
pub fn sign_for(service: &str, credentials: &Credentials, request: &mut Request<String>) {
    let identity: Identity = credentials.clone().into();
    let signing = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .expect("complete")
        .into();
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.uri().to_string(),
        headers,
        SignableBody::Bytes(request.body().as_bytes()),
    );
    let (instructions, _) = sign(signable.expect("a request"), &signing)
        .expect("it is signed")
        .into_parts();
    instructions.apply_to_request_http1x(request);
}

/// Changes an event source mapping of a stack, by its name in the template.
pub async fn update_event_source_mapping(stack: &Stack, logical: &str, change: &Value) {
    let id = stack.physical(logical).await;
    let endpoint = stack.config.endpoint_url().expect("a local one");
    let url = format!("{endpoint}/2015-03-31/event-source-mappings/{id}");
    let request = Request::put(url).header("content-type", "application/json");
    call("lambda", request, change).await;
}

/// Calls an operation of CloudWatch.
pub async fn cloudwatch(stack: &Stack, operation: &str, input: &Value) {
    let endpoint = stack.config.endpoint_url().expect("a local one");
    let request = Request::post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header(
            "x-amz-target",
            format!("GraniteServiceVersion20100801.{operation}"),
        );
    call("monitoring", request, input).await;
}

async fn call(service: &str, request: Builder, input: &Value) {
    let mut request = request.body(input.to_string()).expect("a request");
    let root = Credentials::new("test", "test", None, None, "root");
    sign_for(service, &root, &mut request);
    tokio::task::spawn_blocking(|| ureq::run(request).expect("it is done"))
        .await
        .expect("the call does not panic");
}
