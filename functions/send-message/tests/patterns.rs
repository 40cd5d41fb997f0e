//! What SQS must deliver again of a batch of ten, for every way in which its records can succeed and
//! fail.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::num::NonZeroUsize;
use std::time::Duration;

use aws_lambda_events::sqs::SqsMessage;
use hermes::delivery::DeliveryJob;
use hermes::fanout::Fanout;
use hermes::log::{Appended, Draft, Entry, Epoch, History, Position, Stream};
use hermes::memory::{ManualClock, MemoryDeadLetters, MemoryLog, MemorySockets};
use hermes::partition::{Partition, Sharding};
use hermes::ports::{
    Connections, DeliveryJobs, Log, LogPage, Member, MemberPage, PageToken, PortError,
};
use hermes::publish::Publisher;
use hermes::{ConnectionId, Timestamp, UserId};
use send_message::{Event, Response};
use serde_json::json;
use tokio::time::Instant;

const RECORDS: usize = 10;

/// Which records fail: bit `i` is record `i`.
#[derive(Clone, Copy)]
struct Pattern(u32);

impl Pattern {
    fn fails(self, record: usize) -> bool {
        self.0 >> record & 1 == 1
    }

    /// Whether what is named `PREFIX-i` fails.
    fn fails_at(self, name: &str) -> bool {
        let number = name
            .rsplit('-')
            .next()
            .and_then(|number| number.parse().ok());
        number.is_some_and(|record| self.fails(record))
    }

    fn answer(self, name: &str, operation: &'static str) -> Result<(), PortError> {
        match self.fails_at(name) {
            true => Err(PortError::new(operation, "injected")),
            false => Ok(()),
        }
    }
}

/// Where a record's failure happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Failing {
    /// It is not appended. Each record is for a user of its own, so that each is an append.
    Append,
    /// It is appended, but neither delivered nor left to a job.
    Delivery,
    /// The same without a log.
    DeliveryWithoutLog,
}

/// Rooms that cannot be read: every message is left to a job, if that succeeds.
struct Unreadable(Pattern);

impl Connections for Unreadable {
    async fn join(&self, _: &Partition, _: &Member) -> Result<(), PortError> {
        unreachable!("nobody connects")
    }

    async fn leave(&self, _: &Partition, _: &UserId, _: &ConnectionId) -> Result<(), PortError> {
        unreachable!("nobody is forgotten")
    }

    async fn members(
        &self,
        _: &Partition,
        _: Option<&UserId>,
        _: Option<&PageToken>,
        _: NonZeroUsize,
        _: Timestamp,
    ) -> Result<MemberPage, PortError> {
        Err(PortError::new("reading the room", "injected"))
    }
}

impl DeliveryJobs for Unreadable {
    async fn enqueue(&self, job: &DeliveryJob) -> Result<(), PortError> {
        self.0.answer(job.id.as_str(), "enqueueing a job")
    }
}

/// A log that does not take some messages.
struct Refusing(Pattern, MemoryLog);

