//! Mints the token with which one user joins one room: `cargo run --example mint -- USER ROOM`
//!
//! The environment names three outputs of the stack: `CREDENTIALS_TABLE` (`CredentialsTable`),
//! `JWT_SECRET_ARN` (`JwtSecretArn`) and `PASSCODE_SECRET_ARN` (`PasscodeSecretArn`).

use std::time::Duration;

use hermes::aws::{DynamoCredentials, jwt_secret, secret};
use hermes::claims::TokenSigner;
use hermes::config::Environment;
use hermes::issue::Issuer;
use hermes::time::{Clock, SystemClock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [user, room] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "USER ROOM")?;

    // A server does this once, when it starts.
    let environment = Environment::from_process();
    let aws = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .load()
        .await;
    let credentials = DynamoCredentials::new(&aws, environment.required("CREDENTIALS_TABLE")?);
    let signer = TokenSigner::new(&jwt_secret(&aws, &environment).await?);
    let passcode = secret(&aws, &environment, "PASSCODE_SECRET").await?;
    let issuer = Issuer::new(credentials, signer, passcode);

    let ttl = Duration::from_secs(3600);
    let issued = issuer
        .issue(&user.parse()?, &room.parse()?, ttl, SystemClock.now())
        .await?;
    println!("{}", issued.jwt.expose());
    Ok(())
}
