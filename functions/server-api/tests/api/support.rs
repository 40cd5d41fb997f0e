//! The router in front of memory, and what a backend asks it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use hermes::claims::TokenSigner;
use hermes::issue::Issuer;
use hermes::memory::{MemoryConnections, MemoryCredentials, MemoryLog, MemoryQueue, MemorySockets};
use hermes::partition::Sharding;
use hermes::ports::{Connections, Member};
use hermes::secret::{JwtSecret, Secret};
use hermes::time::{Clock, SystemClock};
use hermes::{ConnectionId, RoomId};
use serde_json::{Value, json};
use server_api::event::{self, Event};
use server_api::{Api, Ports, router};
use tower::ServiceExt as _;

pub(crate) struct Memory;

impl Ports for Memory {
    type Queue = MemoryQueue;
    type Log = MemoryLog;
    type Connections = MemoryConnections;
    type Sockets = MemorySockets;
    type Credentials = MemoryCredentials;
}

/// An API of its own for each test.
pub(crate) struct Backend(pub(crate) Arc<Api<Memory>>);

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

pub(crate) fn jwt_secret() -> JwtSecret {
    JwtSecret::new(Secret::new("k".repeat(64))).unwrap()
}

/// An id as it stands in a path whatever is in it.
pub(crate) fn in_path(id: &str) -> String {
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id);
    format!("~{encoded}")
}

impl Default for Backend {
    fn default() -> Self {
        Self::with(Sharding::default(), Some(MemoryLog::default()))
    }
}

impl Backend {
    pub(crate) fn with(sharding: Sharding, log: Option<MemoryLog>) -> Self {
        let signer = TokenSigner::new(&jwt_secret());
        Self(Arc::new(Api {
            queue: MemoryQueue::default(),
            log,
            connections: MemoryConnections::default(),
            sharding,
            sockets: MemorySockets::default(),
            issuer: Issuer::new(
                MemoryCredentials::default(),
                signer,
                Secret::new("passcode"),
            ),
        }))
    }

    pub(crate) async fn send<B: Into<Body>>(&self, request: Request<B>) -> Answer {
        let request = request.map(Into::into);
        let response = router(Arc::clone(&self.0)).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// A request with a body.
    pub(crate) async fn post(&self, path: &str, media_type: &str, body: &str) -> Answer {
        let request = Request::post(path).header("content-type", media_type);
        self.send(request.body(body.to_owned()).unwrap()).await
    }

    /// A request without a body.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(String::new()).unwrap()).await
    }

    /// An event as API Gateway makes it, answered as Lambda does.
    pub(crate) async fn event(&self, event: &Value) -> Value {
        let event: Event = serde_json::from_value(event.clone()).unwrap();
        let answer = event::answer(router(Arc::clone(&self.0)), event).await;
        serde_json::to_value(answer).unwrap()
    }

    /// What was enqueued.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        let bodies = self.0.queue.bodies();
        bodies
            .iter()
            .map(|body| serde_json::from_str(body).unwrap())
            .collect()
    }

    /// A user connects.
    pub(crate) async fn join(&self, user: &str, room: &str, connection: &str) -> ConnectionId {
        let (user, room): (_, RoomId) = (user.parse().unwrap(), room.parse().unwrap());
        let connection: ConnectionId = connection.parse().unwrap();
        let partition = self.0.sharding.partition_of(&room, &user);
        let member = Member {
            user,
            connection: connection.clone(),
            connected_at: SystemClock.now(),
        };
        self.0.connections.join(&partition, &member).await.unwrap();
        self.0.sockets.open(&connection);
        connection
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }

    /// Problem details with this status and code; gives their detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&json!(status), &json!(code))
        );
        let kind = problem["type"].as_str().unwrap();
        assert!(
            kind.starts_with("https://") && kind.contains("docs/server-api.md#"),
            "{kind}"
        );
        problem
    }
}
