//! Which versions go, and when.

use super::ConfigError;
use super::bounds::check;
use serde::{Deserialize, Serialize};
use shingle_router::{PruneSettings, Retention};
use std::time::Duration;

/// What a store prunes by itself, and what no pruning touches.
///
/// Each limit that is not 0 is one: what one of them lets go, goes. Snapshots that are open, the newest block and the window for reorganisations stay in any
/// case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PruneConfig {
    /// Whether the store prunes by itself, in a thread of its own. Default false: then nothing goes but by hand.
    pub background: bool,
    /// How many versions of a key stay at most. Default 10; 0 to 1 000 000 000, where 0 means no limit.
    ///
    /// All keys share one oldest readable version: the key with the most versions decides how high it is, and what lies below goes for every key. So where a
    /// key is written by every commit, this is the number of commits that stay readable.
    pub max_versions_per_key: u64,
    /// Seconds for which a version stays readable after the next one, by the blocks' timestamps: the window ends at the newest block. Default 3600; 0 to
    /// 3 155 760 000 (a hundred years), where 0 means no limit. Without blocks it has no meaning.
    pub version_ttl_secs: u64,
    /// How many of the newest blocks stay. Default 0, which means no limit; at most 1 000 000 000 000.
    pub keep_blocks: u64,
    /// Seconds from one pruning to the next. Default 60, 1 to 86 400.
    pub interval_secs: u64,
    /// How many versions must have been committed since the last pruning before the next one is worth its while. Default 1000, 1 to 1 000 000 000.
    pub version_threshold: u64,
    /// Whether the first pruning begins as soon as the store is open, and not an interval later. Default false.
    pub prune_on_start: bool,
    /// How many of the newest blocks a rollback can always take back, whatever is pruned, by hand or not. Default 64, two of Ethereum's epochs, after which its
    /// blocks are final; 0 to 1 000 000 000.
    pub reorg_window_blocks: u64,
}

impl Default for PruneConfig {
    fn default() -> Self {
        PruneConfig {
            background: false,
            max_versions_per_key: 10,
            version_ttl_secs: 3600,
            keep_blocks: 0,
            interval_secs: 60,
            version_threshold: 1000,
            prune_on_start: false,
            reorg_window_blocks: 64,
        }
    }
}

impl PruneConfig {
    /// What its limits keep.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let limit = |limit: u64| Some(limit).filter(|&limit| limit > 0);
        Retention {
            versions_per_key: limit(self.max_versions_per_key),
            blocks: limit(self.keep_blocks),
            window: limit(self.version_ttl_secs).map(Duration::from_secs),
            below_height: None,
        }
    }

    pub(super) fn settings(&self) -> PruneSettings {
        PruneSettings {
            background: self.background,
            retention: self.retention(),
            interval: Duration::from_secs(self.interval_secs),
            version_threshold: self.version_threshold,
            prune_on_start: self.prune_on_start,
            reorg_window_blocks: self.reorg_window_blocks,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check("prune.max_versions_per_key", "versions", 0..=1_000_000_000, self.max_versions_per_key)?;
        check("prune.version_ttl_secs", "seconds", 0..=3_155_760_000, self.version_ttl_secs)?;
        check("prune.keep_blocks", "blocks", 0..=1_000_000_000_000, self.keep_blocks)?;
        check("prune.interval_secs", "seconds", 1..=86_400, self.interval_secs)?;
        check("prune.version_threshold", "versions", 1..=1_000_000_000, self.version_threshold)?;
        check("prune.reorg_window_blocks", "blocks", 0..=1_000_000_000, self.reorg_window_blocks)
    }
}
