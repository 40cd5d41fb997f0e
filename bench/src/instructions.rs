//! Instructions for a call, counted by callgrind: the difference between many calls and few, so that the
//! start is not in it. Only of native code: what a compiler makes at run time counts as much as its compiling.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::contender::{
    AUTHORIZER, CONNECT, Contender, DEFAULT, DELIVER, DISCONNECT, EMPTY, Handler, POST, RECOVER,
    SEND_MESSAGE, SEND_MESSAGE_TO_SQS, Stage,
};
use crate::events::{self, Client};
use crate::fanout::{self, MEMBERS_PER_JOB};
use crate::runtime::Function;
use crate::warm::{self, Kind};

/// Posts of one call of deliver and of the floor: a full page of members, as a delivery job has it.
const POSTS: usize = MEMBERS_PER_JOB;

/// What was counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instructions {
    /// Of whom.
    pub(crate) contender: Contender,
    /// Of which function.
    pub(crate) handler: Handler,
    /// On what.
    pub(crate) kind: Kind,
    /// For a call, or, where it posts to many, for a post.
    pub(crate) count: f64,
    /// Whether it is for a post.
    pub(crate) of_a_post: bool,
}

const CASES: [(Contender, Handler, Kind); 12] = [
    (Contender::Hermes, AUTHORIZER, Kind::Rejected),
    (Contender::Hermes, AUTHORIZER, Kind::AcceptedAgain),
    (Contender::Hermes, CONNECT, Kind::Usual),
    (Contender::Hermes, DISCONNECT, Kind::Usual),
    (Contender::Hermes, SEND_MESSAGE, Kind::Usual),
    (Contender::Hermes, SEND_MESSAGE_TO_SQS, Kind::Usual),
    (Contender::Hermes, RECOVER, Kind::Usual),
    (Contender::Hermes, DEFAULT, Kind::Usual),
    (Contender::Floor, EMPTY, Kind::Usual),
    (Contender::Hermes, DELIVER, Kind::Usual),
    (Contender::Floor, POST, Kind::Usual),
    (Contender::Hermes, AUTHORIZER, Kind::AcceptedFirst),
];

/// Whether callgrind is there.
pub(crate) fn available() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Counts all.
pub(crate) async fn measure(stage: &Stage, clients: &[Client]) -> Result<Vec<Instructions>> {
    let mut results = Vec::new();
    for (contender, handler, kind) in CASES {
        let of_a_post = matches!(handler, DELIVER | POST);
        fanout::fill(stage, if of_a_post { POSTS } else { 1 })?;
        let (few, many) = match (handler, kind) {
            (_, Kind::AcceptedFirst) => (1, 3),
            (DELIVER | POST, _) => (1, 3),
            _ => (5, 30),
        };
        let few_count = count(stage, clients, (contender, handler, kind), few).await?;
        let many_count = count(stage, clients, (contender, handler, kind), many).await?;
        #[expect(clippy::cast_precision_loss, reason = "the counts are below 2^52")]
        let count = (many_count.saturating_sub(few_count)) as f64
            / (many - few) as f64
            / if of_a_post { POSTS as f64 } else { 1.0 };
        results.push(Instructions {
            contender,
            handler,
            kind,
            count,
            of_a_post,
        });
    }
    Ok(results)
}

async fn count(
    stage: &Stage,
    clients: &[Client],
    (contender, handler, kind): (Contender, Handler, Kind),
    calls: usize,
) -> Result<u64> {
    let file = stage.scratch.join("callgrind.out");
    let bare = stage.command(contender, handler, &stage.endpoint.url("after-0", false));
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(bare.get_program())
        .args(bare.get_args())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in bare.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    // One who has connected before is always the same.
    let clients = if kind == Kind::AcceptedAgain {
        &clients[..1]
    } else {
        clients
    };
    let mut function = Function::start(&command, None, handler.limit(contender)).await?;
    for i in 0..calls {
        let event = match handler {
            DELIVER => {
                let frame =
                    json!({"user_id": "shop", "data": {"type": "order", "text": "x".repeat(200)}});
                let job = json!({"room_id": "room", "shard": 0, "id": "1", "sent_at_ms": 0, "frame": frame});
                events::record(&job.to_string())
            }
            POST => json!({ "posts": POSTS }).to_string(),
            _ => warm::event(handler, kind, clients, i)?,
        };
        function.invoke(event).await?;
    }
    function.end().await?;
    let counted = fs::read_to_string(&file).context("callgrind has written nothing")?;
    counted
        .lines()
        .find_map(|line| line.strip_prefix("totals:")?.trim().parse().ok())
        .context("callgrind has counted nothing")
}
