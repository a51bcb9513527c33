//! Pruning and checkpoints.

use super::family::{Families, Sample};
use super::store::seconds;
use crate::Status;
use shingle_router::{PruneHold, Stats};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn describe(status: &Status, families: &mut Families) {
    pruning(&status.stats, families);
    // A store in memory has none, and cannot have any.
    if status.dir.is_some() {
        checkpoints(&status.stats, families);
    }
}

fn pruning(stats: &Stats, families: &mut Families) {
    let prune = &stats.prune;
    families.counter("shingle_prunes_total", "Prunings that were completed.", prune.runs as f64);
    families.counter("shingle_prune_failures_total", "Prunings that failed.", prune.failed as f64);
    families.seconds("shingle_prune_duration_seconds", "What a pruning that was completed took.", &stats.prune_micros);
    families.counter("shingle_pruned_versions_total", "Versions of keys that were removed.", prune.versions as f64);
    families.counter("shingle_pruned_bytes_total", "Bytes of keys and values that were removed.", prune.bytes as f64);
    let automatic = f64::from(u8::from(prune.background));
    families.gauge("shingle_prune_automatic", "1 if the store prunes by itself, 0 if only by hand.", automatic);
    let wanted = prune.wanted as f64;
    families.gauge("shingle_prune_wanted_version", "The floor that the retention asks for.", wanted);
    let through = prune.pruned_through as f64;
    families.gauge("shingle_pruned_through_version", "Version through which every shard is pruned.", through);
    families.gauge(
        "shingle_prune_lag_versions",
        "How far that is below the floor that the retention asks for.",
        prune.lag_versions as f64,
    );
    families.gauge(
        "shingle_prune_lag_blocks",
        "Blocks that the retention lets go and that can still be read.",
        prune.lag_blocks as f64,
    );
    let held = prune.held_back.map(hold);
    let by = HOLDS.map(|name| Sample::plain(f64::from(u8::from(held == Some(name)))).with("by", name));
    families.gauges("shingle_prune_held_back", "1 for what keeps the floor below the wanted one.", by);

    let running = f64::from(u8::from(prune.progress.is_some()));
    families.gauge("shingle_prune_running", "1 while a pruning is under way.", running);
    let done = prune.progress.map_or(0.0, |progress| progress.fraction);
    families.gauge("shingle_prune_progress_ratio", "How much of the pruning under way is done, from 0 to 1.", done);
    let remaining_ms = prune.progress.and_then(|progress| progress.remaining_ms);
    families.gauge(
        "shingle_prune_remaining_seconds",
        "How long the pruning under way will still take, estimated; 0 without one.",
        remaining_ms.unwrap_or(0) as f64 / 1e3,
    );
    families.gauge(
        "shingle_prune_estimated_end_timestamp_seconds",
        "When the pruning under way will have ended, estimated; 0 without one.",
        remaining_ms.map_or(0.0, |remaining_ms| now_ms().saturating_add(remaining_ms) as f64 / 1e3),
    );
}

const HOLDS: [&str; 5] = ["snapshot", "reorg_window", "newest", "rollback", "rebalance"];

fn hold(hold: PruneHold) -> &'static str {
    match hold {
        PruneHold::Snapshot { .. } => HOLDS[0],
        PruneHold::ReorgWindow { .. } => HOLDS[1],
        PruneHold::Newest => HOLDS[2],
        PruneHold::Rollback { .. } => HOLDS[3],
        PruneHold::Rebalance => HOLDS[4],
    }
}

fn checkpoints(stats: &Stats, families: &mut Families) {
    let made = &stats.checkpoints;
    families.gauge("shingle_checkpoints", "Checkpoints that there are.", made.kept as f64);
    families.gauge(
        "shingle_checkpoint_interval_blocks",
        "After how many blocks the store makes a checkpoint by itself; 0: never.",
        made.interval_blocks.unwrap_or(0) as f64,
    );
    families.counter("shingle_checkpoints_made_total", "Checkpoints made.", made.made as f64);
    families.counter("shingle_checkpoint_failures_total", "Checkpoints that failed.", made.failed as f64);
    families.seconds("shingle_checkpoint_duration_seconds", "What making a checkpoint took.", &stats.checkpoint_micros);
    families.gauge(
        "shingle_checkpoint_last_duration_seconds",
        "What making the last checkpoint took; 0 if none was made yet.",
        made.last_duration_ms as f64 / 1e3,
    );
    families.gauge(
        "shingle_checkpoint_last_longest_commit_seconds",
        "The longest that a commit took while the last checkpoint was made.",
        seconds(made.last_longest_commit_micros.unwrap_or(0)),
    );
    families.gauge(
        "shingle_checkpoint_longest_commit_seconds",
        "The longest that a commit took while any checkpoint was made.",
        seconds(made.longest_commit_micros.unwrap_or(0)),
    );
    // Without a checkpoint it has no age: no alarm compares with what is not there.
    if let Some(newest) = &made.newest {
        let age_ms = now_ms().saturating_sub(newest.created_ms);
        families.gauge("shingle_checkpoint_age_seconds", "Age of the newest checkpoint.", age_ms as f64 / 1e3);
        let version = newest.version as f64;
        families.gauge("shingle_checkpoint_version", "Version of the newest checkpoint.", version);
        families.gauge("shingle_checkpoint_bytes", "Bytes of the newest checkpoint's files.", newest.bytes as f64);
        if let Some(block) = newest.block {
            families.gauge("shingle_checkpoint_height", "Height of the newest checkpoint.", block.height as f64);
        }
    }
}

/// Since the beginning of 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
