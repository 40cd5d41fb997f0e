//! How many posts are under way at once.
//!
//! Throttled, the fan-out makes half as many, and then slowly more again: additive increase, multiplicative
//! decrease, as TCP does it. So invocations that know nothing of each other share the account's quota, and
//! few posts are made in vain.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// However much is throttled, so many posts may be under way: some must be, for it to be noticed that there
/// is room for more.
const FEWEST: usize = 8;

/// After so many posts that were taken, one more may be under way.
const STEP: usize = 100;

/// Lets posts begin.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    fewest: usize,
    posting: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many posts may be under way.
    allowed: usize,
    /// How many more are: they began before fewer were allowed.
    excess: usize,
    /// Posts that were taken since the last step.
    taken: usize,
    window: Window,
}

/// The time between two decreases. Posts that are under way together are throttled together: that is one
/// reason to make fewer, not many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window(u64);

/// The right to make one post.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pace: &'a Pace,
    permit: Option<SemaphorePermit<'a>>,
}

impl Pace {
    /// At most `most` posts under way.
    pub(super) fn new(most: NonZeroUsize) -> Self {
        let most = most.get();
        Self {
            most,
            fewest: most.min(FEWEST),
            posting: Semaphore::new(most),
            state: Mutex::new(State {
                allowed: most,
                excess: 0,
                taken: 0,
                window: Window(0),
            }),
        }
    }

    /// Waits until a post may begin.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn {
            pace: self,
            permit: self.posting.acquire().await.ok(),
        }
    }

    /// The window in which a post begins.
    pub(super) fn window(&self) -> Window {
        self.lock().window
    }

    /// A post was taken.
    pub(super) fn taken(&self) {
        let mut state = self.lock();
        if state.allowed == self.most {
            return;
        }
        state.taken += 1;
        if state.taken < STEP {
            return;
        }
        state.taken = 0;
        state.allowed += 1;
        match state.excess.checked_sub(1) {
            Some(excess) => state.excess = excess,
            None => self.posting.add_permits(1),
        }
    }

    /// A post that began in this window was throttled.
    pub(super) fn throttled(&self, began: Window) {
        let mut state = self.lock();
        if began != state.window {
            return;
        }
        state.window = Window(began.0 + 1);
        state.taken = 0;
        let fewer = (state.allowed / 2).max(self.fewest);
        let withdrawn = state.allowed - fewer;
        state.allowed = fewer;
        state.excess += withdrawn - self.posting.forget_permits(withdrawn);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.lock();
        if let Some(excess) = state.excess.checked_sub(1) {
            state.excess = excess;
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by it")]

    use futures::FutureExt as _;

    use super::*;

    fn pace(most: usize) -> Pace {
        Pace::new(NonZeroUsize::new(most).unwrap())
    }

    /// All turns that can be had now.
    fn turns(pace: &Pace) -> Vec<Turn<'_>> {
        std::iter::from_fn(|| pace.turn().now_or_never()).collect()
    }

    #[test]
    fn throttled_together_it_makes_half_as_many() {
        let pace = pace(64);
        let window = pace.window();
        let under_way = turns(&pace);
        assert_eq!(under_way.len(), 64);
        for _ in &under_way {
            pace.throttled(window);
        }
        assert!(turns(&pace).is_empty(), "all of them are under way still");
        drop(under_way);
        assert_eq!(turns(&pace).len(), 32);
        // Half of them are free, and withdrawn at once; the others when they end.
        let half: Vec<_> = turns(&pace).into_iter().take(16).collect();
        pace.throttled(pace.window());
        drop(half);
        assert_eq!(turns(&pace).len(), 16);
    }

    #[test]
    fn it_never_stops() {
        let pace = pace(64);
        for _ in 0..100 {
            pace.throttled(pace.window());
        }
        assert_eq!(turns(&pace).len(), FEWEST);
        let pace = self::pace(3);
        pace.throttled(pace.window());
        assert_eq!(turns(&pace).len(), 3);
    }

    #[test]
    fn posts_that_are_taken_let_more_begin_up_to_the_most() {
        let pace = pace(64);
        pace.throttled(pace.window());
        (0..STEP - 1).for_each(|_| pace.taken());
        assert_eq!(turns(&pace).len(), 32);
        pace.taken();
        assert_eq!(turns(&pace).len(), 33);
        (0..100 * STEP).for_each(|_| pace.taken());
        assert_eq!(turns(&pace).len(), 64);
    }

    #[test]
    fn what_was_to_be_withdrawn_can_be_allowed_again() {
        let pace = pace(64);
        let under_way = turns(&pace);
        pace.throttled(pace.window());
        (0..STEP).for_each(|_| pace.taken());
        drop(under_way);
        assert_eq!(turns(&pace).len(), 33);
    }
}
