//! How a store behaves while it is open. Nothing here is recorded in the store.

use crate::Durability;
use crate::log::SEGMENT_BYTES_DEFAULT;
use crate::prune::Retention;
use std::time::Duration;

/// Settings of the router; the `shingle` crate's `Config` documents, validates and fills them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Durability of commits that ask for none.
    pub durability: Durability,
    /// The largest batch, in bytes of the log.
    pub batch_bytes_max: usize,
    /// How long a buffered commit may stay unsynced.
    pub buffered_sync: Duration,
    /// A log segment's size in bytes.
    pub segment_bytes: u64,
    /// Once the active memtables together have this many bytes, the largest one is flushed.
    pub write_buffer_bytes: u64,
    /// What all memtables together may take: active, waiting for their flush, and flushed ones that stay readable.
    pub memory_budget_bytes: u64,
    /// What rows that were read from the disk may take in memory; 0: none are kept.
    pub row_cache_bytes: u64,
    /// How many of the newest versions stay in memory after their flush, if the budget allows.
    pub keep_recent_versions: u64,
    /// The longest time between two flushes of everything; `None`: no limit.
    pub flush_interval: Option<Duration>,
    /// Everything is flushed after this many blocks; `None`: not by blocks.
    pub blocks_per_flush: Option<u64>,
    /// Whether everything is flushed when the store is opened.
    pub flush_on_start: bool,
    /// A checkpoint is made after this many blocks; `None`: none is by itself.
    pub checkpoint_interval: Option<u64>,
    /// How many of those checkpoints are kept.
    pub checkpoints_kept: usize,
    /// What is pruned, and when.
    pub prune: PruneSettings,
}

/// What the store prunes by itself, and what no pruning touches.
#[derive(Clone, Debug)]
pub struct PruneSettings {
    /// Whether the store prunes by itself.
    pub background: bool,
    /// What it keeps then.
    pub retention: Retention,
    /// The time from one pruning to the next.
    pub interval: Duration,
    /// It prunes once so many versions were committed since it did last.
    pub version_threshold: u64,
    /// Whether the first pruning begins when the store is opened, and not an interval later.
    pub prune_on_start: bool,
    /// The newest block stays so many blocks above the floor, so that a rollback can take as many back.
    pub reorg_window_blocks: u64,
}

impl Default for PruneSettings {
    fn default() -> Self {
        PruneSettings {
            background: false,
            retention: Retention::versions_per_key(10),
            interval: Duration::from_secs(60),
            version_threshold: 1000,
            prune_on_start: false,
            reorg_window_blocks: 64,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Sync,
            batch_bytes_max: 256 << 20,
            buffered_sync: Duration::from_millis(5),
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            write_buffer_bytes: 64 << 20,
            memory_budget_bytes: 192 << 20,
            row_cache_bytes: 8 << 20,
            keep_recent_versions: 10,
            flush_interval: Some(Duration::from_secs(60)),
            blocks_per_flush: Some(100),
            flush_on_start: false,
            checkpoint_interval: None,
            checkpoints_kept: 10,
            prune: PruneSettings::default(),
        }
    }
}
