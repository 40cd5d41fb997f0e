//! Whether the deployment has ended well.

use super::check::Check;
use crate::settings::Deployment;
use crate::table::count;

const CHECK: &str = "stack";

const EVENTS: &str =
    "`aws cloudformation describe-stack-events --stack-name NAME` says why; deploy it again";

/// The outputs without which nothing works.
const OUTPUTS: [&str; 11] = [
    "WebSocketUrl",
    "ServerApiUrl",
    "ConnectionsEndpoint",
    "MessageQueueUrl",
    "DeadLetterQueueUrl",
    "DeliveryQueueUrl",
    "DeliveryDeadLetterQueueUrl",
    "ConnectionsTable",
    "CredentialsTable",
    "JwtSecretArn",
    "PasscodeSecretArn",
];

pub(super) fn check(stack: &Deployment) -> Vec<Check> {
    let (name, status) = (&stack.name, &stack.status);
    let is = format!("{name} is {status}");
    let check = match status.as_str() {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => {
            let resources = count(stack.resources.len(), "resource");
            Check::ok(CHECK, format!("{is}, {resources}"))
        }
        "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => Check::warn(
            CHECK,
            format!("{is}: the last deployment failed, the one before is in place"),
            EVENTS,
        ),
        status if status.ends_with("_IN_PROGRESS") => Check::warn(
            CHECK,
            is,
            "a deployment is under way: look again when it has ended",
        ),
        _ => Check::fail(CHECK, is, EVENTS),
    };
    let mut checks = vec![check];
    let missing: Vec<_> = OUTPUTS
        .into_iter()
        .filter(|output| !stack.values.contains_key(*output))
        .collect();
    if !missing.is_empty() {
        checks.push(Check::fail(
            CHECK,
            format!("{name} has no output {}", missing.join(", ")),
            "is it a Hermes stack of this version? Deploy it again",
        ));
    }
    let failed: Vec<_> = stack
        .resources
        .iter()
        .filter(|resource| resource.status.ends_with("_FAILED"))
        .map(|resource| format!("{} ({})", resource.logical, resource.status))
        .collect();
    if !failed.is_empty() {
        checks.push(Check::fail(
            CHECK,
            format!("not made or not changed: {}", failed.join(", ")),
            EVENTS,
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    fn stack(status: &str) -> Deployment {
        Deployment {
            name: "dev".to_owned(),
            status: status.to_owned(),
            values: OUTPUTS
                .iter()
                .map(|name| ((*name).to_owned(), String::new()))
                .collect(),
            resources: Vec::new(),
        }
    }

    #[test]
    fn a_deployment_that_failed_is_found() {
        for (status, outcome) in [
            ("CREATE_COMPLETE", Outcome::Ok),
            ("UPDATE_IN_PROGRESS", Outcome::Warn),
            ("UPDATE_ROLLBACK_COMPLETE", Outcome::Warn),
            ("ROLLBACK_COMPLETE", Outcome::Fail),
            ("UPDATE_ROLLBACK_FAILED", Outcome::Fail),
        ] {
            let checks = check(&stack(status));
            assert_eq!(checks.len(), 1);
            assert_eq!(checks[0].outcome, outcome, "{status}");
        }
    }

    #[test]
    fn a_missing_output_is_named() {
        let mut stack = stack("CREATE_COMPLETE");
        stack.values.remove("JwtSecretArn");
        let checks = check(&stack);
        assert_eq!(checks[1].outcome, Outcome::Fail);
        assert!(checks[1].says.contains("no output JwtSecretArn"));
    }
}
