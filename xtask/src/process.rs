//! Starting programs so that none of them outlives this one.
//!
//! Each runs in a process group of its own, so that Ctrl-C in the terminal reaches only this process,
//! which then ends the others in order. Each has a parent, the [`guard`](crate::guard), that ends the
//! whole group when the pipe on its standard input ends: when [`Running`] is dropped, and also when
//! this process is killed and can drop nothing.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt;

/// How long a released program may take before its group is killed: longer than the guard takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a child is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// A program that runs; dropping this ends it and everything that it started.
pub(crate) struct Running {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Starts a program behind a guard. Its standard input is empty.
    ///
    /// # Errors
    ///
    /// When no process could be made. A program that does not exist ends with 127.
    pub(crate) fn start(command: &Command, stdout: Stdio, stderr: Stdio) -> Result<Self> {
        let this = env::current_exe().context("cannot find this program's own file")?;
        // A build may have replaced the file since; the kernel still knows the one that runs.
        let this = if this.exists() {
            &this
        } else {
            Path::new("/proc/self/exe")
        };
        let mut guard = Command::new(this);
        guard.arg("guard").arg("--").arg(command.get_program());
        guard.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guard.env(name, value),
                None => guard.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guard.current_dir(folder);
        }
        Self::start_unguarded(guard.stdout(stdout).stderr(stderr))
    }

    /// Starts a program that itself ends, with everything that it started, when its standard input does.
    ///
    /// # Errors
    ///
    /// When it could not be started.
    pub(crate) fn start_unguarded(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, ended: None })
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Waits until it ends, calling `meanwhile` every now and then.
    ///
    /// # Errors
    ///
    /// [`interrupt::Interrupted`].
    pub(crate) fn wait(&mut self, mut meanwhile: impl FnMut()) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            interrupt::check()?;
            meanwhile();
            thread::sleep(GLANCE);
        }
    }

    /// Its standard output, once, if that was made [`Stdio::piped`].
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, once, if that was made [`Stdio::piped`].
    pub(crate) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while let Ok(None) = self.ended() {
            if Instant::now() > deadline {
                // Not yet waited for, so the number cannot have been given to another group.
                if let Ok(group) = i32::try_from(self.child.id()) {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                let _ = self.child.wait();
                return;
            }
            thread::sleep(GLANCE);
        }
    }
}

/// The lines of some streams as they come, from a thread for each. It ends when all streams have.
pub(crate) fn lines<const N: usize>(streams: [Box<dyn Read + Send>; N]) -> Receiver<String> {
    let (line, lines) = mpsc::channel();
    for stream in streams {
        let line = line.clone();
        thread::spawn(move || {
            for bytes in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if line.send(text).is_err() {
                    return;
                }
            }
        });
    }
    lines
}

/// The program's name and its first arguments, for a person to read.
pub(crate) fn describe(command: &Command) -> String {
    const SHOWN: usize = 6;
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut arguments = command.get_args();
    let mut words: Vec<&OsStr> = [name]
        .into_iter()
        .chain(arguments.by_ref().take(SHOWN))
        .collect();
    if arguments.next().is_some() {
        words.push(OsStr::new("…"));
    }
    words.join(OsStr::new(" ")).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_short() {
        let mut command = Command::new("/somewhere/bin/sam");
        command.args(["deploy", "--config-env", "local"]);
        assert_eq!(describe(&command), "sam deploy --config-env local");
        command.args(["a", "b", "c", "d"]);
        assert_eq!(describe(&command), "sam deploy --config-env local a b c …");
    }

    #[test]
    fn lines_of_all_streams_come_and_end() {
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(&b"one\ntwo\n"[..]), Box::new(&b"three"[..])];
        let mut seen: Vec<String> = lines(streams).iter().collect();
        seen.sort();
        assert_eq!(seen, ["one", "three", "two"]);
    }
}
