//! Verification: everything on disk is read and checked.

use crate::core::Core;
use crate::shards::Topology;
use crate::{Error, Result};
use rayon::prelude::*;
use shingle_shard::{Shard, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Progress is told after this many rows.
const ROWS_PER_REPORT: u64 = 10_000;

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VerifyProgress {
    /// Rows read so far, over all shards.
    pub rows: u64,
    /// Rows that the store has, as its engines estimate them.
    pub rows_estimate: u64,
}

/// What a verification found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct VerifyReport {
    /// Each shard.
    pub shards: Vec<ShardVerified>,
}

/// What a verification found in one shard.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ShardVerified {
    /// The shard's number.
    pub number: usize,
    /// Rows read: versions of keys, tombstones among them.
    pub rows: u64,
    /// Bytes of keys and values read.
    pub bytes: u64,
    /// Entries of the index of changes read.
    pub changes: u64,
    /// What is wrong; `None`: nothing.
    pub damage: Option<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.shards.iter().all(|shard| shard.damage.is_none())
    }
}

impl Core {
    /// Flushes, then reads every shard in parallel. Flushes wait meanwhile.
    pub(crate) fn verify(&self, progress: &(dyn Fn(VerifyProgress) + Sync)) -> Result<VerifyReport> {
        let _no_pruning = self.pruner.exclude();
        self.flush_all()?;
        let _no_flush = self.flusher.exclude();
        let _no_slice = self.rebalancer.exclude();
        let topology = self.shards.keep();
        let rows_estimate = topology.all().iter().map(|shard| shard.backend().stats().rows_estimate).sum();
        let rows = AtomicU64::new(0);
        let report = || progress(VerifyProgress { rows: rows.load(Ordering::Relaxed), rows_estimate });
        let verify = |shard: &Arc<Shard>| self.verify_shard(&topology, shard, &rows, &report);
        let shards = self.workers.upkeep.run(|| topology.all().par_iter().map(verify).collect());
        report();
        Ok(VerifyReport { shards })
    }

    fn verify_shard(
        &self,
        topology: &Topology,
        shard: &Shard,
        rows: &AtomicU64,
        report: &(dyn Fn() + Sync),
    ) -> ShardVerified {
        // What is on its way counts on the shard that it is read from.
        let number = shard.number();
        let strays = !shard.strays().is_multiple_of(2);
        let passes = |key: &[u8]| strays && !topology.lives_on(key, number);
        let (newest, floor) = (self.visible(), self.snapshots.floor());
        let mut found = ShardVerified { number: shard.number(), ..ShardVerified::default() };
        let (mut misplaced, mut future, mut rolled_back) = (0_u64, 0_u64, 0_u64);
        // Above the floor, the rows and the index of changes must name the same (version, key) pairs. Both are only read once, in different orders: a sum
        // of hashes is equal if the sets are.
        let (mut rows_sum, mut changes_sum) = (0_u64, 0_u64);
        let (mut rows_above, mut changes_above) = (0_u64, 0_u64);
        // What is pruned has no change left, and of each key at most one row, which is no tombstone.
        let (mut pruned_key, mut not_pruned) = (Vec::new(), 0_u64);
        let outcome = shard.backend().verify(
            &mut |row| {
                if passes(row.key) {
                    return Ok(());
                }
                found.rows += 1;
                found.bytes += (row.key.len() + row.value.map_or(0, <[u8]>::len)) as u64;
                if row.version > floor {
                    rows_above += 1;
                    rows_sum = rows_sum.wrapping_add(pair_hash(row.version, row.key));
                } else {
                    not_pruned += u64::from(row.value.is_none() || row.key == pruned_key);
                    pruned_key.clear();
                    pruned_key.extend_from_slice(row.key);
                }
                misplaced += u64::from(!topology.lives_on(row.key, number));
                future += u64::from(row.version > newest);
                rolled_back += u64::from(self.check_never_removed(row.version).is_err());
                if found.rows.is_multiple_of(ROWS_PER_REPORT) {
                    rows.fetch_add(ROWS_PER_REPORT, Ordering::Relaxed);
                    report();
                }
                Ok(())
            },
            &mut |version, key| {
                if passes(key) {
                    return Ok(());
                }
                found.changes += 1;
                if version > floor {
                    changes_above += 1;
                    changes_sum = changes_sum.wrapping_add(pair_hash(version, key));
                }
                Ok(())
            },
        );
        rows.fetch_add(found.rows % ROWS_PER_REPORT, Ordering::Relaxed);
        found.damage = match outcome {
            Err(error) => Some(Error::from(error).to_string()),
            Ok(()) if misplaced > 0 => Some(format!("{misplaced} rows belong on another shard")),
            Ok(()) if future > 0 => Some(format!("{future} rows have a version above the newest, {newest}")),
            Ok(()) if rolled_back > 0 => Some(format!("{rolled_back} rows have a version that was rolled back")),
            Ok(()) if (rows_above, rows_sum) != (changes_above, changes_sum) => Some(format!(
                "the index of changes names {changes_above} rows, and the rows are {rows_above}: they are not the same"
            )),
            // Where changes are left, a pruning was cut short, and will be completed.
            Ok(()) if found.changes == changes_above && not_pruned > 0 => {
                Some(format!("{not_pruned} rows are there that were pruned"))
            }
            Ok(()) => None,
        };
        found
    }
}

pub(crate) fn pair_hash(version: Version, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, version)
}
