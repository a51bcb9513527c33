//! How fast slices follow one another: no faster than the rate, and with as much rest as work while commits come in.

use super::{Interrupted, Rebalancer};
use crate::core::Core;
use parking_lot::Mutex;
use shingle_shard::{Shard, Version};
use std::time::{Duration, Instant};

/// A shard with this many files at level 0 is given time to compact before the next slice. RocksDB's own `level0_slowdown_writes_trigger`.
const LEVEL0_FILES_SLOW: u64 = 20;

/// And with this many it takes none. RocksDB's own `level0_stop_writes_trigger`.
const LEVEL0_FILES_STOP: u64 = 36;

/// How long it is given. Under full load compaction may never catch up, and the rebalancing is to end all the same.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long it rests before it looks at the files again.
const RETRY: Duration = Duration::from_millis(20);

/// How long it rests at most before it looks whether the rate has changed.
const LOOK: Duration = Duration::from_millis(50);

/// What all that copy have written together and the rate has not allowed yet.
#[derive(Debug, Default)]
pub(super) struct Pace {
    owed: Mutex<Owed>,
}

#[derive(Debug, Default)]
struct Owed {
    bytes: f64,
    /// When it was last worked out; `None`: nothing is owed.
    at: Option<Instant>,
}

impl Owed {
    /// How long the rate needs for what is owed.
    fn left(&mut self, bytes_per_sec: u64, now: Instant) -> Duration {
        let rate = bytes_per_sec.max(1) as f64;
        let passed = self.at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.bytes = (self.bytes - rate * passed.as_secs_f64()).max(0.0);
        Duration::try_from_secs_f64(self.bytes / rate).unwrap_or(Duration::MAX)
    }
}

impl Pace {
    fn owe(&self, bytes: u64, began: Instant) {
        let mut owed = self.owed.lock();
        // The time in which it was written counts as well, the time before does not.
        owed.at = owed.at.max(Some(began));
        owed.bytes += bytes as f64;
    }

    /// The rate is none any more, or what was copied is forgotten.
    pub(super) fn forgive(&self) {
        *self.owed.lock() = Owed::default();
    }
}

/// A slice under way.
pub(super) struct Stride {
    began: Instant,
    visible: Version,
}

impl Core {
    /// Waits until a slice more does not make `shard` lag too far.
    pub(super) fn await_compaction(&self, shard: &Shard) -> Result<(), Interrupted> {
        let began = Instant::now();
        loop {
            let files = shard.backend().pressure().level0_files;
            let may = if began.elapsed() < PATIENCE { LEVEL0_FILES_SLOW } else { LEVEL0_FILES_STOP };
            if files < may {
                return Ok(());
            }
            self.rebalancer.rest(RETRY)?;
            self.health.check()?;
        }
    }

    pub(super) fn begin_stride(&self) -> Stride {
        Stride { began: Instant::now(), visible: self.visible() }
    }

    /// Rests for as long as `bytes` may take, shared with whoever else copies; and for as long as the slice took, if anything was committed meanwhile: a
    /// commit that waits for a core or for the disk waits for half of them.
    pub(super) fn end_stride(&self, stride: &Stride, bytes: u64) -> Result<(), Interrupted> {
        let rebalancer: &Rebalancer = &self.rebalancer;
        let took = stride.began.elapsed();
        // Who copies nothing owes nothing, whatever is left of what was copied.
        if bytes > 0 {
            rebalancer.pace.owe(bytes, stride.began);
            self.pay_off()?;
        }
        let rested = stride.began.elapsed().saturating_sub(took);
        if rested < took && self.visible() != stride.visible {
            rebalancer.rest(took - rested)?;
        }
        Ok(())
    }

    /// Rests until the rate allows what was written.
    fn pay_off(&self) -> Result<(), Interrupted> {
        let rebalancer: &Rebalancer = &self.rebalancer;
        loop {
            // It may be changed meanwhile.
            let Some(rate) = rebalancer.state.lock().bytes_per_sec else {
                rebalancer.pace.forgive();
                return Ok(());
            };
            let left = rebalancer.pace.owed.lock().left(rate, Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            rebalancer.rest(left.min(LOOK))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_have_written_is_owed_by_both() {
        let (pace, began) = (Pace::default(), Instant::now());
        pace.owe(500, began);
        pace.owe(1500, began);
        let left = |after, rate| pace.owed.lock().left(rate, began + Duration::from_millis(after));
        assert_eq!(left(1000, 1000), Duration::from_secs(1));
        // Another rate counts from now on.
        assert_eq!(left(1500, 100), Duration::from_millis(9500));
        assert_eq!(left(1500, 2000), Duration::from_millis(475));
        assert_eq!(left(9000, 2000), Duration::ZERO);
        // Nobody saves up for later.
        pace.owe(1, began + Duration::from_secs(20));
        assert_eq!(left(20_000, 1), Duration::from_secs(1));
        pace.forgive();
        assert_eq!(left(20_000, 1), Duration::ZERO);
    }
}
