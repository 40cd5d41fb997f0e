//! Where everything is: the `HERMES_*` variables, then the outputs of the CloudFormation stack. Only
//! what a command asks for is looked up.

mod deployment;
mod setting;

use std::collections::HashMap;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudformation::types::Stack;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use clap::Args;
use hermes::aws::{
    ApiGatewaySockets, DynamoConnections, DynamoCredentials, DynamoLog, stored_secret,
};
use hermes::claims::{TokenSigner, TokenVerifier};
use hermes::config::Environment;
use hermes::issue::Issuer;
use hermes::partition::Sharding;
use hermes::secret::{JwtSecret, Secret};
use tokio::sync::OnceCell;

use crate::failure::Failure;

pub(crate) use deployment::{Deployment, Resource};
pub(crate) use setting::Setting;

/// Only where there is no stack to ask: its parameter `ShardedRooms`.
const SHARDED_ROOMS: &str = "HERMES_SHARDED_ROOMS";

/// The options that say which stack is meant.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stack")]
pub(crate) struct StackArguments {
    /// CloudFormation stack whose outputs say where everything is
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "HERMES_STACK",
        hide_env_values = true
    )]
    stack: Option<String>,

    /// AWS region of the stack; otherwise that of the environment or the profile
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<String>,

    /// Profile of ~/.aws/config whose credentials and region are used, also where the environment
    /// has some
    #[arg(long, global = true, value_name = "PROFILE")]
    profile: Option<String>,
}

/// Finds settings, and makes of them what the commands work with.
pub(crate) struct Settings {
    arguments: StackArguments,
    environment: Environment,
    sdk: OnceCell<SdkConfig>,
    described: OnceCell<HashMap<String, String>>,
}

impl Settings {
    /// Settings from the command line and the environment. Nothing is looked up yet.
    pub(crate) fn new(arguments: StackArguments, environment: Environment) -> Self {
        Self {
            arguments,
            environment,
            sdk: OnceCell::new(),
            described: OnceCell::new(),
        }
    }

    /// What all AWS clients share: credentials, region, endpoint, timeouts.
    pub(crate) async fn sdk(&self) -> Result<&SdkConfig, Failure> {
        let config = self.sdk.get_or_init(|| self.load_sdk()).await;
        if config
            .region()
            .is_none_or(|region| region.as_ref().is_empty())
        {
            return Err(Failure::usage("no AWS region is set").hint(
                "pass --region, set AWS_REGION, or name a profile that has one (--profile)",
            ));
        }
        Ok(config)
    }

