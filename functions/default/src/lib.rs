//! `ping`, and whatever no other route takes: unknown actions, and text that is no JSON object.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use hermes::aws::invocation::respond;
use hermes::frame::{Answer, ErrorCode, Fields, Reference, Refusal};

/// Handles one event of the routes `ping` and `$default`.
pub fn handle(event: &ApiGatewayWebsocketProxyRequest) -> ApiGatewayProxyResponse {
    let (reference, answer) = match answer(event.body.as_deref().unwrap_or_default()) {
        Ok(answered) => answered,
        Err(refusal) => (None, Answer::Error(refusal)),
    };
    respond(&answer, reference.as_ref())
}

fn answer(frame: &str) -> Result<(Option<Reference>, Answer), Refusal> {
    let fields = Fields::parse(frame)?;
    let reference = fields.reference()?;
    let answer = if fields.action_is("ping") {
        Answer::Pong
    } else {
        Answer::Error(Refusal::new(
            ErrorCode::UnknownAction,
            "`action` must be one of sendMessage, sendMessageToSQS, ping",
        ))
    };
    Ok((reference, answer))
}
