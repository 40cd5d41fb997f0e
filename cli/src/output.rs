//! What goes to standard output (the result) and to standard error (everything else). Colours are
//! left out where the output is no terminal or `NO_COLOR` is set.

use std::fmt::Write as _;
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

/// How wide the terminal is that a person reads the result on.
pub(crate) fn terminal_width() -> Option<u16> {
    let (_height, width) = console::Term::stdout().size_checked()?;
    Some(width)
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

/// A text without line breaks and without what could steer a terminal. In JSON, line breaks can only
/// stand between tokens, and every other control character is escaped or may be.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() || is_direction(c) => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

/// Whether a character changes the direction of the text after it, so that a line could be made to
/// read as another one.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
