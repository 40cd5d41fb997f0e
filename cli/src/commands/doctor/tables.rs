//! Whether the tables are there and forget what is old; and what the operator may do with them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{TableStatus, TimeToLiveStatus};
use hermes::log::Stream;
use hermes::ports::{Connections as _, Credentials as _, Log as _, PostError, Sockets as _};
use hermes::time::{Clock as _, SystemClock};
use hermes::{ConnectionId, RoomId, UserId};

use super::check::Check;
use crate::failure::Failure;
use crate::settings::{Deployment, Setting, Settings};

const CHECK: &str = "tables";
const PERMISSIONS: &str = "permissions";

/// Formed like the id of a connection, but of none.
const NO_CONNECTION: &str = "AAAAAAAAAAAAAAA=";

pub(super) async fn check(settings: &Settings, stack: &Deployment) -> Vec<Check> {
    let mut tables = vec![
        (Setting::ConnectionsTable, true),
        (Setting::CredentialsTable, false),
    ];
    if stack.values.contains_key(Setting::StreamsTable.output()) {
        tables.push((Setting::StreamsTable, true));
    }
    let mut checks = Vec::new();
    for (table, expires) in tables {
        let found = look(settings, table, expires).await;
        checks.push(found.unwrap_or_else(|failure| Check::failed(CHECK, failure)));
    }
    checks
}

async fn look(settings: &Settings, table: Setting, expires: bool) -> Result<Check, Failure> {
    let name = settings.required(table).await?;
    let client = Client::new(settings.sdk().await?);
    let described = client
        .describe_table()
        .table_name(&name)
        .send()
        .await
        .map_err(|error| Failure::aws(&format!("describing the table {name}"), &error))?;
    let status = described.table.and_then(|table| table.table_status);
    if status != Some(TableStatus::Active) {
        let status = status.map_or_else(|| "nowhere".to_owned(), |one| one.as_str().to_owned());
        return Ok(Check::fail(
            CHECK,
            format!("{} ({name}) is {status}", table.output()),
            "deploy the stack again; its events say what happened",
        ));
    }
    if !expires {
        return Ok(Check::ok(CHECK, format!("{} is active", table.output())));
    }
    let answer = client
        .describe_time_to_live()
        .table_name(&name)
        .send()
        .await
        .map_err(|error| Failure::aws(&format!("reading the TTL of {name}"), &error))?;
    let ttl = answer.time_to_live_description;
    let is_on = ttl.is_some_and(|ttl| {
        let status = ttl.time_to_live_status;
        status.is_some_and(|status| {
            [TimeToLiveStatus::Enabled, TimeToLiveStatus::Enabling].contains(&status)
        }) && ttl.attribute_name.as_deref() == Some("expires_at")
    });
    Ok(if is_on {
        Check::ok(CHECK, format!("{} is active, with TTL", table.output()))
    } else {
        Check::warn(
            CHECK,
            format!("{} ({name}) has no TTL on expires_at", table.output()),
            "it works, but keeps and pays for what has expired: deploy the stack again, or `aws dynamodb \
             update-time-to-live`",
        )
    })
}

/// Calls that change nothing, each of which a command needs.
pub(super) async fn permissions(settings: &Settings) -> Vec<Check> {
    let (room, user) = (room(), user());
    let one = std::num::NonZeroUsize::MIN;
    let mut denied = Vec::new();
    let mut note = |may: &'static str, outcome: Result<(), Failure>| {
        if let Err(failure) = outcome {
            denied.push((may, failure));
        }
    };
    let members = async {
        let (table, partition) = (settings.connections().await?, room.clone().into());
        let page = table.members(&partition, None, None, one, SystemClock.now());
        Ok(page.await.map(|_| ())?)
    };
    note("see members (members, kick)", members.await);
    let credential = async {
        let table = settings.credentials().await?;
        Ok(table.find(&user, &room).await.map(|_| ())?)
    };
    note("read credentials (token)", credential.await);
    let head = async {
        let Some(log) = settings.log().await? else {
            return Ok(());
        };
        let stream = Stream {
            room: room.clone(),
            user: None,
        };
        Ok(log.head(&stream, SystemClock.now()).await.map(|_| ())?)
    };
    note("read the log (history)", head.await);
    let post = async {
        let connection: ConnectionId = NO_CONNECTION.parse().expect("an id");
        let sockets = settings.sockets().await?;
        let posted = sockets.post(&connection, "{}").await;
        posted.map(|_| ()).map_err(|PostError { source, .. }| {
            Failure::new(format!("posting to a socket failed: {source}"))
                .hint("ask for a policy that allows execute-api:ManageConnections on the API")
        })
    };
    note("close sockets (kick, token revoke)", post.await);

    if denied.is_empty() {
        let may = "you may see members, read credentials and the log, and close sockets";
        return vec![Check::ok(PERMISSIONS, may)];
    }
    let checks = denied.into_iter().map(|(may, failure)| {
        let (says, hint) = failure.into_parts();
        let hint = hint.unwrap_or_else(|| "ask for a policy that allows it".to_owned());
        Check::warn(PERMISSIONS, format!("you cannot {may}: {says}"), hint)
    });
    checks.collect()
}

/// Where the round trip takes place.
pub(super) fn room() -> RoomId {
    "hermes-doctor".parse().expect("an id")
}

/// Who makes it.
pub(super) fn user() -> UserId {
    "hermes-doctor".parse().expect("an id")
}
