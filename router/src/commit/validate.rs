//! Validation: whether what a transaction has seen is still so.

use super::Sequencer;
use crate::core::Core;
use crate::{Error, Result};
use shingle_shard::{KeyRange, Version, key_hash};

/// What a transaction has seen, and at which version.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    pub(crate) at: Version,
    /// How many rollbacks the snapshot knew of.
    pub(crate) rollbacks_seen: usize,
    pub(crate) keys: Vec<ReadKey>,
    pub(crate) ranges: Vec<KeyRange>,
}

/// A key that a transaction has seen. Where it lives is asked when the transaction commits: its slot may move until then.
#[derive(Debug)]
pub(crate) struct ReadKey {
    pub(crate) key: Vec<u8>,
    pub(crate) hash: u64,
}

impl ReadKey {
    pub(crate) fn new(key: Vec<u8>) -> Self {
        ReadKey { hash: key_hash(&key), key }
    }
}

impl Core {
    /// Refuses a transaction whose reads are no longer true: something that it saw was written after its snapshot, and after the version through
    /// which that was [checked](Core::validate_visible) already.
    ///
    /// 1. Commits in flight are asked before the shards: a commit leaves the former only when it is visible in the latter.
    /// 2. The lock is held until the transaction has its own number, so that nothing can come between.
    pub(crate) fn validate(&self, sequencer: &mut Sequencer, reads: &ReadSet, checked: Version) -> Result<()> {
        self.check_kept(reads.at, reads.rollbacks_seen)?;
        sequencer.check_rollback(reads.at)?;
        if let Some(read) = reads.keys.iter().find(|read| sequencer.in_flight.written_after(read.hash, checked)) {
            return Err(self.conflict(Error::Conflict { key: read.key.clone() }));
        }
        if let Some(range) = reads.ranges.iter().find(|range| sequencer.in_flight.range_written_after(range, checked)) {
            return Err(self.conflict(Error::RangeConflict { range: range.to_string() }));
        }
        self.validate_in_shards(reads, checked)
    }

    /// Validates a transaction against what is visible, before the lock is taken: few commits are left to check under it, most often none, and a
    /// transaction so old that memory no longer answers for it may read the disk. Returns the version through which nothing is left to check.
    pub(crate) fn validate_visible(&self, reads: &ReadSet) -> Result<Version> {
        let visible = self.visible();
        self.validate_in_shards(reads, reads.at)?;
        Ok(visible.max(reads.at))
    }

    /// The shards hold nothing visible that was written after the newest version.
    fn validate_in_shards(&self, reads: &ReadSet, after: Version) -> Result<()> {
        if self.visible() <= after {
            return Ok(());
        }
        // After the version: where the keys live by it, everything that is visible is.
        let topology = self.shards.now();
        for read in &reads.keys {
            if topology.shard_of(&read.key, read.hash).written_after(&read.key, read.hash, after)? {
                return Err(self.conflict(Error::Conflict { key: read.key.clone() }));
            }
        }
        for range in &reads.ranges {
            for shard in topology.holding(range) {
                if shard.range_written_after(range, after)? {
                    return Err(self.conflict(Error::RangeConflict { range: range.to_string() }));
                }
            }
        }
        Ok(())
    }

    fn conflict(&self, conflict: Error) -> Error {
        self.counters.conflict();
        conflict
    }
}
