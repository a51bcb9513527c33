//! Figures of an open store.

use crate::checkpoint::CheckpointStats;
use crate::commit::Group;
use crate::core::Core;
use crate::flush::FlushStats;
use crate::log::LogStats;
use crate::prune::PruneStats;
use crate::recovery::Recovery;
use crate::snapshot::OpenSnapshots;
use shingle_shard::Version;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Versions with open snapshots that the figures name.
const OLDEST_SNAPSHOTS: usize = 10;

/// What is counted since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) begun: AtomicU64,
    pub(crate) committed: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) memory_wait_micros: AtomicU64,
}

impl Counters {
    pub(crate) fn begun(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn published(&self, group: &Group) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.committed.fetch_add(group.len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn waited_for_memory(&self, time: Duration) {
        self.memory_wait_micros.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Figures of an open store, shards summed and each by itself.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Stats {
    /// The newest visible version.
    pub version: Version,
    /// The newest block's height.
    pub height: Option<u64>,
    /// The oldest version that can be read.
    pub floor: Version,
    /// How often the slot map was replaced, the first one counted.
    pub slot_map_epoch: u64,
    /// How many blocks the block index holds.
    pub blocks: u64,
    /// Each shard.
    pub shards: Vec<ShardStats>,
    /// The commit log; `None` for a store in memory.
    pub log: Option<LogStats>,
    /// Bytes that all memtables take: active, waiting for their flush, and flushed ones that stay readable.
    pub memory_bytes: u64,
    /// What they may take.
    pub memory_budget_bytes: u64,
    /// Transactions begun since the store was opened.
    pub transactions_begun: u64,
    /// Commits since the store was opened: batches, blocks, transactions and rollbacks.
    pub commits: u64,
    /// Transactions refused because of a conflict since the store was opened.
    pub conflicts: u64,
    /// Groups in which the commits went to the log.
    pub groups: u64,
    /// How long commits have waited for memory since the store was opened, in microseconds.
    pub memory_wait_micros: u64,
    /// Snapshots that are open.
    pub open_snapshots: u64,
    /// The version of the oldest open snapshot.
    pub oldest_snapshot: Option<Version>,
    /// The oldest versions at which snapshots are open, at most ten: they hold pruning back.
    pub oldest_snapshots: Vec<OpenSnapshots>,
    /// What flushes have written.
    pub flush: FlushStats,
    /// What the checkpoints of this opening were.
    pub checkpoints: CheckpointStats,
    /// What prunings have removed, and how far they are.
    pub prune: PruneStats,
    /// What opening the store has found in its log.
    pub recovery: Recovery,
}

/// Figures of one shard.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ShardStats {
    /// The shard's number.
    pub number: usize,
    /// Its directory; `None` for a store in memory.
    pub path: Option<PathBuf>,
    /// Slots that live on it.
    pub slots: u64,
    /// Rows on disk, all versions and tombstones counted, as the engine estimates them.
    pub rows_estimate: u64,
    /// Bytes of live data on disk.
    pub live_bytes: u64,
    /// Bytes of all its files.
    pub file_bytes: u64,
    /// Files at level 0.
    pub level0_files: u64,
    /// Bytes that compaction still has to rewrite, as the engine estimates them.
    pub pending_compaction_bytes: u64,
    /// Bytes of its memtables.
    pub memory_bytes: u64,
    /// Bytes of them that are not flushed.
    pub unflushed_bytes: u64,
    /// The version through which it is flushed.
    pub flushed_version: Version,
}

impl Core {
    pub(crate) fn stats(&self) -> Stats {
        let topology = self.shards.keep();
        let mut slots = vec![0; topology.all().len()];
        topology.map.iter().for_each(|shard| slots[shard] += 1);
        let paths = self.disk.as_ref().map(|disk| disk.shard_paths());
        let shards = topology
            .all()
            .iter()
            .enumerate()
            .map(|(number, shard)| {
                let (backend, memory) = (shard.backend().stats(), shard.memory());
                ShardStats {
                    number,
                    path: paths.as_ref().and_then(|paths| paths.get(number).cloned()),
                    slots: slots[number],
                    rows_estimate: backend.rows_estimate,
                    live_bytes: backend.live_bytes,
                    file_bytes: backend.file_bytes,
                    level0_files: backend.level0_files,
                    pending_compaction_bytes: backend.pending_compaction_bytes,
                    memory_bytes: memory.total_bytes,
                    unflushed_bytes: memory.unflushed_bytes,
                    flushed_version: shard.flushed_through(),
                }
            })
            .collect();
        let (open_snapshots, oldest_snapshot) = self.snapshots.count_and_oldest();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            version: self.visible(),
            height: self.newest_block().map(|block| block.height),
            floor: self.snapshots.floor(),
            slot_map_epoch: topology.map.epoch(),
            blocks: self.blocks.read().len() as u64,
            shards,
            log: self.log.as_ref().map(|log| log.lock().stats()),
            memory_bytes: self.memory().total_bytes,
            memory_budget_bytes: self.options.memory_budget_bytes,
            transactions_begun: count(&self.counters.begun),
            commits: count(&self.counters.committed),
            conflicts: count(&self.counters.conflicts),
            groups: count(&self.counters.groups),
            memory_wait_micros: count(&self.counters.memory_wait_micros),
            open_snapshots: open_snapshots as u64,
            oldest_snapshot,
            oldest_snapshots: self.snapshots.oldest(OLDEST_SNAPSHOTS),
            flush: self.flusher.stats(),
            checkpoints: self.checkpoints.stats(),
            prune: self.pruner.stats(),
            recovery: self.recovery.clone(),
        }
    }
}
