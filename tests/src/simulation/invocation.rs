//! The Lambda model: an invocation ends with its answer, or dies: at a call of a service, or because
//! its time is over.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::{Either, select};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::world::World;

/// What the functions keep of their time.
const RESERVE: Duration = Duration::from_secs(1);

/// One invocation of a function.
pub(crate) struct Invocation {
    pub(crate) world: Arc<World>,
    /// By how much its machine's clock is wrong.
    pub(crate) skew: Duration,
    name: &'static str,
    limit: Instant,
    /// How many more moments at which it could die it survives; 0: all.
    left: AtomicU32,
    died: Notify,
}

impl Invocation {
    pub(crate) fn new(world: &Arc<World>, name: &'static str, timeout: Duration) -> Arc<Self> {
        let left = if world.strikes(world.schedule.faults.crash) {
            let most = [3, 8, 40][world.rng().usize(0..3)];
            world.rng().u32(1..most)
        } else {
            0
        };
        // Little of its time may be left, as after a slow start.
        let timeout = if world.strikes(world.schedule.faults.crash) {
            world.between(1_100, timeout.as_millis() as u64)
        } else {
            timeout
        };
        let skew = world.skew();
        world.tell(name, String::new);
        Arc::new(Self {
            world: Arc::clone(world),
            skew,
            name,
            limit: Instant::now() + timeout,
            left: AtomicU32::new(left),
            died: Notify::new(),
        })
    }

    /// Until when the handler may begin something.
    pub(crate) fn deadline(&self) -> Instant {
        self.limit - RESERVE
    }

    /// Runs the handler; none where the invocation died before it answered.
    pub(crate) async fn run<T>(&self, handler: impl Future<Output = T>) -> Option<T> {
        let _busy = self.world.busy();
        let handler = pin!(handler);
        let died = pin!(self.died.notified());
        let answer = timeout_at(self.limit, select(died, handler)).await;
        match answer {
            Ok(Either::Right((answer, _))) => Some(answer),
            Ok(Either::Left(_)) => {
                self.world.tell("died", || self.name.to_owned());
                None
            }
            Err(_elapsed) => {
                self.world.tell("timed out", || self.name.to_owned());
                None
            }
        }
    }

    /// A moment at which the invocation may die.
    pub(crate) async fn survive(&self) {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return;
        }
        self.left.store(left - 1, Ordering::Relaxed);
        if left == 1 {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}
