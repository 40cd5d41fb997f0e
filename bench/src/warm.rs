//! Warm functions: one event after another.

use anyhow::{Result, anyhow};

use crate::contender::{
    AUTHORIZER, CONNECT, Contender, DEFAULT, DISCONNECT, EMPTY, Handler, RECOVER, SEND_MESSAGE,
    SEND_MESSAGE_TO_SQS, Stage,
};
use crate::events::{self, Client};
use crate::runtime::Function;
use crate::sample::Sample;

/// What an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The handler's usual work.
    Usual,
    /// A token that is refused by its signature.
    Rejected,
    /// A client that this process has not seen: bcrypt.
    AcceptedFirst,
    /// A client that it has seen.
    AcceptedAgain,
}

/// What was measured of one function.
#[derive(Debug, Clone)]
pub(crate) struct Warm {
    /// Whose it is.
    pub(crate) contender: Contender,
    /// Which.
    pub(crate) handler: Handler,
    /// On what.
    pub(crate) kind: Kind,
    /// From the event to the answer, in microseconds.
    pub(crate) us: Sample,
    /// CPU time for a call, in microseconds: one value a round.
    pub(crate) cpu_us: Sample,
    /// Calls a second, one after another: one value a round.
    pub(crate) rate: Sample,
    /// The most memory, in MB.
    pub(crate) peak_mb: Sample,
}

/// Every handler that a contender has, and what it is measured on.
const CASES: [(Contender, Handler, Kind); 22] = {
    use Contender::{Floor, Hermes, Improved, Tutorial};
    use Kind::{AcceptedAgain, AcceptedFirst, Rejected, Usual};
    [
        (Hermes, AUTHORIZER, Rejected),
        (Tutorial, AUTHORIZER, Rejected),
        (Improved, AUTHORIZER, Rejected),
        (Hermes, AUTHORIZER, AcceptedFirst),
        (Tutorial, AUTHORIZER, AcceptedFirst),
        (Improved, AUTHORIZER, AcceptedFirst),
        (Hermes, AUTHORIZER, AcceptedAgain),
        (Tutorial, AUTHORIZER, AcceptedAgain),
        (Improved, AUTHORIZER, AcceptedAgain),
        (Hermes, CONNECT, Usual),
        (Tutorial, CONNECT, Usual),
        (Improved, CONNECT, Usual),
        (Hermes, DISCONNECT, Usual),
        (Tutorial, DISCONNECT, Usual),
        (Improved, DISCONNECT, Usual),
        (Hermes, SEND_MESSAGE, Usual),
        (Tutorial, SEND_MESSAGE, Usual),
        (Improved, SEND_MESSAGE, Usual),
        (Hermes, SEND_MESSAGE_TO_SQS, Usual),
        (Hermes, RECOVER, Usual),
        (Hermes, DEFAULT, Usual),
        (Floor, EMPTY, Usual),
    ]
};

/// The event number `i` of a kind. `clients` are those of the room `room`.
pub(crate) fn event(handler: Handler, kind: Kind, clients: &[Client], i: usize) -> Result<String> {
    let client = &clients[i % clients.len()];
    match (handler, kind) {
        (AUTHORIZER, Kind::Rejected) => events::authorizer(&client.forged()),
        (AUTHORIZER, _) => events::authorizer(&client.token),
        (DISCONNECT, _) => events::disconnect("warm", i),
        (SEND_MESSAGE, _) => events::send_message("warm", 0),
        (SEND_MESSAGE_TO_SQS, _) => events::send_message_to_sqs("warm", 0),
        (RECOVER, _) => events::recover("warm", 0),
        (DEFAULT, _) => events::ping("warm", 0),
        _ => events::connect("warm", i),
    }
}

/// Measures each, one after another in each round.
pub(crate) async fn measure(
    stage: &Stage,
    clients: &[Client],
    calls: usize,
    rounds: usize,
) -> Result<Vec<Warm>> {
    let mut results: Vec<Warm> = CASES
        .map(|(contender, handler, kind)| Warm {
            contender,
            handler,
            kind,
            us: Sample::default(),
            cpu_us: Sample::default(),
            rate: Sample::default(),
            peak_mb: Sample::default(),
        })
        .into();
    for _ in 0..rounds {
        for result in &mut results {
            crate::fanout::fill(stage, 1)?;
            let (name, handler) = (result.contender.name(), result.handler.name());
            once(stage, result, clients, calls)
                .await
                .map_err(|error| error.context(format!("{name}, {handler}")))?;
        }
    }
    Ok(results)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and bytes are below 2^52"
)]
async fn once(stage: &Stage, result: &mut Warm, clients: &[Client], calls: usize) -> Result<()> {
    let Warm {
        contender,
        handler,
        kind,
        ..
    } = *result;
    let connections = stage.endpoint.url("after-0", false);
    let command = stage.command(contender, handler, &connections);
    let mut function = Function::start(&command, None, handler.limit(contender)).await?;
    // What takes bcrypt each time takes long.
    let slow = kind == Kind::AcceptedFirst
        || (contender, kind) == (Contender::Tutorial, Kind::AcceptedAgain);
    let (before, calls) = match (kind, slow) {
        // The first client is there for all that a first call costs besides bcrypt.
        (Kind::AcceptedFirst, _) => (1, clients.len() - 1),
        (_, true) => (2, clients.len()),
        (Kind::AcceptedAgain, _) => (clients.len().max(calls), calls),
        _ => (calls, calls),
    };
    for i in 0..before {
        check(
            result.kind,
            function
                .invoke(event(handler, kind, clients, i)?)
                .await?
                .0
                .body,
        )?;
    }
    let start = function.usage()?;
    let mut total = 0.0;
    for i in before..before + calls {
        let (answer, took) = function.invoke(event(handler, kind, clients, i)?).await?;
        check(result.kind, answer.body)?;
        let seconds = took.as_secs_f64();
        result.us.add(seconds * 1e6);
        total += seconds;
    }
    let end = function.usage()?;
    let cpu = (end.cpu - start.cpu).as_secs_f64();
    result.cpu_us.add(cpu * 1e6 / calls as f64);
    result.rate.add(calls as f64 / total);
    result.peak_mb.add(end.peak_memory as f64 / 1e6);
    function.end().await
}

/// A rejected token is answered with an error, and only that.
fn check(kind: Kind, answer: Result<String, String>) -> Result<()> {
    match (kind, answer) {
        (Kind::Rejected, Err(error)) if error.contains("Unauthorized") => Ok(()),
        (Kind::Rejected, _) => Err(anyhow!("a forged token was not refused")),
        (Kind::AcceptedFirst | Kind::AcceptedAgain, Ok(answer)) if !answer.contains("Allow") => {
            Err(anyhow!("a good token was not accepted: {answer}"))
        }
        (_, Ok(_)) => Ok(()),
        (_, Err(error)) => Err(anyhow!("{error}")),
    }
}
