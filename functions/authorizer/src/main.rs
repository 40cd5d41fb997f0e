//! The authorizer of the `$connect` route.

use authorizer::Authorizer;
use hermes::aws::{DynamoCredentials, jwt_secret, sdk_config};
use hermes::claims::TokenVerifier;
use hermes::config::Environment;
use hermes::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    telemetry::init(&environment)?;
    let config = sdk_config(&environment)?;
    let credentials = DynamoCredentials::new(&config, environment.required("CREDENTIALS_TABLE")?);
    let verifier = TokenVerifier::new(&jwt_secret(&config, &environment).await?);
    let authorizer = Authorizer::new(verifier, credentials);

    run(service_fn(|event: LambdaEvent<_>| {
        authorizer.handle(event.payload)
    }))
    .await
}
