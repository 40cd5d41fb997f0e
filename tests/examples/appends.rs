//! Appends a second to one room under ten concurrent writers, each as an environment of `send-message`
//! appends: `cargo run --release --package hermes-tests --example appends`.
//!
//! The engine runs in this process and answers within a millisecond, DynamoDB within about five: so each
//! call is also measured with these five milliseconds before it.

use std::time::Duration;

use hermes::Timestamp;
use hermes::log::{Appended, Draft, Entry, Epoch, History, Position, Stream};
use hermes::ports::{Log, LogPage, PortError};
use hermes::time::{Clock, SystemClock};
use hermes_tests::dynamo::Dynamo;
use tokio::time::{Instant, sleep};

const WRITERS: usize = 10;
const RUN: Duration = Duration::from_secs(10);

/// A log that is as far away as this.
struct Distant<L>(L, Duration);

impl<L: Log> Log for Distant<L> {
    async fn head(&self, stream: &Stream, now: Timestamp) -> Result<Option<Position>, PortError> {
        sleep(self.1).await;
        self.0.head(stream, now).await
    }

    async fn heads(
        &self,
        streams: [&Stream; 2],
        now: Timestamp,
    ) -> Result<[Option<Position>; 2], PortError> {
        sleep(self.1).await;
        self.0.heads(streams, now).await
    }

    async fn begin(
        &self,
        stream: &Stream,
        epoch: &Epoch,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Position, PortError> {
        sleep(self.1).await;
        self.0.begin(stream, epoch, now, expires_at).await
    }

    async fn append(
        &self,
        stream: &Stream,
        head: Option<&Position>,
        epoch: &Epoch,
        drafts: &[Draft<'_>],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Appended, PortError> {
        sleep(self.1).await;
        self.0
            .append(stream, head, epoch, drafts, now, expires_at)
            .await
    }

    async fn find(
        &self,
        stream: &Stream,
        position: &Position,
        now: Timestamp,
    ) -> Result<Option<Entry>, PortError> {
        sleep(self.1).await;
        self.0.find(stream, position, now).await
    }

    async fn read(
        &self,
        stream: &Stream,
        after: &Position,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        sleep(self.1).await;
        self.0.read(stream, after, now).await
    }

    async fn read_back(
        &self,
        stream: &Stream,
        before: Option<&Position>,
        now: Timestamp,
    ) -> Result<LogPage, PortError> {
        sleep(self.1).await;
        self.0.read_back(stream, before, now).await
    }
}

#[tokio::main]
async fn main() {
    println!(
        "| writers | messages an append | way to the log | appends/s | messages/s | calls an append | failed |"
    );
    println!("|---|---|---|---|---|---|---|");
    for way in [Duration::ZERO, Duration::from_millis(5)] {
        for batch in [1, 10] {
            for writers in [1, WRITERS] {
                measure(writers, batch, way).await;
            }
        }
    }
}

async fn measure(writers: usize, batch: usize, way: Duration) {
    let dynamo = Dynamo::start().await;
    let started = Instant::now();
    let writing: Vec<_> = (0..writers)
        .map(|writer| {
            tokio::spawn(write(
                Distant(dynamo.log(), way),
                writer,
                batch,
                started + RUN,
            ))
        })
        .collect();
    let (mut appends, mut failed) = (0, 0);
    for writer in writing {
        let (done, not_done) = writer.await.expect("a writer ends");
        appends += done;
        failed += not_done;
    }
    let seconds = started.elapsed().as_secs_f64();
    let calls = dynamo.calls().len();
    println!(
        "| {writers} | {batch} | {} ms | {:.0} | {:.0} | {:.1} | {failed} |",
        way.as_millis(),
        f64::from(appends) / seconds,
        f64::from(appends) * batch as f64 / seconds,
        calls as f64 / f64::from(appends),
    );
}

/// Appends one batch after the other; gives how many were appended, and how many could not be in time.
async fn write(log: impl Log, writer: usize, batch: usize, until: Instant) -> (u32, u32) {
    let history = History::new(log, Duration::from_secs(3600));
    let stream = Stream {
        room: "demo".parse().expect("an id"),
        user: None,
    };
    let sender = "backend".parse().expect("an id");
    let notification = format!(
        r#"{{"user_id":"backend","data":"{}","room_id":"demo"}}"#,
        "x".repeat(200)
    );
    let (mut done, mut failed) = (0, 0);
    while Instant::now() < until {
        let ids: Vec<_> = (0..batch)
            .map(|n| {
                format!("{writer}-{done}-{failed}-{n}")
                    .parse()
                    .expect("an id")
            })
            .collect();
        let drafts: Vec<_> = ids
            .iter()
            .map(|id| Draft {
                sender: &sender,
                id,
                notification: &notification,
            })
            .collect();
        let deadline = Instant::now() + Duration::from_secs(20);
        match history
            .append(&stream, &drafts, || SystemClock.now(), deadline)
            .await
        {
            Ok(_) => done += 1,
            Err(_) => failed += 1,
        }
    }
    (done, failed)
}
