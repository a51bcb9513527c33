//! The store's own figures: commits, log, memory, flushes, blocks, snapshots.

use super::family::{Families, Sample};
use crate::Status;
use shingle_router::Stats;

pub(super) fn describe(status: &Status, families: &mut Families) {
    let stats = &status.stats;
    let version = Sample::plain(1.0).with("version", env!("CARGO_PKG_VERSION"));
    families.gauges("shingle_build_info", "1, with the version of Shingle as a label.", [version]);
    let writable = f64::from(u8::from(stats.condition.writable));
    families.gauge("shingle_writable", "1 if the store takes commits, 0 if it is poisoned or closed.", writable);
    commits(stats, families);
    log(stats, families);
    memory(stats, families);
    flushes(stats, families);
    versions(status, families);
    snapshots(stats, families);
}

fn commits(stats: &Stats, families: &mut Families) {
    let mut counter = |name: &str, help: &str, value: u64| families.counter(name, help, value as f64);
    counter("shingle_commits_total", "Commits: batches, blocks, transactions and rollbacks.", stats.commits);
    counter("shingle_conflicts_total", "Transactions refused because of a conflict.", stats.conflicts);
    counter("shingle_transactions_started_total", "Transactions begun.", stats.transactions_begun);
    counter("shingle_transactions_committed_total", "Transactions committed.", stats.transactions_committed);
    counter("shingle_transactions_aborted_total", "Transactions that ended otherwise.", stats.transactions_aborted);
    families.seconds(
        "shingle_commit_duration_seconds",
        "From asking for a commit to its being visible and durable.",
        &stats.commit_micros,
    );
    families.histogram("shingle_commit_group_size", "Commits that went together.", &stats.group_commits, 1.0);
    families.counter(
        "shingle_backpressure_seconds_total",
        "Time that commits have waited for memory, added up over those that waited.",
        seconds(stats.memory_wait_micros),
    );
}

fn log(stats: &Stats, families: &mut Families) {
    if let Some(log) = &stats.log {
        families.gauge(
            "shingle_log_bytes",
            "Bytes of the commit log's files, preallocated room and files kept for reuse included.",
            log.bytes as f64,
        );
        families.gauge(
            "shingle_log_used_bytes",
            "Bytes of the commit log's files that hold records.",
            log.used_bytes as f64,
        );
        families.gauge("shingle_log_segments", "Segments of the commit log that hold records.", log.segments as f64);
        let appended = log.appended_bytes as f64;
        families.counter("shingle_log_appended_bytes_total", "Bytes appended to the commit log.", appended);
        families.counter("shingle_log_syncs_total", "Syncs of the commit log.", log.syncs as f64);
    }
    if let Some(spread) = &stats.sync_micros {
        families.seconds("shingle_log_sync_duration_seconds", "What a sync of the commit log took.", spread);
    }
}

fn memory(stats: &Stats, families: &mut Families) {
    let budget = stats.memory_budget_bytes as f64;
    families.gauge("shingle_memtable_budget_bytes", "Bytes that all memtables may take.", budget);
    let block_cache = stats.block_cache_bytes as f64;
    families.gauge("shingle_block_cache_bytes", "Bytes that RocksDB's block cache holds.", block_cache);
    if let Some(cache) = &stats.row_cache {
        families.gauge("shingle_row_cache_bytes", "Bytes that the cache of rows holds.", cache.bytes as f64);
        let capacity = cache.capacity_bytes as f64;
        families.gauge("shingle_row_cache_capacity_bytes", "Bytes that the cache of rows may hold.", capacity);
        families.gauge("shingle_row_cache_rows", "Rows that the cache of rows holds.", cache.rows as f64);
    }
}

fn flushes(stats: &Stats, families: &mut Families) {
    let flush = &stats.flush;
    families.counter("shingle_flushes_total", "Flushes that wrote something.", flush.flushes as f64);
    families.counter("shingle_flushed_keys_total", "Versions of keys that flushes wrote.", flush.keys as f64);
    families.counter("shingle_flushed_bytes_total", "Bytes that flushes wrote.", flush.bytes as f64);
    families.counter("shingle_flush_failures_total", "Flushes that failed.", stats.flush_failures as f64);
    families.seconds("shingle_flush_duration_seconds", "What a flush that wrote something took.", &stats.flush_micros);
    families.counter(
        "shingle_compaction_wait_seconds_total",
        "Time that flushes have waited for compaction to catch up.",
        seconds(stats.compaction_wait_micros),
    );
    let flushed = stats.shards.iter().map(|shard| shard.flushed_version).min().unwrap_or(0);
    families.gauge("shingle_flushed_version", "Version through which every shard is flushed.", flushed as f64);
}

fn versions(status: &Status, families: &mut Families) {
    let stats = &status.stats;
    families.gauge("shingle_visible_version", "The newest version that readers see.", stats.version as f64);
    families.gauge("shingle_floor_version", "The oldest version that can be read.", stats.floor as f64);
    families.gauge(
        "shingle_slot_map_epoch",
        "Which slot map is in force, the first one counted.",
        stats.slot_map_epoch as f64,
    );
    families.gauge("shingle_blocks", "Blocks in the block index, those below the floor included.", stats.blocks as f64);
    if let Some(head) = &status.head {
        families.gauge("shingle_height", "Height of the newest block.", head.height as f64);
        let timestamp = head.timestamp_ms as f64 / 1e3;
        families.gauge("shingle_head_timestamp_seconds", "Timestamp of the newest block, by its own clock.", timestamp);
    }
}

fn snapshots(stats: &Stats, families: &mut Families) {
    families.gauge("shingle_open_snapshots", "Snapshots that are open.", stats.open_snapshots as f64);
    let held = stats.snapshot_held_micros.map_or(0.0, seconds);
    families.gauge(
        "shingle_oldest_snapshot_age_seconds",
        "For how long a snapshot has held a version, at the most.",
        held,
    );
    let oldest = stats.oldest_snapshot.unwrap_or(stats.version) as f64;
    families.gauge(
        "shingle_oldest_snapshot_version",
        "The oldest version that a snapshot holds, or the newest version.",
        oldest,
    );
}

pub(super) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
