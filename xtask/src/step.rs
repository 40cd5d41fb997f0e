//! Steps: each is announced, timed, has a log file, and is remembered for the table at the end.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use console::{Term, style, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::{Failure, Reported, tail};
use crate::interrupt::{self, Interrupted};
use crate::process::{Running, describe, lines};

/// How often the last line of a running step's log is shown.
const REFRESH: Duration = Duration::from_millis(200);

/// The steps of one command.
pub(crate) struct Steps {
    logs: PathBuf,
    display: MultiProgress,
    finished: Mutex<Vec<Finished>>,
}

/// A step that runs.
pub(crate) struct Step<'steps> {
    steps: &'steps Steps,
    bar: ProgressBar,
    log: PathBuf,
}

/// A step that ran, or could not because another had failed.
#[derive(Clone)]
struct Finished {
    name: String,
    outcome: Outcome,
    took: Duration,
}

#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Done,
    Failed,
    Stopped,
    Skipped,
}

impl Outcome {
    fn mark(self) -> console::StyledObject<&'static str> {
        match self {
            Self::Done => style("✓").green(),
            Self::Failed => style("✗").red(),
            Self::Stopped => style("■").yellow(),
            Self::Skipped => style("-").dim(),
        }
    }
}

impl Steps {
    /// Steps that write their logs into a folder of their own.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub(crate) fn new(logs: PathBuf) -> Result<Self> {
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self {
            logs,
            display: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            finished: Mutex::default(),
        })
    }

    /// Runs a step. Steps may run at the same time, from several threads.
    ///
    /// # Errors
    ///
    /// [`Reported`] when it failed: why has been shown. [`Interrupted`] when it was stopped.
    pub(crate) fn run<T>(
        &self,
        name: &str,
        work: impl FnOnce(&Step<'_>) -> Result<T>,
    ) -> Result<T> {
        interrupt::check()?;
        let started = Instant::now();
        let bar = self.display.add(ProgressBar::new_spinner());
        bar.set_style(spinner());
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(REFRESH / 2);
        if bar.is_hidden() {
            eprintln!("▸ {name} …");
        }
        let log = self.logs.join(format!("{}.log", slug(name)));
        let _ = fs::remove_file(&log); // of an earlier run, if there was one
        let step = Step {
            steps: self,
            bar,
            log,
        };
        let done = work(&step);
        step.bar.finish_and_clear();
        self.display.remove(&step.bar);

        let outcome = match &done {
            Ok(_) => Outcome::Done,
            Err(error) if error.is::<Interrupted>() => Outcome::Stopped,
            Err(_) => Outcome::Failed,
        };
        let finished = Finished {
            name: name.to_owned(),
            outcome,
            took: started.elapsed(),
        };
        self.say(&format!(
            "{} {name} … {}",
            outcome.mark(),
            seconds(finished.took)
        ));
        self.remember(finished);
        done.map_err(|error| {
            if outcome == Outcome::Stopped || error.is::<Reported>() {
                return error;
            }
            self.say(&format!("{}", Failure::from(error).step(name)));
            Reported.into()
        })
    }

    /// Whether a step was begun and has ended.
    pub(crate) fn ran(&self, name: &str) -> bool {
        let finished = self.finished.lock();
        finished.is_ok_and(|finished| finished.iter().any(|step| step.name == name))
    }

    /// Notes for the table that a step was not run, because something that it needs had failed.
    pub(crate) fn skip(&self, name: &str) {
        let name = name.to_owned();
        self.remember(Finished {
            name,
            outcome: Outcome::Skipped,
            took: Duration::ZERO,
        });
    }

    /// Writes lines to the terminal, above the steps that run.
    pub(crate) fn say(&self, text: &str) {
        self.display.suspend(|| eprintln!("{text}"));
    }

    /// All steps so far, with their times.
    pub(crate) fn table(&self) -> String {
        let Ok(finished) = self.finished.lock() else {
            return String::new(); // a thread panicked; that is shown already
        };
        let width = finished.iter().map(|step| step.name.chars().count()).max();
        let width = width.unwrap_or_default();
        finished.iter().fold(String::new(), |mut table, step| {
            let mark = step.outcome.mark();
            let took = match step.outcome {
                Outcome::Skipped => "skipped".to_owned(),
                _ => seconds(step.took),
            };
            let _ = writeln!(table, "{mark} {:width$}  {took:>9}", step.name);
            table
        })
    }

    fn remember(&self, finished: Finished) {
        if let Ok(mut all) = self.finished.lock() {
            all.push(finished);
        }
    }
}

