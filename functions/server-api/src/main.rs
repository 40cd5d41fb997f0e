//! The function behind the server API.

use std::convert::Infallible;
use std::sync::Arc;

use hermes::aws::{
    ApiGatewaySockets, DynamoConnections, DynamoCredentials, DynamoLog, SqsQueue, history,
    jwt_secret, sdk_config, secret, sockets,
};
use hermes::claims::TokenSigner;
use hermes::config::Environment;
use hermes::issue::Issuer;
use hermes::log::History;
use hermes::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use server_api::{Api, Ports, event, router};

struct Aws;

impl Ports for Aws {
    type Queue = SqsQueue;
    type Log = DynamoLog;
    type Connections = DynamoConnections;
    type Sockets = ApiGatewaySockets;
    type Credentials = DynamoCredentials;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::from_process();
    telemetry::init(&environment)?;
    let config = sdk_config(&environment)?;
    let signer = TokenSigner::new(&jwt_secret(&config, &environment).await?);
    let passcode = secret(&config, &environment, "PASSCODE_SECRET").await?;
    let credentials = DynamoCredentials::new(&config, environment.required("CREDENTIALS_TABLE")?);
    let api = Api::<Aws> {
        queue: SqsQueue::new(&config, environment.required("MESSAGE_QUEUE_URL")?),
        log: history(&config, &environment)?.map(History::into_log),
        connections: DynamoConnections::new(&config, environment.required("CONNECTIONS_TABLE")?),
        sharding: environment.parsed("SHARDED_ROOMS")?.unwrap_or_default(),
        sockets: sockets(&config, &environment)?,
        issuer: Issuer::new(credentials, signer, passcode),
    };

    let router = router(Arc::new(api));
    run(service_fn(async |event: LambdaEvent<_>| {
        Ok::<_, Infallible>(event::answer(router.clone(), event.payload).await)
    }))
    .await
}