    async fn load_sdk(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(10))
            .operation_timeout(Duration::from_secs(30))
            .build();
        let mut loader =
            aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts);
        if let Some(region) = &self.arguments.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let Some(profile) = &self.arguments.profile else {
            return loader.load().await;
        };
        let config = loader.profile_name(profile).load().await;
        // As in the AWS CLI, a profile that is named wins over credentials in the environment.
        let region = config.region().cloned();
        let credentials = ProfileFileCredentialsProvider::builder()
            .profile_name(profile)
            .configure(&ProviderConfig::without_region().with_region(region))
            .build();
        config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// The value of a setting, if it is set.
    pub(crate) async fn optional(&self, setting: Setting) -> Result<Option<String>, Failure> {
        if let Some(value) = self.environment.optional(setting.variable()) {
            return Ok(Some(value.to_owned()));
        }
        let Some(stack) = self.stack() else {
            return Ok(None);
        };
        match self.described(stack).await?.get(setting.output()) {
            Some(value) => Ok(Some(value.clone())),
            None => Err(Failure::new(format!(
                "the stack {stack} has no output {}",
                setting.output()
            ))
            .hint(format!(
                "is it a Hermes stack whose deployment has ended? Or set {}",
                setting.variable()
            ))),
        }
    }

    /// The value of a setting that the command cannot do without.
    pub(crate) async fn required(&self, setting: Setting) -> Result<String, Failure> {
        self.optional(setting).await?.ok_or_else(|| {
            let instead = match setting {
                Setting::JwtSecretArn => " or HERMES_JWT_SECRET",
                Setting::PasscodeSecretArn => " or HERMES_PASSCODE",
                _ => "",
            };
            Failure::usage(format!("{} is not known", setting.output())).hint(format!(
                "name the stack with --stack or HERMES_STACK, or set {}{instead}",
                setting.variable()
            ))
        })
    }

    /// Which rooms are sharded: none where nothing says so.
    pub(crate) async fn sharding(&self) -> Result<Sharding, Failure> {
        let text = match (self.environment.optional(SHARDED_ROOMS), self.stack()) {
            (Some(text), _) => Some(text),
            (None, Some(stack)) => {
                let values = self.described(stack).await?;
                values.get("ShardedRooms").map(String::as_str)
            }
            (None, None) => None,
        };
        match text.filter(|text| !text.trim().is_empty()) {
            Some(text) => text
                .parse()
                .map_err(|error| Failure::usage(format!("{SHARDED_ROOMS} {error}"))),
            None => Ok(Sharding::default()),
        }
    }

    fn stack(&self) -> Option<&str> {
        self.arguments
            .stack
            .as_deref()
            .filter(|name| !name.is_empty())
    }

    /// The outputs and the parameters of the stack.
    async fn described(&self, stack: &str) -> Result<&HashMap<String, String>, Failure> {
        self.described
            .get_or_try_init(|| self.describe(stack))
            .await
    }

    /// The stack, whole. There is no other way to say where it is.
    pub(crate) async fn deployment(&self) -> Result<Deployment, Failure> {
        let name = self.stack().ok_or_else(|| {
            Failure::usage("the name of the stack is not known")
                .hint("name it with --stack or HERMES_STACK")
        })?;
        let stack = self.find(name).await?;
        let status = stack
            .stack_status()
            .map(|status| status.as_str().to_owned());
        Ok(Deployment {
            name: name.to_owned(),
            status: status.unwrap_or_default(),
            values: values(stack),
            resources: deployment::resources(self.sdk().await?, name).await?,
        })
    }

    async fn describe(&self, name: &str) -> Result<HashMap<String, String>, Failure> {
        Ok(values(self.find(name).await?))
    }

    async fn find(&self, name: &str) -> Result<Stack, Failure> {
        let config = self.sdk().await?;
        let region = config
            .region()
            .map_or_else(String::new, ToString::to_string);
        let not_found = || {
            Failure::new(format!("there is no stack {name} in {region}"))
                .hint("look at --stack, --region and --profile; `sam list stack-outputs --stack-name NAME` shows a stack")
        };
        let answer = aws_sdk_cloudformation::Client::new(config)
            .describe_stacks()
            .stack_name(name)
            .send()
            .await
            .map_err(|error| match error.message() {
                // The code is ValidationError, as for any other wrong parameter.
                Some(message) if message.contains("does not exist") => not_found(),
                _ => Failure::aws(&format!("reading the stack {name} in {region}"), &error),
            })?;
        let stacks = answer.stacks.unwrap_or_default();
        stacks.into_iter().next().ok_or_else(not_found)
    }

    /// The Credentials table.
    pub(crate) async fn credentials(&self) -> Result<DynamoCredentials, Failure> {
        let table = self.required(Setting::CredentialsTable).await?;
        Ok(DynamoCredentials::new(self.sdk().await?, &table))
    }

    /// The Connections table.
    pub(crate) async fn connections(&self) -> Result<DynamoConnections, Failure> {
        let table = self.required(Setting::ConnectionsTable).await?;
        Ok(DynamoConnections::new(self.sdk().await?, &table))
    }

    /// The log; none where the stack keeps no history.
    pub(crate) async fn log(&self) -> Result<Option<DynamoLog>, Failure> {
        if let (None, Some(stack)) = (
            self.environment.optional(Setting::StreamsTable.variable()),
            self.stack(),
        ) && self
            .described(stack)
            .await?
            .get("HistoryDays")
            .map(String::as_str)
            == Some("0")
        {
            return Ok(None);
        }
        let table = self.required(Setting::StreamsTable).await?;
        Ok(Some(DynamoLog::new(self.sdk().await?, &table)))
    }

    /// The sockets that API Gateway holds.
    pub(crate) async fn sockets(&self) -> Result<ApiGatewaySockets, Failure> {
        let endpoint = self.required(Setting::ConnectionsEndpoint).await?;
        ApiGatewaySockets::new(self.sdk().await?, &endpoint).map_err(|error| {
            let variable = Setting::ConnectionsEndpoint.variable();
            Failure::usage(format!("{variable} is wrong: {error}"))
        })
    }

    /// Verifies tokens as the authorizer does.
    pub(crate) async fn verifier(&self) -> Result<TokenVerifier, Failure> {
        Ok(TokenVerifier::new(&self.jwt_secret().await?))
    }

    /// Issues tokens whose hashes are kept in `credentials`.
    pub(crate) async fn issuer<C: hermes::ports::Credentials>(
        &self,
        credentials: C,
    ) -> Result<Issuer<C>, Failure> {
        let signer = TokenSigner::new(&self.jwt_secret().await?);
        let passcode = self
            .secret("HERMES_PASSCODE", Setting::PasscodeSecretArn)
            .await?;
        if passcode.expose().is_empty() {
            return Err(Failure::new("the passcode is empty")
                .hint("put a long random text into the secret that PasscodeSecretArn names"));
        }
        Ok(Issuer::new(credentials, signer, passcode))
    }

    async fn jwt_secret(&self) -> Result<JwtSecret, Failure> {
        let secret = self
            .secret("HERMES_JWT_SECRET", Setting::JwtSecretArn)
            .await?;
        JwtSecret::new(secret).map_err(|error| Failure::usage(error.to_string()))
    }

    /// A secret: the variable's value, or what is stored.
    pub(crate) async fn secret(&self, variable: &str, arn: Setting) -> Result<Secret, Failure> {
        if let Some(value) = self.environment.optional(variable) {
            return Ok(Secret::new(value));
        }
        let arn = self.required(arn).await?;
        Ok(stored_secret(self.sdk().await?, &arn).await?)
    }
}

