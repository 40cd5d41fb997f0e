//! Fan-out: one message to a room, until its last post has been answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::aws::{CONNECTIONS, Calls, TUTORIAL_CONNECTIONS};
use crate::contender::{Contender, DELIVER, POST, SEND_MESSAGE, Stage};
use crate::endpoint::monotonic_us;
use crate::events;
use crate::process::Usage;
use crate::runtime::Function;
use crate::sample::Sample;

/// The queue of delivery jobs.
const JOBS: &str = "DeliveryQueue";

/// How many invocations of deliver run at once: the template's `DeliveryConcurrency`.
const DELIVERY_CONCURRENCY: usize = 2;

/// How many members one invocation posts to: the template's `MembersPerJob`.
pub(crate) const MEMBERS_PER_JOB: usize = 1000;

/// How many posts each process makes before it is measured.
const WARMING_POSTS: usize = 1000;

/// What the endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers each post after so many milliseconds.
    After(u32),
    /// Answers at once, and enforces the account's token bucket.
    Quota,
}

impl Behaviour {
    fn path(self) -> String {
        match self {
            Self::After(ms) => format!("after-{ms}"),
            Self::Quota => "quota".to_owned(),
        }
    }
}

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    /// Members of the room.
    pub(crate) members: usize,
    /// What the endpoint does.
    pub(crate) behaviour: Behaviour,
    /// Whether posts go over TLS.
    pub(crate) tls: bool,
}

/// What was measured of one contender.
#[derive(Debug, Clone)]
pub(crate) struct Fanout {
    /// What was measured.
    pub(crate) case: Case,
    /// Of whom.
    pub(crate) contender: Contender,
    /// From the event to the last post, in seconds.
    pub(crate) seconds: Sample,
    /// Posts a second, from the first one's arrival to the last one's answer.
    pub(crate) rate: Sample,
    /// CPU time for a post, in microseconds, everything that is done for the message included.
    pub(crate) cpu_us: Sample,
    /// The most memory that one invocation's process had, in MB.
    pub(crate) peak_mb: Sample,
    /// Members that got nothing.
    pub(crate) lost: Sample,
    /// Share of the posts that were throttled.
    pub(crate) throttled: Sample,
    /// Why it was measured no further.
    pub(crate) failure: Option<String>,
}

/// Fills the tables with a room.
pub(crate) fn fill(stage: &Stage, members: usize) -> Result<()> {
    for table in [CONNECTIONS, TUTORIAL_CONNECTIONS] {
        stage.aws.empty(table)?;
    }
    // Whose messages bring a process up to speed; the numbers are theirs alone.
    let warm = 0..members.min(MEMBERS_PER_JOB);
    for (room, offset, members) in [("room", 0, 0..members), ("warm", 1 << 24, warm)] {
        let rows = members.clone().map(|i| events::member(room, offset + i));
        stage.aws.put(CONNECTIONS, rows)?;
        let rows = members.map(|i| events::tutorial_member(room, offset + i));
        stage.aws.put(TUTORIAL_CONNECTIONS, rows)?;
    }
    Ok(())
}

/// Measures all contenders, one after another in each round.
pub(crate) async fn measure(
    stage: &Stage,
    case: Case,
    contenders: &[Contender],
    rounds: usize,
) -> Result<Vec<Fanout>> {
    let mut results: Vec<Fanout> = contenders
        .iter()
        .map(|&contender| Fanout {
            case,
            contender,
            seconds: Sample::default(),
            rate: Sample::default(),
            cpu_us: Sample::default(),
            peak_mb: Sample::default(),
            lost: Sample::default(),
            throttled: Sample::default(),
            failure: None,
        })
        .collect();
    for round in 0..rounds {
        for result in &mut results {
            // What takes minutes is done once, and not at all with delays, which are not its limit.
            let long = case.members >= 100_000 && result.contender.is_node();
            let delayed = matches!(case.behaviour, Behaviour::After(1..));
            if result.failure.is_some() || (long && (round > 0 || delayed)) {
                continue;
            }
            if let Err(error) = once(stage, result).await {
                result.failure = Some(format!("{error:#}"));
            }
        }
    }
    results.retain(|result| result.failure.is_some() || !result.rate.is_empty());
    Ok(results)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of members and microseconds are below 2^52"
)]
async fn once(stage: &Stage, result: &mut Fanout) -> Result<()> {
    let Case {
        members,
        behaviour,
        tls,
    } = result.case;
    let connections = stage.endpoint.url(&behaviour.path(), tls);
    let mut run = Run::start(stage, result.contender, members, &connections, true).await?;
    // Now code is compiled (Node.js needs some thousand posts for it), and connections are open.
    let warm = members.min(MEMBERS_PER_JOB);
    for _ in 0..WARMING_POSTS.div_ceil(warm) {
        run.publish("warm", warm).await?;
    }
    stage.endpoint.take()?;
    let before = run.cpu()?;
    let started = monotonic_us();
    run.publish("room", members).await?;
    let posts = stage.endpoint.take()?;
    let cpu = run.cpu()? - before;
    let peak = run.end().await?;
    ensure!(posts.taken > 0, "nothing was posted");

    let seconds = posts.last_us.saturating_sub(started) as f64 / 1e6;
    let taken = posts.taken as f64;
    result.seconds.add(seconds);
    let posting = posts.last_us.saturating_sub(posts.first_us) as f64 / 1e6;
    result.rate.add(taken / posting);
    result.cpu_us.add(cpu.as_secs_f64() * 1e6 / taken);
    result.peak_mb.add(peak as f64 / 1e6);
    result
        .lost
        .add(members.saturating_sub(posts.connections) as f64);
    let tried = taken + posts.throttled as f64;
    result.throttled.add(posts.throttled as f64 / tried);
    Ok(())
}

