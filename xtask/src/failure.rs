//! What a person sees when something fails: what, the end of the log that matters, what to try.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::interrupt::Interrupted;

/// How many lines of a log are shown.
const TAIL_LINES: usize = 25;

/// Something failed.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    step: Option<String>,
    what: String,
    logs: Vec<PathBuf>,
    advice: Vec<String>,
}

impl Failure {
    /// A failure with a sentence that says what failed.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        Self {
            what,
            ..Self::default()
        }
    }

    /// Names the step that failed.
    pub(crate) fn step(mut self, name: &str) -> Self {
        self.step = Some(name.to_owned());
        self
    }

    /// Adds the log that tells more.
    pub(crate) fn log(mut self, log: &Path) -> Self {
        self.logs.push(log.to_owned());
        self
    }

    /// Adds what to try.
    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        error
            .downcast::<Self>()
            .unwrap_or_else(|error| Self::new(format!("{error:#}")))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\nerror: ")?;
        if let Some(step) = &self.step {
            write!(formatter, "{step}: ")?;
        }
        formatter.write_str(&self.what)?;
        for log in &self.logs {
            write!(formatter, "\n\nThe end of {}:", log.display())?;
            let text = tail(log, TAIL_LINES).unwrap_or_else(|error| error.to_string());
            for line in text.lines() {
                write!(formatter, "\n  │ {line}")?;
            }
        }
        for advice in &self.advice {
            write!(formatter, "\n\nWhat to try: {advice}")?;
        }
        writeln!(formatter)
    }
}

impl std::error::Error for Failure {}

/// A failure that has been shown already.
#[derive(Debug)]
pub(crate) struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a step failed; see above")
    }
}

impl std::error::Error for Reported {}

/// Adds to an error what only the caller knows.
pub(crate) trait Explain<T> {
    /// What a person can try.
    fn advise(self, advice: &str) -> Result<T>;
    /// Another log that tells why.
    fn see(self, log: &Path) -> Result<T>;
}

impl<T> Explain<T> for Result<T> {
    fn advise(self, advice: &str) -> Self {
        self.map_err(|error| change(error, |failure| failure.advice(advice)))
    }

    fn see(self, log: &Path) -> Self {
        self.map_err(|error| change(error, |failure| failure.log(log)))
    }
}

/// Changes what is told about an error. That someone stopped us needs no explanation.
fn change(error: anyhow::Error, change: impl FnOnce(Failure) -> Failure) -> anyhow::Error {
    if error.is::<Interrupted>() || error.is::<Reported>() {
        return error;
    }
    change(Failure::from(error)).into()
}

/// The last lines of a file, without colours and cursor movements.
///
/// # Errors
///
/// When the file cannot be read.
pub(crate) fn tail(file: &Path, lines: usize) -> std::io::Result<String> {
    const LONGEST_BYTES: u64 = 16 * 1024;
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = plain(&String::from_utf8_lossy(&bytes));
    let all: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}

/// The text without ANSI escape sequences; of a line that was redrawn, the last state.
fn plain(text: &str) -> String {
    console::strip_ansi_codes(text)
        .lines()
        .map(|line| {
            line.trim_end_matches('\r')
                .rsplit('\r')
                .next()
                .unwrap_or_default()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_state_of_a_redrawn_line_is_shown() {
        assert_eq!(
            plain("10 %\r20 %\r\n\u{1b}[1mdone\u{1b}[0m\n"),
            "20 %\ndone"
        );
    }

    #[test]
    fn a_failure_says_what_where_and_what_to_try() {
        let log = std::env::temp_dir().join(format!("xtask-failure-{}.log", std::process::id()));
        std::fs::write(&log, "one\n\ntwo\nthree\n").unwrap();
        let error: Result<()> = Err(Failure::new("`sam deploy` failed").into());
        let shown = error.see(&log).advise("read it").unwrap_err().to_string();
        assert!(
            shown.starts_with("\nerror: `sam deploy` failed\n\nThe end of "),
            "{shown}"
        );
        assert!(
            shown.ends_with(":\n  │ one\n  │ two\n  │ three\n\nWhat to try: read it\n"),
            "{shown}"
        );
        assert_eq!(tail(&log, 2).unwrap(), "two\nthree");
        std::fs::remove_file(log).unwrap();
    }
}
