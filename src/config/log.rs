//! The commit log.

use super::ConfigError;
use super::bounds::check;
use serde::{Deserialize, Serialize};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The commit log: the one file that every commit is synced to, however many shards it touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Bytes of one preallocated segment of the log. Default 64 MiB; 1 MiB to 4 GiB.
    ///
    /// Segments are recycled once all that they hold is flushed, so a larger one holds disk space for longer.
    pub segment_bytes: u64,
    /// Milliseconds after which a `buffered` commit is synced at the latest. Default 5; 1 to 60 000.
    ///
    /// It bounds what a power cut may take from commits that were acknowledged as `buffered`; `sync` commits lose nothing.
    pub buffered_sync_ms: u64,
    /// Bytes that one batch may take in the log. Default 256 MiB; 64 KiB to 1 GiB.
    ///
    /// A batch is held in memory whole, so this belongs well below the memory that the node can spare.
    pub batch_bytes_max: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { segment_bytes: 64 * MIB, buffered_sync_ms: 5, batch_bytes_max: 256 * MIB }
    }
}

impl LogConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check("log.segment_bytes", "bytes", MIB..=4 * GIB, self.segment_bytes)?;
        check("log.buffered_sync_ms", "milliseconds", 1..=60_000, self.buffered_sync_ms)?;
        check("log.batch_bytes_max", "bytes", 64 * KIB..=GIB, self.batch_bytes_max)
    }
}
