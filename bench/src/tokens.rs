//! A token bucket, as API Gateway throttles with.

use std::time::Instant;

/// Fills with `rate` tokens a second, up to `burst`.
pub(crate) struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A bucket that is full at `now`.
    pub(crate) fn full(rate: f64, burst: f64, now: Instant) -> Self {
        Self {
            rate,
            burst,
            tokens: burst,
            at: now,
        }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let filled = now.duration_since(self.at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + filled).min(self.burst);
        self.at = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_taken_is_the_burst_and_what_has_filled() {
        let start = Instant::now();
        let mut bucket = Bucket::full(10.0, 5.0, start);
        let mut taken = |now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(start), 5);
        assert_eq!(taken(start + Duration::from_millis(300)), 3);
        assert_eq!(taken(start + Duration::from_secs(60)), 5);
    }
}
