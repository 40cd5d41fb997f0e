//! Who is measured, and how each is started.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::aws::{Aws, CONNECTIONS, JWT_SECRET, TUTORIAL_CONNECTIONS};
use crate::endpoint::Served;

/// The length of the session token that the functions have, as credentials of a role do.
const SESSION_TOKEN: usize = 900;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contender {
    /// The functions of this project.
    Hermes,
    /// The Node.js design that it grew from.
    Tutorial,
    /// The same made good.
    Improved,
    /// What no function can beat.
    Floor,
}

impl Contender {
    /// Whether it runs on Node.js.
    pub(crate) fn is_node(self) -> bool {
        matches!(self, Self::Tutorial | Self::Improved)
    }

    /// Its name in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hermes => "Hermes",
            Self::Tutorial => "Node.js, tutorial",
            Self::Improved => "Node.js, improved",
            Self::Floor => "floor",
        }
    }
}

/// What a function is for; the name is that of Hermes's function, of a peer's module, or of a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handler {
    hermes: &'static str,
    peer: &'static str,
    /// How long Lambda lets it run, in the template.
    limit: Duration,
}

const fn handler(hermes: &'static str, peer: &'static str, seconds: u64) -> Handler {
    Handler {
        hermes,
        peer,
        limit: Duration::from_secs(seconds),
    }
}

/// Decides on handshakes.
pub(crate) const AUTHORIZER: Handler = handler("authorizer", "authorizer", 10);
/// Joins a room.
pub(crate) const CONNECT: Handler = handler("connect", "connect", 10);
/// Leaves it.
pub(crate) const DISCONNECT: Handler = handler("disconnect", "disconnect", 10);
/// Publishes.
pub(crate) const SEND_MESSAGE: Handler = handler("send-message", "sendMessage", 25);
/// Works off delivery jobs; the peers have none.
pub(crate) const DELIVER: Handler = handler("deliver", "", 10);
/// Enqueues; the peers have none.
pub(crate) const SEND_MESSAGE_TO_SQS: Handler = handler("send-message-to-sqs", "", 10);
/// Answers what was missed; the peers have none.
pub(crate) const RECOVER: Handler = handler("recover", "", 10);
/// For backends that call instead of enqueueing; the peers have none, and only its size is looked at.
pub(crate) const SERVER_API: Handler = handler("server-api", "", 29);
/// Answers pings; the peers have none.
pub(crate) const DEFAULT: Handler = handler("default", "", 10);
/// The floor of a start.
pub(crate) const EMPTY: Handler = handler("empty", "", 10);
/// The floor of a fan-out.
pub(crate) const POST: Handler = handler("post", "", 900);

impl Handler {
    /// Its name: that of Hermes's function or of the floor.
    pub(crate) fn name(self) -> &'static str {
        self.hermes
    }

    /// How long an invocation may take. The peers may use the most that Lambda allows, 15 minutes.
    pub(crate) fn limit(self, contender: Contender) -> Duration {
        match contender {
            Contender::Hermes => self.limit,
            _ => Duration::from_secs(900),
        }
    }
}

/// Where everything is.
pub(crate) struct Stage {
    /// The services.
    pub(crate) aws: Aws,
    /// The endpoint of `@connections`.
    pub(crate) endpoint: Served,
    /// The folder of the bootstraps, `NAME/bootstrap` each.
    pub(crate) bootstraps: PathBuf,
    /// The folder of the Node.js peers.
    pub(crate) peers: PathBuf,
    /// The program `node`.
    pub(crate) node: OsString,
    /// For what is measured through a file.
    pub(crate) scratch: PathBuf,
}

impl Stage {
    /// The bootstrap of a function.
    pub(crate) fn bootstrap(&self, handler: Handler) -> PathBuf {
        self.bootstraps.join(handler.hermes).join("bootstrap")
    }

    /// The command that starts a function whose posts go to `connections`.
    pub(crate) fn command(
        &self,
        contender: Contender,
        handler: Handler,
        connections: &str,
    ) -> Command {
        let mut command = match contender {
            Contender::Hermes | Contender::Floor => Command::new(self.bootstrap(handler)),
            Contender::Tutorial | Contender::Improved => {
                let mut node = Command::new(&self.node);
                node.arg(self.peers.join("bootstrap.mjs"));
                // The improved peer is bundled, as its authors would before they deploy.
                let folder = if contender == Contender::Tutorial {
                    "tutorial"
                } else {
                    "dist"
                };
                node.env("LAMBDA_TASK_ROOT", self.peers.join(folder));
                node.env("_HANDLER", format!("{}.handler", handler.peer));
                node
            }
        };
        let table = if contender == Contender::Tutorial {
            TUTORIAL_CONNECTIONS
        } else {
            CONNECTIONS
        };
        command.envs([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            (
                "AWS_SECRET_ACCESS_KEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            // Every role has one, of about this length: it is sent and signed with each request.
            ("AWS_SESSION_TOKEN", &"t".repeat(SESSION_TOKEN)),
            ("AWS_LAMBDA_FUNCTION_NAME", handler.hermes),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_ENDPOINT_URL", self.aws.endpoint()),
            ("METRICS_STACK", "bench"),
            ("LOG_LEVEL", "info"),
            ("CONNECTIONS_TABLE", table),
            ("CREDENTIALS_TABLE", "Credentials"),
            ("STREAMS_TABLE", "Streams"),
            ("HISTORY_DAYS", "7"),
            ("SHARDED_ROOMS", "{}"),
            ("FANOUT_CONCURRENCY", "64"),
            ("MEMBERS_PER_JOB", "1000"),
            ("CONNECTIONS_ENDPOINT", connections),
        ]);
        command.env("DELIVERY_QUEUE_URL", self.aws.queue_url("DeliveryQueue"));
        command.env("MESSAGE_QUEUE_URL", self.aws.queue_url("MessageQueue"));
        command.env(
            "DEAD_LETTER_QUEUE_URL",
            self.aws.queue_url("DeadLetterQueue"),
        );
        match contender {
            Contender::Hermes => command.env(
                "JWT_SECRET_ARN",
                "arn:aws:secretsmanager:us-east-1:000000000000:secret:jwt",
            ),
            _ => command.env("JWT_SECRET", JWT_SECRET),
        };
        let authority = self.endpoint.authority();
        command
            .env("SSL_CERT_FILE", authority)
            .env("NODE_EXTRA_CA_CERTS", authority);
        command
    }
}