impl Log for Refusing {
    async fn append(
        &self,
        stream: &Stream,
        head: Option<&Position>,
        epoch: &Epoch,
        drafts: &[Draft<'_>],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Appended, PortError> {
        for draft in drafts {
            self.0.answer(draft.id.as_str(), "appending to the log")?;
        }
        let Self(_, log) = self;
        log.append(stream, head, epoch, drafts, now, expires_at)
            .await
    }

    async fn head(&self, stream: &Stream, now: Timestamp) -> Result<Option<Position>, PortError> {
        self.1.head(stream, now).await
    }

    async fn heads(
        &self,
        streams: [&Stream; 2],
        now: Timestamp,
    ) -> Result<[Option<Position>; 2], PortError> {
        self.1.heads(streams, now).await
    }

    async fn begin(
        &self,
        stream: &Stream,
        epoch: &Epoch,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Position, PortError> {
        self.1.begin(stream, epoch, now, expires_at).await
    }

    async fn find(
        &self,
        stream: &Stream,
        position: &Position,
        now: Timestamp,
    ) -> Result<Option<Entry>, PortError> {
        self.1.find(stream, position, now).await
    }

    async fn read(
        &self,
        stream: &Stream,
        after: &Position,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        self.1.read(stream, after, now).await
    }

    async fn read_back(
        &self,
        stream: &Stream,
        before: Option<&Position>,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        self.1.read_back(stream, before, now).await
    }
}

/// Record `i` of a batch, in the room that `room` says.
fn record(i: usize, room: usize, fifo: bool, failing: Failing) -> SqsMessage {
    let mut body = json!({"room_id": format!("room-{room}"), "data": i, "id": format!("m-{i}")});
    if failing == Failing::Append {
        body["to"] = json!(format!("user-{i}"));
    }
    let mut record = SqsMessage::default();
    record.message_id = Some(format!("record-{i}"));
    record.body = Some(body.to_string());
    let attributes = &mut record.attributes;
    attributes.insert("SentTimestamp".to_owned(), "1795255200123".to_owned());
    if fifo {
        attributes.insert("MessageGroupId".to_owned(), format!("group-{room}"));
        record.event_source_arn =
            Some("arn:aws:sqs:eu-central-1:123456789012:messages.fifo".to_owned());
    }
    record
}

/// The records that SQS is told to deliver again.
async fn failures(
    pattern: Pattern,
    failing: Failing,
    fifo: bool,
    room: impl Fn(usize) -> usize,
) -> Vec<String> {
    let none = Pattern(0);
    let (append, deliver) = match failing {
        Failing::Append => (pattern, none),
        Failing::Delivery | Failing::DeliveryWithoutLog => (none, pattern),
    };
    let rooms = Unreadable(deliver);
    let clock = ManualClock::at(Timestamp::from_millis(1_795_255_200_200));
    let sockets = MemorySockets::default();
    let concurrency = NonZeroUsize::new(8).unwrap();
    let fanout = Fanout::new(
        &rooms,
        &sockets,
        &rooms,
        &clock,
        Sharding::default(),
        concurrency,
    );
    let log = Refusing(append, MemoryLog::default());
    let history = History::new(&log, Duration::from_secs(3600));
    let history = Some(history).filter(|_| failing != Failing::DeliveryWithoutLog);
    let publisher = Publisher::new(history, fanout);
    let mut batch = aws_lambda_events::sqs::SqsEvent::default();
    batch.records = (0..RECORDS)
        .map(|i| record(i, room(i), fifo, failing))
        .collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    let letters = MemoryDeadLetters::default();
    let event = Event::Queue(batch);
    let Response::Queue(response) =
        send_message::handle(&publisher, &letters, event, deadline).await
    else {
        panic!("a batch is answered as one");
    };
    let failures = response.batch_item_failures.into_iter();
    failures.map(|failure| failure.item_identifier).collect()
}

/// All patterns, for a way to put records into rooms.
async fn every_pattern(room: impl Fn(usize) -> usize + Copy) {
    for failing in [
        Failing::Append,
        Failing::Delivery,
        Failing::DeliveryWithoutLog,
    ] {
        for bits in 0..1_u32 << RECORDS {
            let pattern = Pattern(bits);
            let named = |again: &dyn Fn(usize) -> bool| -> Vec<String> {
                let again = (0..RECORDS).filter(|i| again(*i));
                again.map(|i| format!("record-{i}")).collect()
            };
            assert_eq!(
                failures(pattern, failing, false, room).await,
                named(&|i| pattern.fails(i)),
                "standard, {failing:?}, {bits:010b}"
            );
            let is_behind = |i: usize| (0..=i).any(|j| room(j) == room(i) && pattern.fails(j));
            assert_eq!(
                failures(pattern, failing, true, room).await,
                named(&is_behind),
                "FIFO, {failing:?}, {bits:010b}: from a room's first failure on"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_records_of_one_room() {
    every_pattern(|_| 0).await;
}

#[tokio::test(start_paused = true)]
async fn ten_records_of_three_rooms() {
    every_pattern(|i| i % 3).await;
}

#[tokio::test(start_paused = true)]
async fn ten_records_of_ten_rooms() {
    every_pattern(|i| i).await;
}
