//! Rollback: everything above a block is removed, from the shards, the block index and every open snapshot.

use crate::blocks::RolledBack;
use crate::commit::Commit;
use crate::core::Core;
use crate::log::RollbackRecord;
use crate::{Error, Result};
use rayon::prelude::*;
use shingle_shard::Version;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many rollbacks there have been since the store was opened. The versions that they removed are in the block index.
#[derive(Debug, Default)]
pub(crate) struct Rollbacks {
    count: AtomicUsize,
    /// One failed half-way: nothing above what it keeps may be shown until the store is opened again.
    cut_short: AtomicBool,
}

impl Rollbacks {
    /// A snapshot keeps the number that it knew: while it stays the same, nothing was removed.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn is_cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Acquire)
    }
}

impl Core {
    /// Refuses a version that a rollback has removed since there were `seen` of them.
    #[inline]
    pub(crate) fn check_kept(&self, version: Version, seen: usize) -> Result<()> {
        if self.rollbacks.count() == seen { Ok(()) } else { self.check_never_removed(version) }
    }

    /// Refuses a version that any rollback has removed.
    #[cold]
    pub(crate) fn check_never_removed(&self, version: Version) -> Result<()> {
        match self.blocks.read().rolled_back(version) {
            Some(keep) => Err(Error::RolledBack { version, to: keep }),
            None => Ok(()),
        }
    }

    /// Removes every block above `height`, and every commit after that block. Returns the version of the rollback itself, at which the store is as it
    /// was when the block was sealed; where nothing is above the block, the newest version.
    pub(crate) fn roll_back_to(&self, height: u64) -> Result<Version> {
        self.health.check()?;
        let handle = {
            let mut sequencer = self.sequencer.lock();
            sequencer.rollbacks_waiting += 1;
            while !sequencer.is_drained() {
                self.pipeline.published.wait(&mut sequencer);
            }
            sequencer.rollbacks_waiting -= 1;
            // Who waited to commit goes on once this one has its number, or is refused.
            self.pipeline.published.notify_all();
            let block = self.blocks.read().at_height(height);
            let newest = self.newest_block().map(|block| block.height);
            let block = block.ok_or(Error::NoSuchHeight { height, newest })?;
            let floor = self.snapshots.floor();
            if block.version < floor {
                return Err(Error::BlockPruned { height, oldest: self.oldest_height(floor) });
            }
            if self.blocks.read().rolled_back_to(self.visible()) == block.version {
                return Ok(self.visible());
            }
            self.reserve(&sequencer)?;
            let handle = sequencer.number_rollback(block)?;
            self.pipeline.queued.notify_one();
            handle
        };
        handle.wait()
    }

    /// The rollback is in the log: from here on it happens, now or when the store is opened again.
    ///
    /// 1. New snapshots see what is kept; it stays readable throughout.
    /// 2. The block index forgets the blocks, and notes the versions that go.
    /// 3. Open snapshots above are told, before anything that they see goes.
    /// 4. The shards remove the versions, each from its memory and its backend.
    pub(crate) fn apply_rollback(&self, commit: &Commit) -> Result<()> {
        let record = RollbackRecord::decode(&commit.payload).ok_or(Error::UnreadableCommit { version: commit.version });
        let keep = record
            .map_err(|error| {
                self.rollbacks.cut_short.store(true, Ordering::Release);
                self.health.poison(&error)
            })?
            .keep_version;
        let _no_flush = self.flusher.exclude();
        let _no_slice = self.rebalancer.exclude();
        let topology = self.shards.keep();
        let mut applied = self.boundary.lock();
        self.visible.store(keep, Ordering::Release);
        self.blocks.write().roll_back(RolledBack { keep, at: commit.version });
        self.rollbacks.count.fetch_add(1, Ordering::Release);
        fail::fail_point!("rollback::before_shards");
        let removed: Result<Vec<u64>, _> = self
            .workers
            .upkeep
            .run(|| topology.all().par_iter().map(|shard| shard.rollback(keep, self.epoch())).collect());
        fail::fail_point!("rollback::after_shards");
        // Half of it may have happened: only opening the store again, which repeats it from the log, puts that right.
        removed.map_err(|error| {
            self.rollbacks.cut_short.store(true, Ordering::Release);
            self.health.poison(&error.into())
        })?;
        *applied = commit.version;
        Ok(())
    }
}
