//! Rollback: everything above a block is removed, from the shards, the block index and every open snapshot.

use crate::blocks::SealedBlock;
use crate::commit::Commit;
use crate::core::Core;
use crate::log::commit_record::RollbackPayload;
use crate::{Error, Result};
use parking_lot::RwLock;
use rayon::prelude::*;
use shingle_shard::Version;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Versions that a rollback removed: those above `keep` and below `at`, the rollback's own version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RolledBack {
    pub(crate) keep: Version,
    pub(crate) at: Version,
}

/// The rollbacks of this store, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Rollbacks {
    count: AtomicUsize,
    ranges: RwLock<Vec<RolledBack>>,
}

impl Rollbacks {
    pub(crate) fn new(ranges: Vec<RolledBack>) -> Self {
        Rollbacks { count: AtomicUsize::new(ranges.len()), ranges: RwLock::new(ranges) }
    }

    /// How many there have been. A snapshot keeps the number that it knew.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn push(&self, rolled_back: RolledBack) {
        let mut ranges = self.ranges.write();
        ranges.push(rolled_back);
        self.count.store(ranges.len(), Ordering::Release);
    }

    /// Refuses `version` if a rollback after the first `seen` ones has removed it.
    #[inline]
    pub(crate) fn check(&self, version: Version, seen: usize) -> Result<()> {
        if self.count() == seen { Ok(()) } else { self.search(version, seen) }
    }

    #[cold]
    fn search(&self, version: Version, seen: usize) -> Result<()> {
        let ranges = self.ranges.read();
        match ranges[seen..].iter().find(|range| range.keep < version && version < range.at) {
            Some(range) => Err(Error::RolledBack { version, to: range.keep }),
            None => Ok(()),
        }
    }
}

impl Core {
    /// Removes every block above `height`, and every commit after that block. Returns the version of the rollback itself, at which the store is as it
    /// was when the block was sealed.
    pub(crate) fn roll_back_to(&self, height: u64) -> Result<Version> {
        self.health.check()?;
        let handle = {
            let mut sequencer = self.sequencer.lock();
            while !sequencer.is_drained() {
                self.pipeline.published.wait(&mut sequencer);
            }
            let block = self.blocks.read().at(height);
            let newest = self.newest_block().map(|block| block.height);
            let block = block.ok_or(Error::NoSuchHeight { height, newest })?;
            let floor = self.snapshots.floor();
            if block.version < floor {
                return Err(Error::Pruned { asked: block.version, floor });
            }
            if block.version == self.visible() {
                return Ok(block.version);
            }
            let handle = sequencer.number_rollback(block)?;
            self.pipeline.queued.notify_one();
            handle
        };
        handle.wait()
    }

    /// The rollback is in the log: from here on it happens, now or when the store is opened again.
    ///
    /// 1. New snapshots see what is kept; it stays readable throughout.
    /// 2. Open snapshots above it are told, before anything that they see goes.
    /// 3. The block index forgets the blocks.
    /// 4. The shards remove the versions, each from its memory and its backend.
    pub(crate) fn apply_rollback(&self, commit: &Commit) -> Result<()> {
        let RollbackPayload { keep, .. } = RollbackPayload::decode(&commit.payload)
            .ok_or_else(|| self.health.poison(&Error::Closed))?;
        let _no_flush = self.flusher.exclude();
        let mut applied = self.boundary.lock();
        self.visible.store(keep, Ordering::Release);
        self.rollbacks.push(RolledBack { keep, at: commit.version });
        self.blocks.write().roll_back(RolledBack { keep, at: commit.version });
        fail::fail_point!("rollback::before_shards");
        let removed: Result<Vec<u64>, _> =
            self.shards.all().par_iter().map(|shard| shard.rollback(keep, self.epoch())).collect();
        fail::fail_point!("rollback::after_shards");
        // Half of it may have happened: only opening the store again, which repeats it from the log, puts that right.
        removed.map_err(|error| self.health.poison(&error.into()))?;
        *applied = commit.version;
        Ok(())
    }

    /// The blocks of a range of heights.
    pub(crate) fn block_at(&self, height: u64) -> Option<SealedBlock> {
        self.blocks.read().at(height)
    }
}
