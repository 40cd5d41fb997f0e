//! Whether the secrets are good enough.

use hermes::secret::JwtSecret;

use super::check::Check;
use crate::settings::{Setting, Settings};

const CHECK: &str = "secrets";

pub(super) async fn check(settings: &Settings) -> Vec<Check> {
    let jwt = match settings
        .secret("HERMES_JWT_SECRET", Setting::JwtSecretArn)
        .await
    {
        Ok(secret) => match JwtSecret::new(secret.clone()) {
            Ok(_) => {
                let bytes = secret.expose().len();
                Check::ok(CHECK, format!("the JWT secret has {bytes} bytes"))
            }
            Err(error) => Check::fail(
                CHECK,
                format!("the JWT secret: {error}"),
                "put at least 64 random characters into the secret JwtSecretArn, then let the functions authorizer and \
                 server-api start anew, as the README says under \"When something happens\"; tokens of the old secret are \
                 refused from then on",
            ),
        },
        Err(failure) => Check::failed(CHECK, failure),
    };
    let passcode = settings.secret("HERMES_PASSCODE", Setting::PasscodeSecretArn);
    let passcode = match passcode.await {
        Ok(secret) if secret.expose().is_empty() => Check::fail(
            CHECK,
            "the passcode is empty",
            "put a long random text into the secret PasscodeSecretArn, then let the function server-api start anew, as the \
             README says under \"When something happens\"",
        ),
        Ok(_) => Check::ok(CHECK, "the passcode is set"),
        Err(failure) => Check::failed(CHECK, failure),
    };
    vec![jwt, passcode]
}
