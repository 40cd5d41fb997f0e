//! The HTTP API for backends: publish to a room, read its history, see and close its connections, issue
//! and revoke tokens. What a backend can do with the AWS SDK, without one.

mod cloud_event;
pub mod event;
mod history;
mod members;
mod messages;
pub mod openapi;
mod problem;
mod request;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware::from_fn;
use axum::routing::{delete, get, post};
use hermes::issue::Issuer;
use hermes::partition::Sharding;
use hermes::ports::{Connections, Credentials, Log, MessageQueue, Sockets};

use problem::{Code, Problem};

/// The largest body: 2 MiB. API Gateway takes 10 MB, but Lambda an event of 6 MB, in which a body of JSON
/// may be twice as long, because each quotation mark is escaped.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const BODY_MAX_BYTES: usize = 2 * 1024 * 1024;

/// Which implementation of each port the API works with.
pub trait Ports: 'static {
    /// The queue that messages are published through.
    type Queue: MessageQueue + 'static;
    /// The log.
    type Log: Log + 'static;
    /// The Connections table.
    type Connections: Connections + 'static;
    /// The open sockets.
    type Sockets: Sockets + 'static;
    /// The Credentials table.
    type Credentials: Credentials + 'static;
}

/// What the API needs from the world.
pub struct Api<P: Ports> {
    /// Where messages are enqueued.
    pub queue: P::Queue,
    /// Where history is read; none in a deployment that keeps none.
    pub log: Option<P::Log>,
    /// Who is connected.
    pub connections: P::Connections,
    /// Which rooms have more than one partition.
    pub sharding: Sharding,
    /// How a connection is told and closed.
    pub sockets: P::Sockets,
    /// What issues and revokes tokens.
    pub issuer: Issuer<P::Credentials>,
}

/// The routes. Whether the caller may use them, API Gateway has decided (IAM).
pub fn router<P: Ports>(api: Arc<Api<P>>) -> Router {
    [
        (
            "/rooms/{room}/messages",
            post(messages::publish::<P>).get(history::history::<P>),
        ),
        ("/rooms/{room}/members", get(members::members::<P>)),
        (
            "/rooms/{room}/members/{connection}",
            delete(members::close::<P>),
        ),
        ("/tokens", post(tokens::issue::<P>)),
        ("/tokens/{user}/{room}", delete(tokens::revoke::<P>)),
    ]
    .into_iter()
    .fold(Router::new(), |router, (path, methods)| {
        router.route(path, methods.route_layer(from_fn(event::routed)))
    })
    .fallback(not_found)
    .method_not_allowed_fallback(method_not_allowed)
    .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
    .with_state(api)
}

async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(uri.path())
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!("this path has no method {method}"),
    )
}
