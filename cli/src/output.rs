//! What goes to standard output (the result) and to standard error (everything else). Colours are
//! left out where the output is no terminal or `NO_COLOR` is set.

use std::io::{IsTerminal as _, Write as _};

use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::failure::Failure;

/// Writes one line of the result.
///
/// # Errors
///
/// [`Failure`], a silent one where whoever reads the result went away.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(anstream::stdout(), "{text}")?;
    Ok(())
}

/// Writes one JSON document as one line of the result.
///
/// # Errors
///
/// As [`line`].
pub(crate) fn json(document: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(document).expect("these documents always serialize"))
}

/// Says something to the person in front, which is no part of the result.
pub(crate) fn status(text: impl std::fmt::Display) {
    // Nobody may be there to read it.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Says why the command ends without having done what it was asked for.
pub(crate) fn error(failure: &Failure) {
    status(format_args!("{} {failure}", "error:".red().bold()));
}

/// Whether a person reads the result.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A text as one word for a POSIX shell.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:/+,".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_it_otherwise() {
        assert_eq!(quoted("alice@example.com"), "alice@example.com");
        assert_eq!(quoted("a room"), "'a room'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$HOME"), "'$HOME'");
    }
}
