//! Dead letters as rows, and as JSON.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use hermes::RoomId;
use hermes::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::dead_letters::DeadLetter;
use crate::output::one_line;
use crate::table::age;

/// How much of a body is shown in a row.
const BEGINNING: usize = 60;

/// A dead letter for a program.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    id: &'a str,
    sent_at: Option<Timestamp>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
    room_id: Option<RoomId>,
    body: &'a str,
}

impl<'a> From<&'a DeadLetter> for Document<'a> {
    fn from(letter: &'a DeadLetter) -> Self {
        Self {
            id: &letter.id,
            sent_at: letter.sent_at,
            error_code: letter.error_code.as_deref(),
            error_message: letter.error_message.as_deref(),
            room_id: room(&letter.body),
            body: &letter.body,
        }
    }
}

/// Dead letters for a person, no wider than `width`.
pub(super) fn table(
    letters: &[DeadLetter],
    kind: Kind,
    now: Timestamp,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["ID", "AGE", "ERROR", "REASON", "ROOM", "BODY"]);
    if let Some(width) = width {
        table.set_width(width);
    }
    for letter in letters {
        table.add_row([
            letter.id.clone(),
            letter
                .sent_at
                .map_or_else(|| "–".to_owned(), |at| age(at, now)),
            one_line(letter.error_code.as_deref().unwrap_or("–")),
            reason(letter, kind),
            room(&letter.body).map_or_else(|| "–".to_owned(), |room| one_line(room.as_str())),
            beginning(&letter.body),
        ]);
    }
    for column in table.column_iter_mut().take(3) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.trim_fmt()
}

/// Why the message is here.
pub(super) fn reason(letter: &DeadLetter, kind: Kind) -> String {
    match &letter.error_message {
        Some(message) => one_line(message),
        None => format!(
            "delivered in vain until SQS gave up: the log of {} says why",
            kind.function()
        ),
    }
}

/// The room in the body, where it can be read.
pub(super) fn room(body: &str) -> Option<RoomId> {
    #[derive(Deserialize)]
    struct Body {
        room_id: RoomId,
    }
    serde_json::from_str::<Body>(body)
        .ok()
        .map(|body| body.room_id)
}

fn beginning(body: &str) -> String {
    let line = one_line(body);
    match line.char_indices().nth(BEGINNING) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_and_why() {
        let now = Timestamp::from_secs(1_795_300_000);
        let buried = DeadLetter {
            id: "0b1c".to_owned(),
            sent_at: Some(Timestamp::from_secs(1_795_300_000 - 7_530)),
            error_code: Some("invalid_message".to_owned()),
            error_message: Some("`data` is missing".to_owned()),
            body: "{\"room_id\":7,\n\"to\":\"\u{9b}2J\"}".to_owned(),
        };
        let given_up = DeadLetter {
            id: "7d".to_owned(),
            sent_at: None,
            error_code: None,
            error_message: None,
            body: "ü".repeat(61),
        };
        let letters = [buried, given_up];
        assert_eq!(
            table(&letters, Kind::Deliveries, now, None)
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>(),
            [
                "ID AGE ERROR REASON ROOM BODY".to_owned(),
                "0b1c 2h 5m invalid_message `data` is missing 7 {\"room_id\":7, \"to\":\"\\u009b2J\"}".to_owned(),
                format!("7d – – delivered in vain until SQS gave up: the log of deliver says why – {}…", "ü".repeat(60)),
            ]
        );
        let narrow = table(&letters, Kind::Messages, now, Some(80));
        let widest = narrow.lines().map(|line| line.chars().count()).max();
        assert!(widest.unwrap() <= 80, "{narrow}");
    }

    #[test]
    fn a_document_has_the_whole() {
        let letter = DeadLetter {
            id: "0b1c".to_owned(),
            sent_at: Some(Timestamp::from_secs(1_795_300_000)),
            error_code: None,
            error_message: None,
            body: "no JSON".to_owned(),
        };
        assert_eq!(
            serde_json::to_string(&Document::from(&letter)).unwrap(),
            r#"{"id":"0b1c","sent_at":"2026-11-21T22:26:40.000Z","error_code":null,"error_message":null,"room_id":null,"body":"no JSON"}"#
        );
    }
}
