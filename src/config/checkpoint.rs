//! Checkpoints by the number of blocks.

use super::ConfigError;
use super::bounds::check;
use serde::{Deserialize, Serialize};

/// When a checkpoint is made by itself, and how many of those stay. Ones that were made by name stay until they are deleted.
///
/// A checkpoint shares its files with the store when it is made. It takes room of its own as compaction replaces the store's, which it keeps: in the
/// long run about what was compacted since the oldest one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Blocks after which a checkpoint is made. Default 1000; 0 to 1 000 000 000, where 0 means never.
    pub snapshot_interval: u64,
    /// How many of them are kept, the newest ones. Default 10; 1 to 10 000.
    pub keep_recent: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        CheckpointConfig { snapshot_interval: 1000, keep_recent: 10 }
    }
}

impl CheckpointConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check("checkpoint.snapshot_interval", "blocks", 0..=1_000_000_000, self.snapshot_interval)?;
        check("checkpoint.keep_recent", "checkpoints", 1..=10_000, self.keep_recent)
    }
}