/// What a stack was deployed with, and what came of it. An output has another name than a parameter.
fn values(stack: Stack) -> HashMap<String, String> {
    let parameters = stack.parameters.unwrap_or_default();
    let parameters = parameters
        .into_iter()
        .filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?)));
    let outputs = stack.outputs.unwrap_or_default();
    let outputs = outputs
        .into_iter()
        .filter_map(|output| Some((output.output_key?, output.output_value?)));
    parameters.chain(outputs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings<const N: usize>(environment: [(&str, &str); N]) -> Settings {
        let arguments = StackArguments {
            stack: Some(String::new()),
            region: Some("eu-central-1".to_owned()),
            profile: None,
        };
        Settings::new(arguments, Environment::from(environment))
    }

    #[tokio::test]
    async fn a_variable_is_enough_and_a_missing_one_is_named() {
        let settings = settings([("HERMES_MESSAGE_QUEUE_URL", "http://queue")]);
        assert_eq!(
            settings.required(Setting::MessageQueueUrl).await.unwrap(),
            "http://queue"
        );
        assert_eq!(
            settings
                .required(Setting::JwtSecretArn)
                .await
                .unwrap_err()
                .to_string(),
            "JwtSecretArn is not known\n  name the stack with --stack or HERMES_STACK, \
             or set HERMES_JWT_SECRET_ARN or HERMES_JWT_SECRET"
        );
        assert_eq!(
            settings.optional(Setting::WebSocketUrl).await.unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn sharded_rooms_are_none_where_nothing_says_so() {
        let lobby = "lobby".parse().unwrap();
        for (text, partitions) in [("", 1), (r#"{"lobby":16}"#, 16)] {
            let sharding = settings([(SHARDED_ROOMS, text)]).sharding().await.unwrap();
            assert_eq!(sharding.partitions(&lobby).count(), partitions);
        }
        let wrong = settings([(SHARDED_ROOMS, "lobby")]).sharding().await;
        assert!(wrong.unwrap_err().to_string().contains("must be JSON"));
    }

    #[tokio::test]
    async fn a_short_secret_is_refused_without_being_shown() {
        let settings = settings([("HERMES_JWT_SECRET", "too short, but secret")]);
        let Err(failure) = settings.verifier().await else {
            panic!("it was taken")
        };
        let text = failure.to_string();
        assert!(
            text.contains("21 bytes") && !text.contains("secret, "),
            "{text}"
        );
        assert!(!text.contains("too short"), "{text}");
    }
}