impl Step<'_> {
    /// Runs a program to its end; what it writes goes to the step's log.
    ///
    /// # Errors
    ///
    /// When it fails, with the log.
    pub(crate) fn execute(&self, command: &Command) -> Result<()> {
        let log = self.open_log(command)?;
        let mut running = Running::start(command, log.try_clone()?.into(), log.into())?;
        self.finish(command, &mut running)
    }

    /// The same, and returns what it wrote to its standard output.
    ///
    /// # Errors
    ///
    /// When it fails, with the log.
    pub(crate) fn capture(&self, command: &Command) -> Result<String> {
        let log = self.open_log(command)?;
        let mut running = Running::start(command, Stdio::piped(), log.into())?;
        let lines = running.stdout().map(|stdout| lines([Box::new(stdout)]));
        self.finish(command, &mut running)?;
        Ok(lines.iter().flatten().collect::<Vec<_>>().join("\n"))
    }

    /// Runs a program to its end; what it writes goes to standard output as it comes, and to
    /// `each_line`.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub(crate) fn show(&self, command: &Command, mut each_line: impl FnMut(&str)) -> Result<()> {
        if !self.bar.is_hidden() {
            self.bar.finish_and_clear();
            self.steps.say(&format!("▸ {} …", self.bar.prefix()));
        }
        let mut running = Running::start(command, Stdio::piped(), Stdio::piped())?;
        let stdout = running.stdout().context("no standard output")?;
        let stderr = running.stderr().context("no standard error")?;
        // Through one channel, so that they come in the order in which they were written.
        let lines = lines([Box::new(stdout), Box::new(stderr)]);
        let mut show = |line: String| {
            println!("{line}");
            each_line(&line);
        };
        let status = running.wait(|| lines.try_iter().for_each(&mut show))?;
        drop(running);
        lines.iter().for_each(&mut show);
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("`{}` failed ({status})", describe(command))).into())
    }

    fn finish(&self, command: &Command, running: &mut Running) -> Result<()> {
        let mut shown = Instant::now();
        let status = running.wait(|| {
            if shown.elapsed() >= REFRESH && !self.bar.is_hidden() {
                shown = Instant::now();
                self.show_progress();
            }
        })?;
        if status.success() {
            return Ok(());
        }
        let what = format!("`{}` failed ({status})", describe(command));
        Err(Failure::new(what).log(&self.log).into())
    }

    /// The last line of the log, as far as it fits.
    fn show_progress(&self) {
        let line = tail(&self.log, 1).unwrap_or_default();
        let columns = usize::from(Term::stderr().size().1);
        let used = self.bar.prefix().chars().count() + 16; // mark, dots and time
        let line = truncate_str(line.trim(), columns.saturating_sub(used), "…").into_owned();
        self.bar.set_message(line);
    }

    /// The log, to append to. The first line of a program's part is its command.
    fn open_log(&self, command: &Command) -> Result<File> {
        use std::io::Write as _;
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        writeln!(log, "$ {}", describe(command))?;
        Ok(log)
    }
}

fn spinner() -> ProgressStyle {
    let template = "{spinner} {prefix} … {elapsed:.cyan} {msg:.dim}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A duration as a person reads it.
fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// A name that can be a file's.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_file_name() {
        assert_eq!(
            slug("`cargo fmt` --all, on 2 cores"),
            "cargo-fmt-all-on-2-cores"
        );
    }

    #[test]
    fn times_have_units() {
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(seconds(Duration::from_secs(83)), "1 min 23 s");
    }
}
