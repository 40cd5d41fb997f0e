//! Secrets in AWS Secrets Manager, each a plain string; or a variable that stands in for one.

use aws_types::SdkConfig;

use crate::config::{ConfigError, Environment};
use crate::ports::PortError;
use crate::secret::{JwtSecret, Secret};
use crate::telemetry::error_chain;

/// Reads the secret that the variable `{name}_ARN` points to, or the variable `{name}` itself where
/// there is no Secrets Manager.
///
/// # Errors
///
/// [`ConfigError`] names the variable.
pub async fn secret(
    config: &SdkConfig,
    environment: &Environment,
    name: &str,
) -> Result<Secret, ConfigError> {
    if let Some(value) = environment.optional(name) {
        return Ok(Secret::new(value));
    }
    let variable = format!("{name}_ARN");
    let arn = environment.required(&variable)?;
    let wrong = |reason: String| ConfigError::Wrong {
        name: variable.clone(),
        reason,
    };
    stored_secret(config, arn)
        .await
        .map_err(|error| wrong(error_chain(&error)))
}

/// Reads the secret `arn` from Secrets Manager.
///
/// # Errors
///
/// [`PortError`], also where the secret is no string.
pub async fn stored_secret(config: &SdkConfig, arn: &str) -> Result<Secret, PortError> {
    aws_sdk_secretsmanager::Client::new(config)
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(|error| PortError::new("reading the secret", error))?
        .secret_string
        .map(Secret::new)
        .ok_or_else(|| PortError::new("reading the secret", "the secret is no string"))
}

/// Reads `JWT_SECRET`, which must be long enough to start with.
///
/// # Errors
///
/// [`ConfigError`] names the variable and what is wrong.
pub async fn jwt_secret(
    config: &SdkConfig,
    environment: &Environment,
) -> Result<JwtSecret, ConfigError> {
    let secret = secret(config, environment, "JWT_SECRET").await?;
    JwtSecret::new(secret).map_err(|error| ConfigError::Wrong {
        name: "JWT_SECRET".to_owned(),
        reason: error.to_string(),
    })
}
