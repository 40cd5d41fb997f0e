//! Results as tables for a person.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use hermes::time::Timestamp;

use crate::output;

/// Rows under a header, no wider than the terminal. The columns `numbers`, counted from 0, stand on the right.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    numbers: &[usize],
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if let Some(width) = output::terminal_width() {
        table.set_width(width);
    }
    for row in rows {
        table.add_row(row);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        if numbers.contains(&i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// The two largest units of a time: `2h 5m`.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = Duration::from_secs(now.since(at).as_secs());
    let text = humantime::format_duration(seconds).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `1 room`, `2 rooms`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_on_the_right() {
        let rows = [
            ["demo".to_owned(), "7".to_owned()],
            ["x".to_owned(), "1200".to_owned()],
        ];
        let table = table(["ROOM", "N"], rows, &[1]);
        let lines: Vec<_> = table.lines().map(str::trim_end).collect();
        assert_eq!(lines, [" ROOM     N", " demo     7", " x     1200"]);
    }

    #[test]
    fn one_socket_is_not_two() {
        assert_eq!(count(1, "socket"), "1 socket");
        assert_eq!(count(0, "socket"), "0 sockets");
    }
}
