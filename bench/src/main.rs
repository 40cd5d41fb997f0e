//! The bench: Hermes and its peers side by side on one machine, as processes behind a Lambda Runtime API.
//! `cargo xtask bench` builds everything and starts it; the report is `bench/RESULTS.md`.

mod aws;
mod cold;
mod contender;
mod endpoint;
mod events;
mod fanout;
mod instructions;
mod machine;
mod plots;
mod process;
mod quota;
mod report;
mod results;
mod runtime;
mod sample;
mod storm;
mod tokens;
mod units;
mod warm;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, ValueEnum};

use crate::contender::{
    AUTHORIZER, CONNECT, Contender, DEFAULT, DELIVER, DISCONNECT, RECOVER, SEND_MESSAGE,
    SEND_MESSAGE_TO_SQS, SERVER_API, Stage,
};
use crate::events::Client;
use crate::fanout::{Behaviour, Case};
use crate::results::Results;

/// Measures Hermes and its peers side by side.
#[derive(Parser)]
#[command(disable_help_subcommand = true)]
enum Bench {
    /// Measure, and write the report
    Run(Run),
    /// Serve the `@connections` API
    #[command(hide = true)]
    Endpoint(endpoint::Endpoint),
}

/// Arguments of `run`.
#[derive(Args)]
struct Run {
    /// Folder of the bootstraps, NAME/bootstrap each
    #[arg(long)]
    bootstraps: PathBuf,
    /// Folder of the Node.js peers
    #[arg(long)]
    peers: PathBuf,
    /// The program node
    #[arg(long, default_value = "node")]
    node: PathBuf,
    /// The workspace: the report goes to `bench/`, the figures to `cost/measured.json`
    #[arg(long)]
    root: PathBuf,
    /// Smaller rooms and tables, and fewer rounds
    #[arg(long)]
    quick: bool,
    /// Measure only this, and write no report (several: comma-separated)
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
}

/// What can be measured on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Cold starts
    Cold,
    /// Warm functions, and the authorizer
    Warm,
    /// A reconnect storm
    Storm,
    /// Instructions, under callgrind
    Instructions,
    /// Fan-out
    Fanout,
    /// Fan-out under the account's token bucket
    Quota,
    /// Units of `DynamoDB` and SQS
    Units,
}

/// How much is measured.
struct Extent {
    cold_rounds: usize,
    quota_rounds: usize,
    warm_calls: usize,
    rounds: usize,
    clients: usize,
    storm: Duration,
    rooms: &'static [usize],
    delays_ms: &'static [u32],
    /// Whether also slow endpoints are reached over TLS.
    slow_tls: bool,
    quota_rooms: &'static [usize],
    tables: &'static [usize],
}

const QUICK: Extent = Extent {
    cold_rounds: 5,
    quota_rounds: 1,
    warm_calls: 200,
    rounds: 3,
    clients: 12,
    storm: Duration::from_secs(1),
    rooms: &[100, 1_000],
    delays_ms: &[0, 10, 30],
    slow_tls: false,
    quota_rooms: &[10_000],
    tables: &[10_000, 100_000],
};

const FULL: Extent = Extent {
    cold_rounds: 25,
    quota_rounds: 5,
    warm_calls: 2_000,
    rounds: 5,
    clients: 64,
    storm: Duration::from_secs(10),
    rooms: &[100, 1_000, 10_000, 100_000],
    delays_ms: &[0, 10, 30],
    slow_tls: true,
    quota_rooms: &[10_000, 100_000],
    tables: &[10_000, 100_000, 1_000_000],
};

fn main() -> Result<()> {
    match Bench::parse() {
        Bench::Endpoint(endpoint) => endpoint.apply(),
        Bench::Run(run) => tokio::runtime::Runtime::new()?.block_on(run.apply()),
    }
}

impl Run {
    async fn apply(self) -> Result<()> {
        let scratch = Scratch::make()?;
        let machine = machine::describe(&self.node);
        let stage = Stage {
            aws: aws::Aws::start().await?,
            endpoint: endpoint::Served::start(&scratch.0)?,
            bootstraps: self.bootstraps,
            peers: self.peers,
            node: self.node.into(),
            scratch: scratch.0.clone(),
        };
        let extent = if self.quick { &QUICK } else { &FULL };
        let mut results = Results {
            quick: self.quick,
            machine,
            date: machine::today(),
            sizes: sizes(&stage)?,
            cold: Vec::new(),
            no_quota: None,
            warm: Vec::new(),
            storm: Vec::new(),
            instructions: Vec::new(),
            fanouts: Vec::new(),
            units: Vec::new(),
        };
        let parts = match self.only[..] {
            [] => Part::value_variants(),
            _ => &self.only,
        };
        measure(&stage, extent, parts, &mut results).await?;
        if self.only.is_empty() {
            write(&results, &self.root)?;
        }
        goals(&results);
        Ok(())
    }
}

