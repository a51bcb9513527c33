//! Pruning: what no readable version shows any more is removed.
//!
//! A retention becomes a floor, the oldest version that can still be read; everything that a newer row at or below the floor supersedes goes, and so does a
//! tombstone that is the newest there. So there is one floor for all keys, and a read is either exact or refused.

mod background;
mod floor;
mod report;
mod retention;
mod run;
mod versions;

pub(crate) use floor::Decision;
pub use report::{PruneHold, PruneOptions, PruneProgress, PruneStats, Pruned, Space};
pub use retention::Retention;

use crate::core::Core;
use crate::{Error, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use shingle_shard::Version;
use std::sync::atomic::{AtomicBool, Ordering};

/// One pruning at a time, and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Pruner {
    /// Taken before the flusher's lock.
    running: Mutex<()>,
    state: Mutex<State>,
    stop: AtomicBool,
    /// With the lock of `state`: the store closes.
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stats: PruneStats,
    /// The newest version when the store last pruned by itself.
    newest_then: Version,
}

impl Pruner {
    /// Keeps prunings away until the guard is dropped.
    pub(crate) fn exclude(&self) -> MutexGuard<'_, ()> {
        self.running.lock()
    }

    /// Ends a pruning after its slice, and the thread.
    pub(crate) fn stop(&self) {
        let _state = self.state.lock();
        self.stop.store(true, Ordering::Release);
        self.wake.notify_all();
    }

    fn check_open(&self) -> Result<()> {
        if self.stop.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }
}

impl Core {
    /// The height of the oldest block that can be read where `floor` is the oldest version.
    pub(crate) fn oldest_height(&self, floor: Version) -> Option<u64> {
        let blocks = self.blocks.read();
        let chain = blocks.range(..);
        chain.get(chain.partition_point(|block| block.version < floor)).map(|block| block.height)
    }

    /// The figures of prunings, and how far they are behind.
    pub(crate) fn prune_stats(&self) -> PruneStats {
        let mut stats = self.pruner.state.lock().stats.clone();
        let options = &self.options.prune;
        let blocks = self.blocks.read();
        if options.background {
            // Pruning itself looks from time to time only.
            stats.wanted = stats.wanted.max(options.retention.floor_by_blocks(&blocks));
        }
        stats.lag_versions = stats.wanted.saturating_sub(stats.pruned_through);
        let chain = blocks.range(..);
        let below = |version| chain.partition_point(|block| block.version < version);
        stats.lag_blocks = below(stats.wanted).saturating_sub(below(self.snapshots.floor())) as u64;
        stats
    }
}
