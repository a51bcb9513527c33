//! What a pruning tells of itself.

use shingle_shard::Version;
use std::time::Duration;

/// How a pruning goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Nothing is removed, and the floor stays: what would go is counted. Memory is flushed as far as that takes.
    pub dry_run: bool,
    /// Afterwards, files of which much was removed are rewritten, so that their space comes back now and not with the next compactions.
    pub compact: bool,
}

/// Why the floor is not where a retention wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum PruneHold {
    /// An open snapshot sees what would go.
    Snapshot {
        /// The oldest such snapshot.
        version: Version,
        /// How long one has been open at this version, in milliseconds.
        open_ms: u64,
    },
    /// The newest blocks must stay, so that a reorganisation can take them back.
    ReorgWindow {
        /// How many blocks.
        blocks: u64,
    },
    /// The newest block, or in a store without blocks the newest version, always stays readable.
    Newest,
    /// A rebalancing is under way.
    Rebalance,
    /// A rollback is on its way.
    Rollback {
        /// The version that it goes back to.
        to: Version,
    },
}

/// Bytes on disk, of all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Space {
    /// Bytes of live data, as the engines estimate them.
    pub logical_bytes: u64,
    /// Bytes of all files.
    pub physical_bytes: u64,
}

/// What a pruning did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pruned {
    /// Whether nothing was removed, only counted.
    pub dry_run: bool,
    /// The floor before.
    pub floor_before: Version,
    /// The floor now; of a dry run, where it would be.
    pub floor: Version,
    /// The height of the oldest block that can be read then; `None`: there is no block.
    pub floor_height: Option<u64>,
    /// The floor that the retention asks for.
    pub wanted: Version,
    /// What keeps the floor below the wanted one; `None`: nothing.
    pub held_back: Option<PruneHold>,
    /// Versions of keys removed, tombstones among them.
    pub versions: u64,
    /// Keys of which a version was removed.
    pub keys: u64,
    /// Bytes of the keys and values of these versions.
    pub bytes: u64,
    /// Entries of the index of changes removed.
    pub changes: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Bytes on disk before.
    pub before: Space,
    /// Bytes on disk afterwards.
    pub after: Space,
}

/// How far a pruning is.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PruneProgress {
    /// The floor to which it prunes.
    pub floor: Version,
    /// Versions of keys removed so far, over all shards.
    pub versions: u64,
    /// Keys of which a version was removed so far.
    pub keys: u64,
    /// Bytes of the keys and values of these versions.
    pub bytes: u64,
    /// Entries of the index of changes that it went through.
    pub changes: u64,
    /// Which part of the versions below the floor it has gone through, from 0 to 1.
    pub fraction: f64,
    /// How long it has taken so far, in milliseconds.
    pub elapsed_ms: u64,
    /// How long it will still take, estimated.
    pub remaining_ms: Option<u64>,
}

impl PruneProgress {
    pub(super) fn estimate(&mut self, elapsed: Duration) {
        self.elapsed_ms = elapsed.as_millis() as u64;
        let rest = elapsed.mul_f64((1.0 - self.fraction).max(0.0) / self.fraction.max(0.001));
        self.remaining_ms = (self.fraction > 0.0).then_some(rest.as_millis() as u64);
    }
}

/// Figures of all prunings since the store was opened.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PruneStats {
    /// Whether the store prunes by itself.
    pub background: bool,
    /// Prunings that were completed.
    pub runs: u64,
    /// Prunings that failed.
    pub failed: u64,
    /// Versions of keys removed.
    pub versions: u64,
    /// Keys of which a version was removed, counted anew by each pruning.
    pub keys: u64,
    /// Bytes of the keys and values of these versions.
    pub bytes: u64,
    /// How long prunings took, in microseconds.
    pub micros: u64,
    /// The floor that the last retention asked for; where the store prunes by itself, the one that its retention asks for by now, as far as blocks and
    /// time give it.
    pub wanted: Version,
    /// What kept the floor below that.
    pub held_back: Option<PruneHold>,
    /// The version through which every shard is pruned.
    pub pruned_through: Version,
    /// How many versions that is below the wanted floor.
    pub lag_versions: u64,
    /// Blocks below the wanted floor that can still be read.
    pub lag_blocks: u64,
    /// The pruning under way.
    pub progress: Option<PruneProgress>,
    /// Why the last pruning failed; it is tried again.
    pub failure: Option<String>,
}
