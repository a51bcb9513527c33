//! Slowing commits down before memory is full, so that none of them has to stop: RocksDB's delayed writes.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// From this part of the memory budget on commits are slowed down.
const SLOW_FROM: f64 = 0.875;

/// Close to the budget commits come this much slower than flushes make room. Slower would be a stop.
const LEAST: f64 = 0.25;

/// What a thread sleeps too long by anyway: shorter delays are paid together.
const NAP_MIN: Duration = Duration::from_millis(1);

/// The longest delay of one commit: a flush that waits that long for compaction is not what the last one was.
const DELAY_MAX: Duration = Duration::from_millis(100);

/// Where memory stands, in bytes that are not flushed or under way there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub(crate) taken: u64,
    pub(crate) budget: u64,
}

impl Fill {
    /// The bytes a second that are let in where flushes make room for `drained` bytes a second; `None`: as many as come.
    ///
    /// Twice what is drained where slowing down begins, as much half way, less beyond: memory settles where the two are even.
    fn rate(self, drained: f64) -> Option<f64> {
        let slow_from = self.budget as f64 * SLOW_FROM;
        let above = self.taken as f64 - slow_from;
        (above > 0.0).then(|| {
            let left = 1.0 - above / (self.budget as f64 - slow_from);
            drained * (2.0 * left).max(LEAST)
        })
    }

    pub(crate) fn slows(self) -> bool {
        self.rate(1.0).is_some()
    }
}

/// When the commits that were let in last are paid for.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    paid: Mutex<Option<Instant>>,
}

impl Throttle {
    /// How long a commit of `bytes` sleeps, with memory at `fill` and `drained` bytes flushed in a second.
    pub(crate) fn delay(&self, bytes: u64, fill: Fill, drained: f64, now: Instant) -> Duration {
        let Some(rate) = fill.rate(drained) else { return Duration::ZERO };
        let costs = Duration::try_from_secs_f64(bytes as f64 / rate).unwrap_or(DELAY_MAX);
        let mut paid = self.paid.lock();
        let owed = paid.map_or(Duration::ZERO, |paid| paid.saturating_duration_since(now));
        let delay = (owed + costs).min(DELAY_MAX);
        *paid = Some(now + delay);
        if delay < NAP_MIN { Duration::ZERO } else { delay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 1000;

    fn fill(taken: u64) -> Fill {
        Fill { taken, budget: BUDGET }
    }

    #[test]
    fn commits_are_slowed_down_the_more_the_fuller_memory_is() {
        let allowed = |taken| fill(taken).rate(100.0);
        assert_eq!((allowed(0), allowed(875)), (None, None));
        assert_eq!(allowed(900), Some(160.0));
        assert!(allowed(937) > Some(100.0) && allowed(938) < Some(100.0), "as fast as flushes make room");
        assert_eq!((allowed(1000), allowed(2000)), (Some(25.0), Some(25.0)), "never a stop");
    }

    #[test]
    fn authors_share_what_is_let_in() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let delay = |bytes, after| throttle.delay(bytes, fill(900), 625_000.0, now + Duration::from_millis(after));
        assert_eq!(delay(10_000, 0), Duration::from_millis(10));
        assert_eq!(delay(10_000, 0), Duration::from_millis(20), "behind the other one");
        assert_eq!(delay(1_000, 15), Duration::from_millis(6));
        // Nobody saves up for later, and what is hardly anything is paid by who comes next.
        assert_eq!([delay(500, 1000), delay(400, 1000), delay(100, 1000)].map(|delay| delay.as_millis()), [0, 0, 1]);
        assert_eq!(delay(1_000_000, 2000), DELAY_MAX);
        assert_eq!(delay(1_000_000, 2000), DELAY_MAX, "what was not waited for is forgotten");
        assert_eq!(throttle.delay(1_000_000, fill(700), 1e6, now), Duration::ZERO);
        assert_eq!(throttle.delay(1, fill(900), 0.0, now), DELAY_MAX, "nothing is flushed");
    }
}
