//! What was sent and what was not.

use std::process::ExitCode;

use hermes::RoomId;

use crate::failure::Failure;
use crate::output;
use crate::queue::{Entry, Sent};

/// Says what was sent and what was not.
pub(super) fn report(entries: &[Entry], sent: Sent, room: &RoomId) -> Result<ExitCode, Failure> {
    let messages = |count: usize| match count {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    };
    let confirmed = sent.confirmed.len();
    if confirmed == entries.len() {
        output::status(format_args!("enqueued {} for {room}", messages(confirmed)));
        return Ok(ExitCode::SUCCESS);
    }
    let missing: Vec<usize> = (0..entries.len())
        .filter(|index| sent.confirmed.binary_search(index).is_err())
        .map(|index| entries[index].line)
        .collect();
    let reason = match (sent.failure, sent.refused.first()) {
        (Some(failure), _) => failure.to_string(),
        (None, Some((index, reason))) => {
            format!("SQS refused line {}: {reason}", entries[*index].line)
        }
        (None, None) => "interrupted".to_owned(),
    };
    if entries.len() == 1 {
        return Err(Failure::new(format!(
            "the message was not enqueued: {reason}"
        )));
    }
    Err(Failure::new(format!(
        "{} of {} enqueued for {room}; not these lines: {}\n  {reason}",
        confirmed,
        messages(entries.len()),
        ranges(&missing)
    )))
}

/// Numbers in ascending order as ranges: `1-3, 7`.
fn ranges(numbers: &[usize]) -> String {
    let mut text = Vec::new();
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    for run in runs {
        match run {
            [one] => text.push(one.to_string()),
            [first, .., last] => text.push(format!("{first}-{last}")),
            [] => {}
        }
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_is_said_shortly() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3, 7, 9-10");
        let entries: Vec<Entry> = [1, 2, 4]
            .into_iter()
            .map(|line| Entry {
                line,
                id: "m".parse().unwrap(),
                body: "{}".to_owned(),
                sequence: hermes::message::Sequence::alone("m"),
            })
            .collect();
        let sent = Sent {
            confirmed: vec![0],
            refused: vec![(1, "too odd (Odd)".to_owned())],
            failure: None,
        };
        let failure = report(&entries, sent, &"demo".parse().unwrap()).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "1 of 3 messages enqueued for demo; not these lines: 2, 4\n  SQS refused line 2: too odd (Odd)"
        );
    }
}
