//! `cargo xtask`: the developer's commands. Each is a file: `up`, `down`, `test`, `simulate`, `bench`,
//! `lint`, `invoke`.
//!
//! They start other programs (pip, cargo, sam, the local AWS), and every one of those is started
//! through [`process`], so that none outlives the command, however the command ends.

mod bench;
mod cargo;
mod client;
mod curl;
mod demo;
mod down;
mod failure;
mod guard;
mod interrupt;
mod invoke;
mod lint;
mod local_aws;
mod one_stack;
mod process;
mod python;
mod running;
mod sam;
mod simulate;
mod size;
mod step;
mod test;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// The developer's commands of Hermes.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Xtask {
    /// Deploy to a local AWS, show a notification arriving, and keep running
    Up(up::Up),
    /// End the `cargo xtask up` that runs
    Down(down::Down),
    /// Lint, build as for AWS, and run every test against a local AWS of their own
    Test(test::Test),
    /// Play random schedules of everything that can go wrong
    Simulate(simulate::Simulate),
    /// Measure speed and cost side by side with other designs, and write bench/RESULTS.md
    Bench(bench::Bench),
    /// Check format, lints, documentation, dependencies and template
    Lint(lint::Lint),
    /// Run one function once, with an event from a file, without Docker
    Invoke(invoke::Invoke),
    /// Run a program that must not outlive the process that holds our standard input
    #[command(hide = true)]
    Guard(guard::Guard),
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::Guard(guard) => return guard.apply(),
        command => interrupt::watch().and_then(|()| match command {
            Xtask::Up(up) => up.apply(),
            Xtask::Down(down) => down.apply(),
            Xtask::Test(test) => test.apply(),
            Xtask::Simulate(simulate) => simulate.apply(),
            Xtask::Bench(bench) => bench.apply(),
            Xtask::Lint(lint) => lint.apply(),
            Xtask::Invoke(invoke) => invoke.apply(),
            Xtask::Guard(_) => unreachable!("handled above"),
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupt::signalled() => {
            eprintln!("Stopped.");
            ExitCode::from(130) // as a shell reports a program that Ctrl-C ended
        }
        Err(error) => {
            let shown = error.is::<failure::Reported>() || error.is::<interrupt::Interrupted>();
            if !shown {
                eprintln!("{}", failure::Failure::from(error));
            }
            ExitCode::FAILURE
        }
    }
}
