//! `cargo xtask guard PROGRAM …` (hidden): the parent of every program that a command starts.
//!
//! Its standard input is a pipe that the command holds. When that ends, whether the command let go of
//! it or was killed, the guard ends its process group: the program and whatever the program started.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::getpgrp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long a program may take to end in its own way.
const GRACE: Duration = Duration::from_secs(5);

/// Arguments of `guard`.
#[derive(Args)]
pub(crate) struct Guard {
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Guard {
    /// Runs the program; exits as it does.
    pub(crate) fn apply(self) -> ExitCode {
        // The guard survives the SIGTERM that it sends to its own group.
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let ignored = Arc::new(AtomicBool::new(false));
            if let Err(error) = signal_hook::flag::register(signal, ignored) {
                eprintln!("cannot handle signals: {error}");
                return ExitCode::FAILURE;
            }
        }
        let (event, events) = mpsc::channel();
        let released = event.clone();
        thread::spawn(move || {
            // Interrupted reads go on; an error, like the end, means that nobody holds the pipe.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            released.send(Event::Released)
        });

        let mut child = match Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::null())
            .spawn()
        {
            Ok(child) => child,
            Err(error) => {
                eprintln!("{}: {error}", self.command[0].display());
                return ExitCode::from(127); // as a shell reports a program that is not there
            }
        };
        thread::spawn(move || event.send(Event::Ended(child.wait())));

        match events.recv() {
            Ok(Event::Ended(Ok(status))) => {
                let _ = killpg(getpgrp(), Signal::SIGTERM); // what it may have left running
                ExitCode::from(code(status))
            }
            _ => end_group(&events),
        }
    }
}

/// What the guard waits for, whichever comes first.
enum Event {
    /// The program ended by itself.
    Ended(io::Result<ExitStatus>),
    /// Nobody holds our standard input any more.
    Released,
}

/// Asks the group to end and, after [`GRACE`], ends it: this process too.
fn end_group(events: &mpsc::Receiver<Event>) -> ExitCode {
    let group = getpgrp();
    let _ = killpg(group, Signal::SIGTERM);
    let _ = events.recv_timeout(GRACE);
    let _ = killpg(group, Signal::SIGKILL);
    ExitCode::FAILURE
}

/// The exit code of a program, as a shell would report it.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137, "ended by SIGKILL");
    }
}
