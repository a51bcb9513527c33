//! When memory is handed to the disk.

use super::ConfigError;
use super::bounds::check;
use serde::{Deserialize, Serialize};

/// When the shards' memory is flushed to their backends, and how much of it stays readable in memory afterwards.
///
/// Commits are durable before any flush: the commit log holds them. Flushing shortens recovery and frees log segments. Memory that
/// runs full is flushed in any case, whatever stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlushConfig {
    /// Seconds between two flushes. Default 60; 0 to 86 400, where 0 means never by the clock.
    ///
    /// A shorter interval shortens recovery, a longer one merges more overwrites of a key before they reach the disk.
    pub interval_secs: u64,
    /// Blocks after which a flush begins, whatever the clock says. Default 100; 0 to 1 000 000, where 0 means never by blocks.
    pub blocks_per_flush: u64,
    /// How many of the newest versions stay readable in memory after they were flushed, as far as the memory budget has room.
    /// Default 10; 0 to 1 000 000 000.
    ///
    /// A node that reads what it wrote a few blocks ago wants at least as many as it has commits in those blocks.
    pub keep_recent_versions: u64,
    /// Whether what recovery found in the log is flushed as soon as the store is open. Default false.
    ///
    /// It makes the next recovery short, at the cost of writing right after the start.
    pub flush_on_start: bool,
}

impl Default for FlushConfig {
    fn default() -> Self {
        FlushConfig { interval_secs: 60, blocks_per_flush: 100, keep_recent_versions: 10, flush_on_start: false }
    }
}

impl FlushConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check("flush.interval_secs", "seconds", 0..=86_400, self.interval_secs)?;
        check("flush.blocks_per_flush", "blocks", 0..=1_000_000, self.blocks_per_flush)?;
        check("flush.keep_recent_versions", "versions", 0..=1_000_000_000, self.keep_recent_versions)
    }
}
