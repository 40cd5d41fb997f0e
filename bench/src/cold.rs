//! Cold start: from the start of the process to its answer to a first, real event.

use anyhow::{Result, anyhow};

use crate::contender::{AUTHORIZER, CONNECT, Contender, EMPTY, Handler, Stage};
use crate::events::{self, Client};
use crate::quota::Quota;
use crate::runtime::Function;
use crate::sample::Sample;

/// What was measured of one function.
#[derive(Debug, Clone)]
pub(crate) struct Cold {
    /// Whose it is.
    pub(crate) contender: Contender,
    /// Which.
    pub(crate) handler: Handler,
    /// With the CPU share of so much memory; none: at full speed.
    pub(crate) memory_mb: Option<u32>,
    /// To the first answer, in milliseconds.
    pub(crate) ms: Sample,
    /// The most memory until then, in MB.
    pub(crate) peak_mb: Sample,
}

/// Whom to start.
const CASES: [(Contender, Handler); 7] = [
    (Contender::Hermes, CONNECT),
    (Contender::Tutorial, CONNECT),
    (Contender::Improved, CONNECT),
    (Contender::Floor, EMPTY),
    (Contender::Hermes, AUTHORIZER),
    (Contender::Tutorial, AUTHORIZER),
    (Contender::Improved, AUTHORIZER),
];

/// Starts each, one after another in each round.
///
/// # Errors
///
/// Where a quota is asked for that this machine cannot hold, or a function fails.
pub(crate) async fn measure(
    stage: &Stage,
    client: &Client,
    memory_mb: Option<u32>,
    rounds: usize,
) -> Result<Vec<Cold>> {
    let quota = memory_mb.map(Quota::of).transpose()?;
    let mut results: Vec<Cold> = CASES
        .map(|(contender, handler)| Cold {
            contender,
            handler,
            memory_mb,
            ms: Sample::default(),
            peak_mb: Sample::default(),
        })
        .into();
    for round in 0..=rounds {
        for result in &mut results {
            let event = match result.handler {
                AUTHORIZER => events::authorizer(&client.token)?,
                _ => events::connect("room", round)?,
            };
            let connections = stage.endpoint.url("after-0", false);
            let command = stage.command(result.contender, result.handler, &connections);
            let limit = result.handler.limit(result.contender);
            let mut function = Function::start(&command, quota.as_ref(), limit).await?;
            let (answer, _) = function.invoke(event).await?;
            answer.body.map_err(|error| {
                let (name, handler) = (result.contender.name(), result.handler.name());
                anyhow!("{name}, {handler}: {error}")
            })?;
            let took = answer.at - function.started();
            // The first round only brings the files into memory.
            if round > 0 {
                result.ms.add(took.as_secs_f64() * 1e3);
                #[expect(clippy::cast_precision_loss, reason = "memory is below 2^52 bytes")]
                result
                    .peak_mb
                    .add(function.usage()?.peak_memory as f64 / 1e6);
            }
        }
    }
    Ok(results)
}
