//! A reconnect storm: clients come back at a fixed rate, whatever the authorizer does, to one warm process.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::contender::{AUTHORIZER, Contender, Stage};
use crate::events::{self, Client};
use crate::runtime::Function;
use crate::sample::Sample;

/// New connections a second that an account may have ("Quotas for WebSocket APIs").
pub(crate) const CLIENTS_A_SECOND: u32 = 500;

/// What was measured of one authorizer.
#[derive(Debug, Clone)]
pub(crate) struct Storm {
    /// Whose.
    pub(crate) contender: Contender,
    /// From when a client came to its answer, in milliseconds; the waiting for those before it included.
    pub(crate) ms: Sample,
    /// Answers a second.
    pub(crate) served: Sample,
    /// Share of one CPU that the process had: one value a round.
    pub(crate) cpu: Sample,
    /// Processes that it takes to serve everybody: the rate times the time of a call.
    pub(crate) environments: Sample,
}

/// Measures each, one after another in each round. The clients have connected before.
pub(crate) async fn measure(
    stage: &Stage,
    clients: &[Client],
    length: Duration,
    rounds: usize,
) -> Result<Vec<Storm>> {
    let contenders = [Contender::Hermes, Contender::Tutorial, Contender::Improved];
    let mut results = contenders.map(|contender| Storm {
        contender,
        ms: Sample::default(),
        served: Sample::default(),
        cpu: Sample::default(),
        environments: Sample::default(),
    });
    for _ in 0..rounds {
        for result in &mut results {
            once(stage, result, clients, length).await?;
        }
    }
    Ok(results.into())
}

async fn once(
    stage: &Stage,
    result: &mut Storm,
    clients: &[Client],
    length: Duration,
) -> Result<()> {
    let command = stage.command(
        result.contender,
        AUTHORIZER,
        &stage.endpoint.url("after-0", false),
    );
    let mut function = Function::start(&command, None, AUTHORIZER.limit(result.contender)).await?;
    for client in clients {
        function.call(events::authorizer(&client.token)?).await?;
    }
    let events: Vec<String> = clients
        .iter()
        .map(|client| events::authorizer(&client.token))
        .collect::<Result<_>>()?;
    let interval = Duration::from_secs(1) / CLIENTS_A_SECOND;
    let before = function.usage()?;
    let start = Instant::now();
    let mut busy = Duration::ZERO;
    let mut served = 0_u32;
    for (i, event) in (0..).zip(events.iter().cycle()) {
        let came = start + interval * i;
        // Those who came and still wait at the end are not served.
        if came >= start + length || start.elapsed() >= length {
            break;
        }
        tokio::time::sleep_until(came.into()).await;
        let (answer, took) = function.invoke(event.clone()).await?;
        answer.body.map_err(|error| anyhow!("{error}"))?;
        result.ms.add((answer.at - came).as_secs_f64() * 1e3);
        busy += took;
        served += 1;
    }
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = (function.usage()?.cpu - before.cpu).as_secs_f64();
    result.served.add(f64::from(served) / elapsed);
    result.cpu.add(cpu / elapsed);
    result
        .environments
        .add(f64::from(CLIENTS_A_SECOND) * busy.as_secs_f64() / f64::from(served));
    function.end().await
}
