//! How fast slices follow one another: no faster than the rate, and than compaction.

use super::{Interrupted, Unfinished};
use crate::core::Core;
use parking_lot::Mutex;
use shingle_shard::Shard;
use std::time::{Duration, Instant};

/// A shard with this many files at level 0 compacts before it gets another slice. RocksDB's own `level0_slowdown_writes_trigger`.
const LEVEL0_FILES_MAX: u64 = 20;

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

impl Core {
    /// Copies no faster than this from now on. The manifest has it first, so that whatever opens the store next keeps
    /// to it. Where nothing is copied any more there is nothing to be changed.
    pub(crate) fn set_rebalance_rate(&self, bytes_per_sec: Option<u64>) -> crate::Result<()> {
        let _one_at_a_time = self.rebalancer.beginning.lock();
        match self.rebalancer.state.lock().unfinished {
            Some(Unfinished::Copying { bytes_per_sec: now, .. }) if now != bytes_per_sec => {}
            _ => return Ok(()),
        }
        if let Some(disk) = &self.disk {
            disk.change_manifest(|manifest| {
                manifest.rebalance.iter_mut().for_each(|unfinished| unfinished.set_bytes_per_sec(bytes_per_sec));
            })?;
        }
        let mut state = self.rebalancer.state.lock();
        state.unfinished.iter_mut().for_each(|unfinished| unfinished.set_bytes_per_sec(bytes_per_sec));
        Ok(())
    }

    /// Waits until a slice more does not make `shard` lag too far.
    pub(super) fn await_compaction(&self, shard: &Shard) -> Result<(), Interrupted> {
        let lags = || shard.backend().pressure().level0_files >= LEVEL0_FILES_MAX;
        if !lags() {
            return Ok(());
        }
        self.rebalancer.note(|figures| figures.waits_for_compaction = true);
        while lags() {
            self.rebalancer.rest(RETRY)?;
            self.health.check()?;
        }
        self.rebalancer.note(|figures| figures.waits_for_compaction = false);
        Ok(())
    }

    /// Rests for as long as `bytes`, written since `began`, may take, shared with whoever else copies.
    pub(super) fn keep_rate(&self, bytes: u64, began: Instant) -> Result<(), Interrupted> {
        self.rebalancer.pace.owe(bytes, began);
        self.pay_off()
    }

    /// Rests until the rate allows what was written.
    fn pay_off(&self) -> Result<(), Interrupted> {
        let rebalancer = &self.rebalancer;
        loop {
            // It may be changed meanwhile.
            let Some(rate) = rebalancer.state.lock().bytes_per_sec() else {
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
