//! Figures of an open store.

use crate::checkpoint::CheckpointStats;
use crate::core::Core;
use crate::flush::FlushStats;
use crate::health::Condition;
use crate::histogram::{Distribution, micros};
use crate::log::LogStats;
use crate::prune::PruneStats;
use crate::rebalance::RebalanceStats;
use crate::recovery::Recovery;
use crate::shards::Topology;
use crate::snapshot::OpenSnapshots;
use shingle_shard::backend::EngineCounts;
use shingle_shard::{Shard, Version};
use std::path::PathBuf;
use std::sync::Arc;

/// Versions with open snapshots that the figures name.
const OLDEST_SNAPSHOTS: usize = 10;

/// Figures of an open store, shards summed and each by itself.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    /// The newest visible version.
    pub version: Version,
    /// The newest block's height.
    pub height: Option<u64>,
    /// The oldest version that can be read.
    pub floor: Version,
    /// The height of the oldest block that can be read.
    pub floor_height: Option<u64>,
    /// How often the slot map was replaced, the first one counted.
    pub slot_map_epoch: u64,
    /// How many blocks the block index holds, those below the floor included.
    pub blocks: u64,
    /// The height of the oldest of them.
    pub first_height: Option<u64>,
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
    /// Transactions committed.
    pub transactions_committed: u64,
    /// Transactions that ended otherwise: given up, refused because of a conflict, or failed.
    pub transactions_aborted: u64,
    /// Commits since the store was opened: batches, blocks, transactions and rollbacks.
    pub commits: u64,
    /// Transactions refused because of a conflict since the store was opened.
    pub conflicts: u64,
    /// Groups in which the commits went to the log.
    pub groups: u64,
    /// How long commits took from being asked for to being visible and durable, in microseconds.
    pub commit_micros: Distribution,
    /// How many commits went together in a group.
    pub group_commits: Distribution,
    /// How long the log's syncs took, in microseconds.
    pub sync_micros: Option<Distribution>,
    /// How long commits have waited for memory since the store was opened, in microseconds.
    pub memory_wait_micros: u64,
    /// How long flushes have waited for compaction since the store was opened, in microseconds.
    pub compaction_wait_micros: u64,
    /// Snapshots that are open.
    pub open_snapshots: u64,
    /// The version of the oldest open snapshot.
    pub oldest_snapshot: Option<Version>,
    /// The oldest versions at which snapshots are open, at most ten: they hold pruning back.
    pub oldest_snapshots: Vec<OpenSnapshots>,
    /// For how long an open snapshot has held a version, at the most, in microseconds.
    pub snapshot_held_micros: Option<u64>,
    /// The rows that were read and are kept in memory; `None`: none are.
    pub row_cache: Option<RowCacheStats>,
    /// Bytes that the engines' block cache holds.
    pub block_cache_bytes: u64,
    /// What flushes have written.
    pub flush: FlushStats,
    /// How long flushes took, in microseconds.
    pub flush_micros: Distribution,
    /// Flushes that failed.
    pub flush_failures: u64,
    /// The checkpoints that there are, and what those of this opening were.
    pub checkpoints: CheckpointStats,
    /// How long they took to make, in microseconds.
    pub checkpoint_micros: Distribution,
    /// What prunings have removed, and how far they are.
    pub prune: PruneStats,
    /// How long prunings took, in microseconds.
    pub prune_micros: Distribution,
    /// What rebalancings have done, and how far one is.
    pub rebalance: RebalanceStats,
    /// What opening the store has found in its log.
    pub recovery: Recovery,
    /// Whether the store takes commits.
    pub condition: Condition,
}

/// Figures of the cache of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowCacheStats {
    /// Rows that it holds.
    pub rows: u64,
    /// Bytes that it holds.
    pub bytes: u64,
    /// Bytes that it may hold.
    pub capacity_bytes: u64,
}

/// What a shard's engine counts since the store was opened, with `enable_statistics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EngineStats {
    /// Blocks that the block cache had.
    pub block_cache_hits: u64,
    /// Blocks that it had not.
    pub block_cache_misses: u64,
    /// CPU time of compactions, in microseconds.
    pub compaction_cpu_micros: u64,
    /// How long the engine stalled writes, in microseconds.
    pub write_stall_micros: u64,
}

impl EngineStats {
    /// Blocks found in the block cache, in per cent of those asked for; `None` if none was.
    #[must_use]
    pub fn block_cache_hit_percent(&self) -> Option<f64> {
        let asked = self.block_cache_hits + self.block_cache_misses;
        (asked > 0).then(|| 100.0 * self.block_cache_hits as f64 / asked as f64)
    }
}

