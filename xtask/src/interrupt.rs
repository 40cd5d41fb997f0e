//! Ctrl-C, SIGTERM and SIGHUP: noticed between two looks at a child, so that what was started is
//! ended in order. A second signal ends this process at once; the guards then do the rest.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static SIGNALLED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Someone wants this command to stop.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("stopped before it was done")
    }
}

impl std::error::Error for Interrupted {}

/// Turns the signals that ask a program to end into [`check`] failing.
pub(crate) fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal sets the flag, the next one finds it set.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&SIGNALLED))
            .and_then(|_| flag::register(signal, Arc::clone(&SIGNALLED)))
            .context("cannot watch for signals")?;
    }
    Ok(())
}

/// Whether a signal asked to end.
pub(crate) fn signalled() -> bool {
    SIGNALLED.load(Ordering::Relaxed)
}

/// Stops what other threads are doing, because a step that they need has failed.
pub(crate) fn cancel() {
    CANCELLED.store(true, Ordering::Relaxed);
}

/// # Errors
///
/// [`Interrupted`] once a signal came or [`cancel`] was called.
pub(crate) fn check() -> Result<(), Interrupted> {
    if signalled() || CANCELLED.load(Ordering::Relaxed) {
        return Err(Interrupted);
    }
    Ok(())
}
