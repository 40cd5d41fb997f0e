//! What all parts of a schedule share: the services in memory, the clock, chance, and what is known to
//! be true.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use futures::FutureExt;
use hermes::Timestamp;
use hermes::log::Stream;
use hermes::memory::{MemoryConnections, MemoryDeadLetters, MemoryLog, MemorySockets, Torn};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::gateway::Gateway;
use super::ledger::Ledger;
use super::queue::Queue;
use super::schedule::Schedule;
use super::variant::Variant;

/// When every schedule begins.
const BEGIN: Timestamp = Timestamp::EPOCH;

/// For how long a Query may see a part of a transaction, and how often it does.
const COMMIT_MAX: Duration = Duration::from_millis(50);
const TORN_PER_THOUSAND: u32 = 300;

/// How far the clocks of machines are apart, in milliseconds.
const SKEW_MS: u64 = 500;

pub(crate) struct World {
    pub(crate) schedule: Schedule,
    pub(crate) variant: Variant,
    pub(crate) connections: MemoryConnections,
    /// The copy that [`Variant::LaggingIndex`] reads.
    pub(crate) index: MemoryConnections,
    pub(crate) sockets: MemorySockets,
    pub(crate) log: MemoryLog,
    /// When the last append of each stream began to commit.
    commits: Mutex<BTreeMap<String, Timestamp>>,
    pub(crate) dead_letters: MemoryDeadLetters,
    pub(crate) messages: Queue,
    pub(crate) jobs: Queue,
    pub(crate) gateway: Gateway,
    started: Instant,
    rng: Mutex<Rng>,
    ledger: Mutex<Ledger>,
    /// How many things are under way that may yet have an effect.
    busy: AtomicUsize,
    /// The last id of each sender in each room: senders use the same ids.
    ids: Mutex<BTreeMap<(String, String), u64>>,
    /// What happened, as one number: equal for equal seeds.
    digest: AtomicU64,
    story: Option<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) fn new(schedule: Schedule, variant: Variant, rng: Rng, told: bool) -> Self {
        Self {
            messages: Queue::new(schedule.fifo, Duration::from_secs(40), 10),
            jobs: Queue::new(false, Duration::from_secs(30), 1),
            schedule,
            variant,
            commits: Mutex::default(),
            connections: MemoryConnections::default(),
            index: MemoryConnections::default(),
            sockets: MemorySockets::default(),
            log: MemoryLog::default(),
            dead_letters: MemoryDeadLetters::default(),
            gateway: Gateway::default(),
            started: Instant::now(),
            rng: Mutex::new(rng),
            ledger: Mutex::default(),
            busy: AtomicUsize::new(0),
            ids: Mutex::default(),
            digest: AtomicU64::new(0),
            story: told.then(Mutex::default),
        }
    }

    /// The true time.
    pub(crate) fn now(&self) -> Timestamp {
        BEGIN.after(Duration::from_secs(1_795_300_000) + self.started.elapsed())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// When things stop going wrong.
    pub(crate) fn end_of_faults(&self) -> Instant {
        self.started + self.schedule.active
    }

    /// Whether things may go wrong now.
    pub(crate) fn is_faulty(&self) -> bool {
        Instant::now() < self.end_of_faults()
    }

    /// Whether services are throttled now.
    pub(crate) fn is_stormy(&self) -> bool {
        let now = self.elapsed().as_millis() as u64;
        let storms = &self.schedule.faults.storms;
        self.is_faulty() && storms.iter().any(|(from, to)| (*from..*to).contains(&now))
    }

    pub(crate) fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().expect("one thread")
    }

    /// Whether something happens that happens so many times in a thousand, while things go wrong.
    pub(crate) fn strikes(&self, per_thousand: u32) -> bool {
        per_thousand > 0 && self.is_faulty() && self.rng().u32(0..1000) < per_thousand
    }

    /// An append commits from now on.
    pub(crate) fn commits(&self, stream: &Stream) {
        let mut commits = self.commits.lock().expect("no panic under the lock");
        commits.insert(stream.key(), self.now());
    }

    /// The next page of a stream may be read while its last append commits.
    pub(crate) fn tear_the_next_page(&self, stream: &Stream) {
        let commits = self.commits.lock().expect("no panic under the lock");
        let since = commits
            .get(&stream.key())
            .map(|began| self.now().since(*began));
        if since.is_some_and(|since| since < COMMIT_MAX) && self.strikes(TORN_PER_THOUSAND) {
            let torn = if self.rng().bool() {
                Torn::Head
            } else {
                Torn::Message
            };
            self.log.tear(torn);
        }
    }

    /// A duration between two numbers of milliseconds.
    pub(crate) fn between(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.rng().u64(from..=to))
    }

    pub(crate) async fn pause(&self, from: u64, to: u64) {
        let duration = self.between(from, to);
        sleep(duration).await;
    }

    /// What a machine's clock is ahead of the true time, and behind a time before all.
    pub(crate) fn skew(&self) -> Duration {
        self.between(0, 2 * SKEW_MS)
    }

    /// The time by a clock with this skew.
    pub(crate) fn skewed(&self, skew: Duration) -> Timestamp {
        Timestamp::from_millis(self.now().after(skew).as_millis() - SKEW_MS)
    }

    /// An id that this sender has not used in this room; others may have.
    pub(crate) fn next_id(&self, sender: &str, room: &str) -> String {
        let mut ids = self.ids.lock().expect("one thread");
        let last = ids.entry((sender.to_owned(), room.to_owned())).or_default();
        *last += 1;
        format!("m-{last}")
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("one thread")
    }

    /// Something is under way until the guard is dropped.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&self.busy)
    }

    /// Whether nothing is under way in the deployment, and nothing waits in a queue.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0 && self.messages.is_empty() && self.jobs.is_empty()
    }

    /// Lets something happen by itself; that it panics is a violation.
    pub(crate) fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + 'static) {
        let world = Arc::clone(self);
        spawn_local(async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                world.ledger().violate("something panicked".to_owned());
            }
        });
    }

    /// Remembers that something happened.
    pub(crate) fn tell(&self, what: &str, more: impl FnOnce() -> String) {
        let time = self.elapsed().as_millis() as u64;
        let mut digest = self.digest.load(Ordering::Relaxed) ^ time;
        for byte in what.bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.digest.store(digest, Ordering::Relaxed);
        if let Some(story) = &self.story {
            let line = format!("{:>8.3} s  {what} {}", time as f64 / 1000.0, more());
            story.lock().expect("one thread").push(line);
        }
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.load(Ordering::Relaxed)
    }

    pub(crate) fn story(&self) -> Vec<String> {
        let story = self.story.as_ref();
        story.map_or_else(Vec::new, |story| story.lock().expect("one thread").clone())
    }
}

/// Something is under way.
pub(crate) struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
