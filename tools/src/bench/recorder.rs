//! What one client sees: how long each operation took, and how many were done when.

use crate::latency::Latencies;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Points of a curve of throughput over time, at most.
const POINTS: u32 = 100;

/// No point is shorter: below, a curve shows the scheduler.
const POINT_MIN: Duration = Duration::from_millis(50);

/// Operations that a thread counts by itself before all see them: threads that share a counter slow each other down.
const COUNTED_ALONE: u64 = 64;

/// The record of one client thread, or of all of them.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    begun: Instant,
    live: Option<&'a AtomicU64>,
    uncounted: u64,
    pub(crate) trace: Trace,
    pub(crate) conflicts: u64,
}

/// Latencies, and operations over time.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) latency: Latencies,
    /// Length of each stretch of `done`.
    pub(crate) stretch: Duration,
    /// Operations done in each stretch of time from the beginning on.
    pub(crate) done: Vec<u64>,
    /// Operations done.
    pub(crate) operations: u64,
}

impl Trace {
    /// Of something that takes about `expected`.
    pub(crate) fn new(expected: Duration) -> anyhow::Result<Self> {
        let stretch = (expected / POINTS).max(POINT_MIN);
        Ok(Trace { latency: Latencies::new()?, stretch, done: Vec::new(), operations: 0 })
    }

    fn count(&mut self, elapsed: Duration, operations: u64) {
        // In 64 bits, which last for centuries: a division in 128 takes as long as a fast read.
        let stretch = (elapsed.as_nanos() as u64 / self.stretch.as_nanos() as u64) as usize;
        if self.done.len() <= stretch {
            self.done.resize(stretch + 1, 0);
        }
        self.done[stretch] += operations;
        self.operations += operations;
    }

    /// Both were made for the same length of time.
    pub(crate) fn merge(&mut self, other: &Trace) {
        self.latency.merge(&other.latency);
        self.operations += other.operations;
        if self.done.len() < other.done.len() {
            self.done.resize(other.done.len(), 0);
        }
        self.done.iter_mut().zip(&other.done).for_each(|(sum, done)| *sum += done);
    }
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(
        begun: Instant,
        expected: Duration,
        live: impl Into<Option<&'a AtomicU64>>,
    ) -> anyhow::Result<Self> {
        Ok(Recorder { begun, live: live.into(), uncounted: 0, trace: Trace::new(expected)?, conflicts: 0 })
    }

    /// One operation that was due at `since` is done now, and so are `untimed` others.
    #[inline]
    pub(crate) fn done(&mut self, since: Instant, untimed: u64) {
        let now = Instant::now();
        self.done_at(since, now, untimed + 1);
    }

    /// `operations` were done at `now`, of which one was due at `since`.
    #[inline]
    pub(crate) fn done_at(&mut self, since: Instant, now: Instant, operations: u64) {
        self.trace.latency.record(now.saturating_duration_since(since));
        self.trace.count(now.saturating_duration_since(self.begun), operations);
        self.uncounted += operations;
        if self.uncounted >= COUNTED_ALONE {
            self.show();
        }
    }

    /// A transaction met another one.
    pub(crate) fn conflict(&mut self) {
        self.conflicts += 1;
    }

    fn show(&mut self) {
        if let Some(live) = self.live {
            live.fetch_add(self.uncounted, Ordering::Relaxed);
        }
        self.uncounted = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Recorder;
    use std::time::{Duration, Instant};

    #[test]
    fn operations_fall_into_the_stretch_in_which_they_are_done() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut one = Recorder::new(begun, Duration::from_secs(10), None).expect("the bounds are sound");
        one.done_at(at(0), at(99), 1);
        one.done_at(at(50), at(100), 16);
        let mut other = Recorder::new(begun, Duration::from_secs(10), None).expect("the bounds are sound");
        other.done_at(at(0), at(350), 2);
        one.trace.merge(&other.trace);
        assert_eq!(one.trace.done, [1, 16, 0, 2]);
        assert_eq!((one.trace.operations, one.trace.latency.count()), (19, 3));
        assert!(one.trace.latency.max() >= Duration::from_millis(349));
    }
}