async fn measure(
    stage: &Stage,
    extent: &Extent,
    parts: &[Part],
    results: &mut Results,
) -> Result<()> {
    let clients: Vec<Client> = (0..extent.clients)
        .map(|i| Client::new("warm", i))
        .collect::<Result<_>>()?;
    let rows = clients.iter().map(|client| client.row.clone());
    stage.aws.put("Credentials", rows)?;
    for part in parts {
        match part {
            Part::Cold => cold_starts(stage, extent, &clients[0], results).await?,
            Part::Warm => {
                say("warm functions, and the authorizer");
                results.warm =
                    warm::measure(stage, &clients, extent.warm_calls, extent.rounds).await?;
            }
            Part::Storm => {
                say("a reconnect storm");
                results.storm =
                    storm::measure(stage, &clients, extent.storm, extent.rounds).await?;
            }
            Part::Instructions if instructions::available() => {
                say("instructions, under callgrind");
                results.instructions = instructions::measure(stage, &clients).await?;
            }
            Part::Instructions => say("valgrind is not installed: no instructions are counted"),
            Part::Fanout => fan_outs(stage, extent, results).await?,
            Part::Quota => under_quota(stage, extent, results).await?,
            Part::Units => {
                say("units");
                results.units =
                    units::measure(stage, &clients[0], extent.tables, extent.rooms).await?;
            }
        }
    }
    Ok(())
}

async fn cold_starts(
    stage: &Stage,
    extent: &Extent,
    client: &Client,
    results: &mut Results,
) -> Result<()> {
    say("cold starts");
    results.cold = cold::measure(stage, client, None, extent.cold_rounds).await?;
    for memory_mb in [512, 128] {
        if let Err(error) = quota::Quota::of(memory_mb) {
            results.no_quota = Some(format!("{error:#}"));
            continue;
        }
        say(&format!("cold starts with the CPU share of {memory_mb} MB"));
        let cold = cold::measure(stage, client, Some(memory_mb), extent.quota_rounds).await?;
        results.cold.extend(cold);
    }
    Ok(())
}

const ALL: [Contender; 4] = [
    Contender::Hermes,
    Contender::Tutorial,
    Contender::Improved,
    Contender::Floor,
];

async fn fan_outs(stage: &Stage, extent: &Extent, results: &mut Results) -> Result<()> {
    for &members in extent.rooms {
        fanout::fill(stage, members)?;
        for &ms in extent.delays_ms {
            for tls in [false, true] {
                if tls && ms > 0 && !extent.slow_tls {
                    continue;
                }
                let protocol = if tls { "TLS" } else { "HTTP" };
                say(&format!("fan-out to {members}, {ms} ms, {protocol}"));
                let case = Case {
                    members,
                    behaviour: Behaviour::After(ms),
                    tls,
                };
                let rounds = rounds(extent, members, ms);
                results
                    .fanouts
                    .extend(fanout::measure(stage, case, &ALL, rounds).await?);
            }
        }
    }
    Ok(())
}

async fn under_quota(stage: &Stage, extent: &Extent, results: &mut Results) -> Result<()> {
    for &members in extent.quota_rooms {
        say(&format!("fan-out to {members} under the token bucket"));
        fanout::fill(stage, members)?;
        let case = Case {
            members,
            behaviour: Behaviour::Quota,
            tls: false,
        };
        let rounds = extent.rounds.min(3);
        results
            .fanouts
            .extend(fanout::measure(stage, case, &ALL[..3], rounds).await?);
    }
    Ok(())
}

/// The report, its pictures, and the figures that bills are made of.
fn write(results: &Results, root: &Path) -> Result<()> {
    let folder = root.join("bench");
    fs::write(folder.join("RESULTS.md"), report::markdown(results))?;
    plots::write(results, &folder)?;
    let measured = results.measured().context("not everything was measured")?;
    let figures = serde_json::to_string_pretty(&measured)? + "\n";
    fs::write(root.join("cost/measured.json"), figures)?;
    println!("The report: {}", folder.join("RESULTS.md").display());
    Ok(())
}

fn goals(results: &Results) {
    for goal in results.goals() {
        let mark = match goal.reached {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "–",
        };
        println!("{mark} {:40} {:48} {}", goal.what, goal.goal, goal.measured);
    }
}

/// What takes minutes is measured less often.
fn rounds(extent: &Extent, members: usize, delay_ms: u32) -> usize {
    match (members, delay_ms) {
        (100_000.., 1..) => 1,
        (10_000.., _) => extent.rounds.min(3),
        _ => extent.rounds,
    }
}

fn sizes(stage: &Stage) -> Result<std::collections::BTreeMap<&'static str, u64>> {
    let handlers = [
        AUTHORIZER,
        CONNECT,
        DISCONNECT,
        SEND_MESSAGE,
        SEND_MESSAGE_TO_SQS,
        DELIVER,
        RECOVER,
        DEFAULT,
        SERVER_API,
    ];
    let size = |handler: contender::Handler| {
        let file = stage.bootstrap(handler);
        let size = fs::metadata(&file)
            .with_context(|| format!("{} is missing", file.display()))?
            .len();
        Ok((handler.name(), size))
    };
    handlers.into_iter().map(size).collect()
}

fn say(what: &str) {
    println!("▸ {what}");
}

/// A folder that goes away with it.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let folder = parent.join(format!("hermes-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what benches left in a folder that were killed.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name
            .to_str()
            .and_then(|name| name.strip_prefix("hermes-bench-"));
        let pid = rest.and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // The files of a control group cannot be removed, and need not be.
            let path = entry.path();
            let _ = fs::remove_dir(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
}