/// What a message to the room costs in calls to AWS.
pub(crate) async fn count(
    stage: &Stage,
    contender: Contender,
    members: usize,
    history: bool,
) -> Result<Calls> {
    let connections = stage.endpoint.url("after-0", false);
    let mut run = Run::start(stage, contender, members, &connections, history).await?;
    run.publish("room", members).await?;
    let calls = stage.aws.take_calls();
    run.end().await?;
    Ok(calls)
}

/// The functions of a contender, started.
struct Run<'a> {
    stage: &'a Stage,
    contender: Contender,
    publisher: Function,
    workers: Workers,
}

impl<'a> Run<'a> {
    async fn start(
        stage: &'a Stage,
        contender: Contender,
        members: usize,
        connections: &str,
        history: bool,
    ) -> Result<Self> {
        let handler = if contender == Contender::Floor {
            POST
        } else {
            SEND_MESSAGE
        };
        let mut command = stage.command(contender, handler, connections);
        if !history {
            command.env("HISTORY_DAYS", "0");
        }
        let publisher = Function::start(&command, None, handler.limit(contender)).await?;
        let jobs = stage.aws.receive(JOBS);
        let mut workers = Workers {
            done: Arc::default(),
            tasks: Vec::new(),
            functions: Vec::new(),
        };
        // A full page does not know that it is the last: it leaves a job too.
        if contender == Contender::Hermes && members >= MEMBERS_PER_JOB {
            let jobs = Arc::new(Mutex::new(jobs));
            for _ in 0..DELIVERY_CONCURRENCY {
                let command = stage.command(contender, DELIVER, connections);
                let mut function =
                    Function::start(&command, None, DELIVER.limit(contender)).await?;
                // The environment is warm: it has worked off a job for a room that nobody is in.
                let nobody = json!({"room_id": "nobody", "shard": 0, "id": "0", "sent_at_ms": 0, "frame": {}});
                function.call(events::record(&nobody.to_string())).await?;
                workers.start(function, Arc::clone(&jobs));
            }
        }
        Ok(Self {
            stage,
            contender,
            publisher,
            workers,
        })
    }

    /// Publishes a message to a room, and waits until all that follows from it is done.
    async fn publish(&mut self, room: &str, members: usize) -> Result<()> {
        self.stage.aws.take_calls();
        self.workers.done.store(0, Ordering::Relaxed);
        let event = match self.contender {
            Contender::Floor => json!({ "posts": members }).to_string(),
            _ => events::queued(room),
        };
        let (answer, _) = self.publisher.call(event).await?;
        ensure!(
            !answer.contains("itemIdentifier"),
            "the message is to be delivered again"
        );
        let sent = self.stage.aws.calls().sqs;
        if !self.workers.tasks.is_empty() {
            self.workers.finish(|| self.stage.aws.calls().sqs).await?;
        } else if self.contender == Contender::Hermes {
            ensure!(
                sent == 0,
                "there are delivery jobs, and nobody to work them off"
            );
        }
        Ok(())
    }

    /// What all processes together have computed so far.
    fn cpu(&self) -> Result<Duration> {
        Ok(self.usages()?.iter().map(|usage| usage.cpu).sum())
    }

    fn usages(&self) -> Result<Vec<Usage>> {
        let workers = self
            .workers
            .functions
            .iter()
            .map(|pid| crate::process::usage(*pid));
        std::iter::once(self.publisher.usage())
            .chain(workers)
            .collect()
    }

    /// Ends them; gives the largest one's memory.
    async fn end(self) -> Result<u64> {
        let peak = self.usages()?.iter().map(|usage| usage.peak_memory).max();
        self.workers.end();
        self.publisher.end().await?;
        peak.context("there is a process")
    }
}

/// The invocations of deliver.
struct Workers {
    done: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Result<()>>>,
    functions: Vec<u32>,
}

impl Workers {
    fn start(&mut self, mut function: Function, jobs: Arc<Mutex<UnboundedReceiver<String>>>) {
        self.functions.push(function.pid());
        let done = Arc::clone(&self.done);
        self.tasks.push(tokio::spawn(async move {
            loop {
                let job = jobs.lock().await.recv().await;
                let Some(job) = job else { return Ok(()) };
                let (answer, _) = function.call(events::record(&job)).await?;
                let answer: Value = serde_json::from_str(&answer)?;
                let failures = answer["batchItemFailures"].as_array().map_or(0, Vec::len);
                ensure!(failures == 0, "a delivery job is to be worked off again");
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }

    /// Waits until as many jobs are done as were sent.
    async fn finish(&self, sent: impl Fn() -> usize) -> Result<()> {
        while self.done.load(Ordering::Relaxed) < sent() {
            ensure!(
                !self.tasks.iter().any(JoinHandle::is_finished),
                "deliver failed"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    fn end(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