impl From<EngineCounts> for EngineStats {
    fn from(counts: EngineCounts) -> Self {
        EngineStats {
            block_cache_hits: counts.block_cache_hits,
            block_cache_misses: counts.block_cache_misses,
            compaction_cpu_micros: counts.compaction_cpu_micros,
            write_stall_micros: counts.write_stall_micros,
        }
    }
}

/// Figures of one shard.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
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
    /// Point reads that memory answered, since the store was opened.
    pub reads_from_memory: u64,
    /// Point reads that the cache of rows answered.
    pub reads_from_row_cache: u64,
    /// Point reads that went to the engine.
    pub reads_from_engine: u64,
    /// Keys put and deleted since the store was opened, those that recovery took from the log among them.
    pub writes: u64,
    /// Memtables of the engine that wait for their flush. State passes them by: the engine's own records use them.
    pub immutable_memtables: u64,
    /// What the engine counts; `None` without `enable_statistics`.
    pub engine: Option<EngineStats>,
}

impl Core {
    pub(crate) fn stats(&self) -> Stats {
        let topology = self.shards.keep();
        let (shards, block_cache_bytes) = self.shard_stats(&topology);
        let snapshots = self.snapshots.summary();
        let (log, sync_micros) =
            self.log.as_ref().map(|log| log.lock()).map(|log| (log.stats(), log.sync_micros())).unzip();
        let counts = self.counters.counts();
        // Not within the expression below, to whose end the lock would be held: what else is asked there takes it, too.
        let (blocks, first_height) = {
            let index = self.blocks.read();
            (index.len() as u64, index.range(..).first().map(|block| block.height))
        };
        Stats {
            version: self.visible(),
            height: self.newest_block().map(|block| block.height),
            floor: self.snapshots.floor(),
            floor_height: self.oldest_height(self.snapshots.floor()),
            slot_map_epoch: topology.map.epoch(),
            blocks,
            first_height,
            shards,
            log,
            memory_bytes: self.memory().total_bytes,
            memory_budget_bytes: self.options.memory_budget_bytes,
            transactions_begun: counts.transactions_begun,
            transactions_committed: counts.transactions_committed,
            transactions_aborted: counts.transactions_aborted,
            commits: counts.commits,
            conflicts: counts.conflicts,
            groups: counts.groups,
            commit_micros: self.counters.commit_micros.distribution(),
            group_commits: self.counters.group_commits.distribution(),
            sync_micros,
            memory_wait_micros: counts.memory_wait_micros,
            compaction_wait_micros: counts.compaction_wait_micros,
            open_snapshots: snapshots.count as u64,
            oldest_snapshot: snapshots.oldest,
            oldest_snapshots: self.snapshots.oldest(OLDEST_SNAPSHOTS),
            snapshot_held_micros: snapshots.longest.map(micros),
            row_cache: self.row_cache.as_deref().map(|cache| RowCacheStats {
                rows: cache.rows(),
                bytes: cache.bytes(),
                capacity_bytes: cache.capacity_bytes(),
            }),
            block_cache_bytes,
            flush: self.flusher.stats(),
            flush_micros: self.counters.flush_micros.distribution(),
            flush_failures: counts.flush_failures,
            checkpoints: self.checkpoint_stats(),
            checkpoint_micros: self.counters.checkpoint_micros.distribution(),
            prune: self.prune_stats(),
            prune_micros: self.counters.prune_micros.distribution(),
            rebalance: self.rebalance_stats(),
            recovery: self.recovery.clone(),
            condition: self.condition(),
        }
    }

    /// Each shard's figures, and the bytes of the block cache that they share.
    fn shard_stats(&self, topology: &Topology) -> (Vec<ShardStats>, u64) {
        let mut slots = vec![0; topology.all().len()];
        topology.map.iter().for_each(|shard| slots[shard] += 1);
        let paths = self.disk.as_ref().map(|disk| disk.shard_paths());
        let mut block_cache_bytes = 0;
        let stats_of = |(number, shard): (usize, &Arc<Shard>)| {
            let (backend, memory, counts) = (shard.backend().stats(), shard.memory(), shard.counts());
            block_cache_bytes = backend.block_cache_bytes;
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
                reads_from_memory: counts.reads_from_memory,
                reads_from_row_cache: counts.reads_from_row_cache,
                reads_from_engine: counts.reads_from_backend,
                writes: counts.writes,
                immutable_memtables: backend.immutable_memtables,
                engine: backend.counted.map(EngineStats::from),
            }
        };
        let stats = topology.all().iter().enumerate().map(stats_of).collect();
        (stats, block_cache_bytes)
    }
}
