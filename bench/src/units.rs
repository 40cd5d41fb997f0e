//! What events cost in units of DynamoDB and in SQS requests, counted at the engine.

use anyhow::Result;

use crate::aws::{CONNECTIONS, Calls, TUTORIAL_CONNECTIONS};
use crate::contender::{AUTHORIZER, CONNECT, Contender, DEFAULT, DISCONNECT, Handler, Stage};
use crate::events::{self, Client};
use crate::fanout;
use crate::runtime::Function;

/// What one event cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Units {
    /// Whose.
    pub(crate) contender: Contender,
    /// What happened.
    pub(crate) event: Event,
    /// Rows of the table of connections.
    pub(crate) rows: usize,
    /// What was called for it.
    pub(crate) calls: Calls,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A call of a function.
    Call(Handler),
    /// A message to a room.
    Message {
        /// With so many members.
        members: usize,
        /// Whose ids are UUIDs, and not 16 bytes.
        uuids: bool,
        /// Whether a history is kept.
        history: bool,
    },
}

/// Fills the tables: a room, and others up to `rows`.
fn fill(stage: &Stage, rows: usize, members: usize, uuids: bool) -> Result<()> {
    for table in [CONNECTIONS, TUTORIAL_CONNECTIONS] {
        stage.aws.empty(table)?;
    }
    let room = |i: usize| {
        if i < members {
            "room".to_owned()
        } else {
            format!("other-{:06}", i / 100)
        }
    };
    let rows = 0..rows.max(members);
    let member = |i| events::member_named(&room(i), &events::user_id(i, uuids), i);
    stage.aws.put(CONNECTIONS, rows.clone().map(member))?;
    let member = |i| events::tutorial_member(&room(i), i);
    stage.aws.put(TUTORIAL_CONNECTIONS, rows.map(member))
}

/// Counts what handshakes, pings and messages cost.
pub(crate) async fn measure(
    stage: &Stage,
    client: &Client,
    tables: &[usize],
    rooms: &[usize],
) -> Result<Vec<Units>> {
    let mut results = Vec::new();
    fill(stage, 1, 1, false)?;
    for contender in [Contender::Hermes, Contender::Tutorial] {
        for handler in [AUTHORIZER, CONNECT, DISCONNECT, DEFAULT] {
            if contender == Contender::Tutorial && handler == DEFAULT {
                continue;
            }
            let event = match handler {
                AUTHORIZER => events::authorizer(&client.token)?,
                CONNECT => events::connect("room", 5)?,
                DISCONNECT => events::disconnect("room", 5)?,
                _ => events::ping("room", 0)?,
            };
            let command = stage.command(contender, handler, &stage.endpoint.url("after-0", false));
            let mut function = Function::start(&command, None, handler.limit(contender)).await?;
            stage.aws.take_calls();
            function.call(event).await?;
            let calls = stage.aws.take_calls();
            results.push(Units {
                contender,
                event: Event::Call(handler),
                rows: 1,
                calls,
            });
        }
    }

    // Against the table's size, and against the room's.
    let middle = tables[tables.len() / 2];
    let against_table = tables.iter().map(|rows| (*rows, 100));
    let against_room = rooms
        .iter()
        .filter(|members| **members != 100)
        .map(|members| (middle, *members));
    for (rows, members) in against_table.chain(against_room) {
        fill(stage, rows, members, false)?;
        let rows = rows.max(members);
        for (contender, history) in [
            (Contender::Hermes, true),
            (Contender::Hermes, false),
            (Contender::Tutorial, false),
            (Contender::Improved, false),
        ] {
            let calls = fanout::count(stage, contender, members, history).await?;
            let event = Event::Message {
                members,
                uuids: false,
                history,
            };
            results.push(Units {
                contender,
                event,
                rows,
                calls,
            });
        }
    }
    fill(stage, 10_000, 100, true)?;
    let calls = fanout::count(stage, Contender::Hermes, 100, false).await?;
    let event = Event::Message {
        members: 100,
        uuids: true,
        history: false,
    };
    results.push(Units {
        contender: Contender::Hermes,
        event,
        rows: 10_000,
        calls,
    });
    Ok(results)
}
