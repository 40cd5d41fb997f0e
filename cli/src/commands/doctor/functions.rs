//! Whether the functions are ready, and whether the queues start them.

use serde_json::Value;

use super::check::Check;
use crate::failure::Failure;
use crate::settings::{Deployment, Resource};
use crate::signed::{Service, Signed};
use crate::table::count;

const CHECK: &str = "functions";
const TRIGGERS: &str = "triggers";

/// How many queues start a function.
const QUEUES: usize = 2;

pub(super) async fn check(signed: &Signed, stack: &Deployment) -> Vec<Check> {
    let (mut checks, mut ready) = (Vec::new(), 0);
    for function in stack.of_kind("AWS::Lambda::Function") {
        match state(signed, function).await {
            Ok(None) => ready += 1,
            Ok(Some(check)) => checks.push(check),
            Err(failure) => checks.push(Check::failed(CHECK, failure)),
        }
    }
    if ready > 0 {
        checks.insert(
            0,
            Check::ok(CHECK, format!("{} ready", count(ready, "function"))),
        );
    } else if checks.is_empty() {
        checks.push(Check::fail(
            CHECK,
            "the stack has no functions",
            "deploy it again",
        ));
    }
    checks
}

/// What is wrong with a function.
async fn state(signed: &Signed, function: &Resource) -> Result<Option<Check>, Failure> {
    let name = &function.physical;
    let path = format!("/2015-03-31/functions/{name}/configuration");
    let doing = format!("reading the configuration of {name}");
    let configuration = signed.get(Service::Lambda, &path, &doing).await?;
    let text = |field: &str| configuration[field].as_str().unwrap_or_default().to_owned();
    let (state, update) = (text("State"), text("LastUpdateStatus"));
    Ok(match (state.as_str(), update.as_str()) {
        ("Active" | "Inactive" | "", "Successful" | "") => None,
        (_, "InProgress") | ("Pending", _) => Some(Check::warn(
            CHECK,
            format!("{name} is being changed ({state}, {update})"),
            "look again in a minute",
        )),
        _ => Some(Check::fail(
            CHECK,
            format!(
                "{name} is {state}, its last update {update}: {}{}",
                text("StateReason"),
                text("LastUpdateStatusReason")
            ),
            "deploy the stack again",
        )),
    })
}

pub(super) async fn triggers(signed: &Signed, stack: &Deployment) -> Vec<Check> {
    let mappings: Vec<_> = stack.of_kind("AWS::Lambda::EventSourceMapping").collect();
    let mut checks = Vec::new();
    for mapping in &mappings {
        let found = trigger(signed, mapping).await;
        checks.push(found.unwrap_or_else(|failure| Check::failed(TRIGGERS, failure)));
    }
    if mappings.len() < QUEUES {
        checks.push(Check::fail(
            TRIGGERS,
            format!("{} of {QUEUES} queues start a function", mappings.len()),
            "deploy the stack again",
        ));
    }
    checks
}

async fn trigger(signed: &Signed, mapping: &Resource) -> Result<Check, Failure> {
    let id = &mapping.physical;
    let path = format!("/2015-03-31/event-source-mappings/{id}");
    let found = signed
        .get(Service::Lambda, &path, "reading an event source mapping")
        .await?;
    let last = |field: &str| {
        let arn = found[field].as_str().unwrap_or_default();
        arn.rsplit(':').next().unwrap_or_default().to_owned()
    };
    let (queue, function) = (last("EventSourceArn"), last("FunctionArn"));
    let state = found["State"].as_str().unwrap_or_default();
    // A role may be at fault, a queue may be gone: then the state stays Enabled.
    let result = found["LastProcessingResult"].as_str().unwrap_or_default();
    Ok(match state {
        "Enabled" if is_problem(&found["LastProcessingResult"]) => Check::warn(
            TRIGGERS,
            format!("{queue} starts {function}, but: {result}"),
            format!("look at the role of {function} and at its queue"),
        ),
        "Enabled" => Check::ok(TRIGGERS, format!("{queue} starts {function}")),
        "Creating" | "Enabling" | "Updating" => Check::warn(
            TRIGGERS,
            format!("{queue} does not start {function} yet ({state})"),
            "look again in a minute",
        ),
        _ => Check::fail(
            TRIGGERS,
            format!(
                "{queue} does not start {function}: its trigger is {state}; what is sent stays in the queue"
            ),
            format!("`aws lambda update-event-source-mapping --uuid {id} --enabled`"),
        ),
    })
}

fn is_problem(result: &Value) -> bool {
    result
        .as_str()
        .is_some_and(|result| result.starts_with("PROBLEM"))
}
