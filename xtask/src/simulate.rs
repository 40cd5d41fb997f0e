//! `cargo xtask simulate`.

use anyhow::Result;
use clap::Args;

use crate::failure::Explain;
use crate::step::Steps;
use crate::workspace::Workspace;

/// The test that plays the schedules.
const TEST: &str = "every_schedule_keeps_the_promise";

/// Arguments of `simulate`.
#[derive(Args)]
pub(crate) struct Simulate {
    /// How many schedules to play
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    schedules: u64,
    /// The first one's seed; those of the others follow
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

impl Simulate {
    /// Plays the schedules, until one breaks the promise. That one's seed is shown; alone it is played
    /// with its story.
    ///
    /// # Errors
    ///
    /// When a schedule breaks the promise.
    pub(crate) fn apply(self) -> Result<()> {
        let workspace = Workspace::find()?;
        let steps = Steps::new(workspace.local("simulate"))?;
        let test = ["test", "--package", "hermes-tests", "--test", "simulation"];
        steps.run("compiling the simulation", |step| {
            step.execute(&workspace.cargo(test.into_iter().chain(["--no-run"])))
        })?;
        let Self { schedules, seed } = self;
        let name = match schedules {
            1 => format!("playing the schedule {seed}"),
            _ => format!("playing {schedules} schedules from {seed} on"),
        };
        steps.run(&name, |step| {
            let arguments = ["--quiet", "--", "--exact", TEST, "--nocapture"];
            let mut play = workspace.cargo(test.into_iter().chain(arguments));
            play.env("HERMES_SCHEDULES", schedules.to_string())
                .env("HERMES_SEED", seed.to_string());
            step.show(&play, |_| {})
                .advise("the line `seed …` above says what is broken, and how to see its story")
        })
    }
}
