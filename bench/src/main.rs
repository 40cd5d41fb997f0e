//! The bench: Hermes and its peers side by side on one machine, as processes behind a Lambda Runtime API.
//! `cargo xtask bench` builds everything and starts it; the report is `bench/RESULTS.md`.

mod aws;
mod cold;
mod contender;
mod endpoint;
mod events;
mod fanout;
mod process;
mod quota;
mod runtime;
mod sample;
mod tokens;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser};

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
    node: OsString,
    /// Folder for the report
    #[arg(long)]
    out: PathBuf,
    /// Smaller rooms and fewer rounds
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    match Bench::parse() {
        Bench::Endpoint(endpoint) => endpoint.apply(),
        Bench::Run(run) => tokio::runtime::Runtime::new()?.block_on(measure(run)),
    }
}

async fn measure(run: Run) -> Result<()> {
    use contender::{Contender, Stage};
    let scratch = std::env::temp_dir().join(format!("hermes-bench-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)?;
    let stage = Stage {
        aws: aws::Aws::start().await?,
        endpoint: endpoint::Served::start(&scratch)?,
        bootstraps: run.bootstraps,
        peers: run.peers,
        node: run.node,
        scratch,
    };
    let client = events::Client::new("room", 1)?;
    stage
        .aws
        .put("Credentials", std::iter::once(client.row.clone()))?;
    for memory in [None, Some(512), Some(128)] {
        for cold in cold::measure(&stage, &client, memory, 3).await? {
            println!(
                "{} {} {memory:?} {:.1} ms {:.1} MB",
                cold.contender.name(),
                cold.handler.name(),
                cold.ms.median(),
                cold.peak_mb.median()
            );
        }
    }
    let all = [
        Contender::Hermes,
        Contender::Tutorial,
        Contender::Improved,
        Contender::Floor,
    ];
    for members in [100, 1000, 10_000] {
        fanout::fill(&stage, members)?;
        for (behaviour, tls) in [
            (fanout::Behaviour::After(0), false),
            (fanout::Behaviour::After(10), false),
            (fanout::Behaviour::After(0), true),
            (fanout::Behaviour::Quota, false),
        ] {
            let case = fanout::Case {
                members,
                behaviour,
                tls,
            };
            for result in fanout::measure(&stage, case, &all, 2).await? {
                println!(
                    "{} {case:?} {:.0}/s {:.1} us {:.1} MB lost {} throttled {:.3} {:?}",
                    result.contender.name(),
                    result.rate.median(),
                    result.cpu_us.median(),
                    result.peak_mb.median(),
                    result.lost.max(),
                    result.throttled.median(),
                    result.failure
                );
            }
        }
    }
    std::fs::remove_dir_all(&stage.scratch)?;
    Ok(())
}
