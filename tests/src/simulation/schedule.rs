//! What is drawn before a schedule begins: the deployment, and how the world treats it.

use std::num::NonZeroUsize;
use std::time::Duration;

use fastrand::Rng;
use hermes::RoomId;
use hermes::partition::Sharding;

/// A deployment and its weather.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// The rooms; the first may be sharded.
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) sharding: Sharding,
    pub(crate) members_per_job: NonZeroUsize,
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) fifo: bool,
    /// How long the log keeps messages.
    pub(crate) keep: Duration,
    /// Messages are so large that few fit a frame.
    pub(crate) large: bool,
    /// For how long things go wrong; then they are let settle.
    pub(crate) active: Duration,
    pub(crate) faults: Faults,
}

/// How often things go wrong, per thousand.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    /// A call of a service fails without effect.
    pub(crate) refused: u32,
    /// The answer of a call is lost, after its effect.
    pub(crate) unanswered: u32,
    /// A call takes seconds.
    pub(crate) slow: u32,
    /// An invocation dies at one of its calls.
    pub(crate) crash: u32,
    /// A message of a queue is delivered twice.
    pub(crate) duplicate: u32,
    /// `$disconnect` is not invoked.
    pub(crate) silent_close: u32,
    /// While posts and tables are throttled, in milliseconds from the start.
    pub(crate) storms: Vec<(u64, u64)>,
}

/// Seven days, as the template has it.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Schedule {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let active = Duration::from_millis(rng.u64(20_000..200_000));
        let names = ["red", "green", "blue"];
        let rooms = names[..rng.usize(1..=3)]
            .iter()
            .map(|name| name.parse().expect("a room"))
            .collect();
        let sharding = match rng.u8(0..5) {
            0 => r#"{"red": 3}"#,
            1 => r#"{"red": 2, "green": 4}"#,
            _ => "{}",
        };
        let size = |n: usize| NonZeroUsize::new(n).expect("not zero");
        let is_brief = rng.u8(0..8) == 0;
        Self {
            rooms,
            sharding: sharding.parse().expect("a sharding"),
            members_per_job: size([1, 2, 3, 1000, 1000][rng.usize(0..5)]),
            concurrency: size([1, 2, 8][rng.usize(0..3)]),
            fifo: rng.u8(0..3) == 0,
            keep: if is_brief {
                Duration::from_secs(rng.u64(40..120))
            } else {
                WEEK
            },
            large: rng.u8(0..40) == 0,
            active,
            faults: Faults::draw(rng, active),
        }
    }

    /// Whether messages expire while the schedule runs.
    pub(crate) fn expires(&self) -> bool {
        self.keep < WEEK
    }
}

impl Faults {
    fn draw(rng: &mut Rng, active: Duration) -> Self {
        let level = rng.usize(0..4);
        let mut rate = |rates: [u32; 4]| {
            if rng.u8(0..4) == 0 { 0 } else { rates[level] }
        };
        let (refused, unanswered) = (rate([0, 5, 30, 150]), rate([0, 5, 20, 80]));
        let (slow, crash) = (rate([0, 5, 20, 40]), rate([0, 20, 80, 250]));
        let (duplicate, silent_close) = (rate([0, 10, 50, 100]), rate([100, 100, 300, 600]));
        let length = active.as_millis() as u64;
        let storms = (0..rng.u8(0..3)).map(|_| {
            let from = rng.u64(0..length);
            (from, from + rng.u64(500..30_000))
        });
        Self {
            refused,
            unanswered,
            slow,
            crash,
            duplicate,
            silent_close,
            storms: storms.collect(),
        }
    }
}
