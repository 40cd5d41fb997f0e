//! Why a command failed: what was wrong, what to do about it, and the exit code.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::error::metadata::ErrorMetadata;
use hermes::issue::IssueError;
use hermes::ports::PortError;
use hermes::telemetry::error_chain;

/// The command ran, and what it was asked for was not done.
const FAILED: u8 = 1;

/// What a caller needs whom AWS refuses a call.
const ASK_FOR_A_POLICY: &str = "ask for a policy that allows";

/// The command was not asked for in a way that it could be done.
const USAGE: u8 = 2;

/// Ends a command. Shown as one line of what was wrong and, where it is known, one of what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure that the command could not know before: exit code 1.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
            code: FAILED,
        }
    }

    /// A wrong argument or a missing setting: exit code 2.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            ..Self::new(what)
        }
    }

    /// Says what to do.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// `operation`, a call to AWS, failed.
    pub(crate) fn aws(operation: &str, error: &Cause) -> Self {
        let (cause, hint) = explain(error);
        let failure = Self::new(format!("{operation} failed: {cause}"));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Whether AWS does not let this caller do it.
    pub(crate) fn is_denied(&self) -> bool {
        let hint = self.hint.as_deref();
        hint.is_some_and(|hint| hint.starts_with(ASK_FOR_A_POLICY))
    }

    /// What was wrong, and what to do.
    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.what, self.hint)
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.code.into()
    }

    /// Whether there is anything to say: nothing where the reader of our output went away.
    pub(crate) fn is_silent(&self) -> bool {
        self.what.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::aws(error.operation, error.source.as_ref())
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Store(error) => error.into(),
            other => Self::new(other.to_string()),
        }
    }
}

/// Writing to standard output failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // `hermes listen | head -1`: whoever read has enough, and that is no failure.
            return Self {
                code: 0,
                ..Self::new("")
            };
        }
        Self::new(format!("cannot write to standard output: {error}"))
    }
}

/// The cause of a failed call in words, and what to do about it.
fn explain(error: &Cause) -> (String, Option<String>) {
    let text = error_chain(error);
    let metadata = find::<ErrorMetadata>(error);
    let code = metadata.and_then(ErrorMetadata::code).unwrap_or_default();
    let message = metadata
        .and_then(ErrorMetadata::message)
        .map_or_else(|| root_cause(error), str::to_owned);

    if let Some(credentials) = find::<CredentialsError>(error) {
        return explain_credentials(credentials);
    }
    if let Some(action) = denied_action(&message) {
        return (
            message.clone(),
            Some(format!("{ASK_FOR_A_POLICY} {action}")),
        );
    }
    if code.contains("AccessDenied") || code == "ForbiddenException" {
        return (message, Some(format!("{ASK_FOR_A_POLICY} this call")));
    }
    if ["Token", "Signature", "UnrecognizedClient", "AccessKey"]
        .iter()
        .any(|part| code.contains(part))
    {
        return (
            format!("AWS refuses the credentials: {message}"),
            Some(
                "they may have expired (`aws sso login`) or belong to something else (--profile)"
                    .to_owned(),
            ),
        );
    }
    if ["ResourceNotFound", "QueueDoesNotExist", "NonExistentQueue"]
        .iter()
        .any(|part| text.contains(part))
    {
        return (
            message,
            Some(
                "is this the region and the account of the stack? Look at --region, --profile, \
                 and the HERMES_* variables"
                    .to_owned(),
            ),
        );
    }
    if find::<ConnectorError>(error).is_some() || text.contains("timed out") {
        return (message, Some(unreachable_hint()));
    }
    (message, None)
}

fn explain_credentials(error: &CredentialsError) -> (String, Option<String>) {
    let reason = root_cause(error);
    if reason.contains("`credentials-login`") {
        // Reading it would take a second library of cryptography.
        return (
            "the profile is one of `aws login`, which only the AWS CLI reads".to_owned(),
            Some("let it: eval \"$(aws configure export-credentials --format env)\"".to_owned()),
        );
    }
    let cause = match error {
        // The reason lists every provider that was asked, or says that one was not asked.
        CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials were found".to_owned(),
        _ => format!(
            "no usable AWS credentials: {}",
            reason.lines().next().unwrap_or_default()
        ),
    };
    (
        cause,
        Some(
            "log in with `aws sso login` or `aws configure` and name the profile with --profile \
             (`aws configure list-profiles` shows all), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                .to_owned(),
        ),
    )
}

fn unreachable_hint() -> String {
    match std::env::var("AWS_ENDPOINT_URL") {
        Ok(endpoint) if !endpoint.is_empty() => {
            format!("AWS_ENDPOINT_URL is {endpoint}: does the local stack run there?")
        }
        _ => "AWS cannot be reached: look at the network and at --region".to_owned(),
    }
}

/// The action in "User: … is not authorized to perform: ACTION on resource: …".
fn denied_action(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    rest.split_whitespace().next()
}

type Cause = dyn Error + 'static;

fn chain(error: &Cause) -> impl Iterator<Item = &Cause> {
    fn source<'a>(error: &&'a Cause) -> Option<&'a Cause> {
        Error::source(*error)
    }
    std::iter::successors(Some(error), source)
}

fn find<T: Error + 'static>(error: &Cause) -> Option<&T> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn root_cause(error: &Cause) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service_error(code: &str, message: &str) -> Failure {
        let error = ErrorMetadata::builder().code(code).message(message).build();
        Failure::from(PortError::new("reading the credential", error))
    }

    #[test]
    fn a_denied_call_names_the_action() {
        let failure = service_error(
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/dev is not authorized to perform: dynamodb:GetItem on resource: x",
        );
        assert_eq!(
            failure.to_string(),
            "reading the credential failed: User: arn:aws:iam::1:user/dev is not authorized to perform: \
             dynamodb:GetItem on resource: x\n  ask for a policy that allows dynamodb:GetItem"
        );
    }

    #[test]
    fn expired_credentials_are_told_from_missing_ones() {
        let expired = service_error("ExpiredTokenException", "it is old").to_string();
        assert!(expired.contains("AWS refuses the credentials: it is old"));
        let missing = Failure::from(PortError::new(
            "reading the credential",
            CredentialsError::not_loaded("no credentials in chain. Attempted:\n  Environment: …"),
        ))
        .to_string();
        assert!(
            missing.contains("no AWS credentials were found"),
            "{missing}"
        );
        assert!(missing.contains("--profile"), "{missing}");
    }

    #[test]
    fn a_table_that_is_not_there_asks_for_the_region() {
        let failure =
            service_error("ResourceNotFoundException", "Requested resource not found").to_string();
        assert!(failure.contains("--region"), "{failure}");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.is_silent());
        assert!(!Failure::from(io::Error::other("full")).is_silent());
    }
}
