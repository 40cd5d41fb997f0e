//! Where the data comes from.

use std::io::BufRead;

use crate::failure::Failure;

/// The lines that are not empty, counted from 1.
pub(super) fn read_lines(input: impl BufRead) -> Result<Vec<(usize, String)>, Failure> {
    let mut lines = Vec::new();
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(|error| {
            Failure::usage(format!(
                "line {} of the standard input cannot be read: {error}; nothing was sent",
                index + 1
            ))
        })?;
        if !line.trim().is_empty() {
            lines.push((index + 1, line));
        }
    }
    Ok(lines)
}

pub(super) fn read_file(path: &str) -> Result<String, Failure> {
    let failed = |error| {
        Failure::usage(format!("cannot read the file {path}: {error}"))
            .hint("@ names a file; with --text it has no meaning")
    };
    std::fs::read_to_string(path).map_err(failed)
}
