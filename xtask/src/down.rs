//! `cargo xtask down`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::running;
use crate::workspace::Workspace;

/// Longer than `up` takes to end everything that it started.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments of `down`.
#[derive(Args)]
pub(crate) struct Down {}

impl Down {
    /// Ends the `up` that runs, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub(crate) fn apply(self) -> Result<()> {
        let workspace = Workspace::find()?;
        if running::end(&workspace, PATIENCE)? {
            eprintln!("Stopped. Nothing of it is left running; its tables and queues are gone.");
        } else {
            eprintln!("No `cargo xtask up` runs here.");
        }
        Ok(())
    }
}
