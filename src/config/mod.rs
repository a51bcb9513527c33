//! The settings of a store: by builder, by file, or from a preset.

mod bounds;
mod checkpoint;
mod error;
mod file;
mod flush;
mod log;
mod preset;
mod prune;
#[cfg(test)]
mod tests;

pub use checkpoint::CheckpointConfig;
pub use error::ConfigError;
pub use flush::FlushConfig;
pub use log::LogConfig;
pub use preset::Preset;
pub use prune::PruneConfig;
pub use shingle_shard::backend::{Compression, RocksOptions};

use serde::{Deserialize, Serialize};
use shingle_router::Durability;
use std::path::Path;
use std::time::Duration;

/// Every setting of a store that may change from one opening to the next. What is fixed when a store is made (shards, slots,
/// routing key, directories) is the [`Builder`](crate::Builder)'s.
///
/// As a file, with any setting left out:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("shingle.toml");
/// # std::fs::write(&path, r#"
/// preset = "medium"           # light, medium, high, extreme or production; what the file does not set comes from it
/// durability = "sync"         # or "buffered"
///
/// [rocksdb]
/// block_cache_size = 536870912
///
/// [flush]
/// interval_secs = 30
///
/// [log]
/// segment_bytes = 134217728
/// # "#)?;
/// # let config = shingle::Config::from_file(&path)?;
/// # assert_eq!((config.rocksdb.write_buffer_size, config.rocksdb.block_cache_size), (128 << 20, 512 << 20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Memory
/// Sizes are those of the whole process, however many shards the store has: `write_buffer_size` × `max_write_buffer_number` is the
/// budget of all memtables together, `block_cache_size` and `row_cache_size` are caches that all shards share, `max_open_files` is divided among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How durable a commit is when it is acknowledged, unless its batch asks for something else. Default `sync`.
    pub durability: Durability,
    /// Bytes of rows that were read from the disk and stay in memory, of all shards together. Default 8 MiB, at most 16 TiB; 0 keeps none. A row here costs a
    /// read a tenth of what it costs in the block cache; room for the rows that are read often is worth more here than there.
    pub row_cache_size: u64,
    /// The memtables and the RocksDB instances.
    pub rocksdb: RocksOptions,
    /// When memory is handed to the disk.
    pub flush: FlushConfig,
    /// Which versions go, and when.
    pub prune: PruneConfig,
    /// The commit log.
    pub log: LogConfig,
    /// Checkpoints by the number of blocks.
    pub checkpoint: CheckpointConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            durability: Durability::default(),
            row_cache_size: 8 << 20,
            rocksdb: RocksOptions::default(),
            flush: FlushConfig::default(),
            prune: PruneConfig::default(),
            log: LogConfig::default(),
            checkpoint: CheckpointConfig::default(),
        }
    }
}

impl Config {
    /// Reads a `.toml` or `.json` file and validates it.
    ///
    /// # Errors
    /// The file cannot be read, has another extension, does not parse, has a field that is not known, or a value out of its bound.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let config = file::read(path.as_ref())?;
        config.validate()?;
        Ok(config)
    }

    /// [`Preset::Light`]: under 1 000 transactions a second.
    #[must_use]
    pub fn light() -> Self {
        Preset::Light.into()
    }

    /// [`Preset::Medium`]: 1 000–10 000 transactions a second.
    #[must_use]
    pub fn medium() -> Self {
        Preset::Medium.into()
    }

    /// [`Preset::High`]: 10 000–100 000 transactions a second.
    #[must_use]
    pub fn high() -> Self {
        Preset::High.into()
    }

    /// [`Preset::Extreme`]: over 100 000 transactions a second, with many shards.
    #[must_use]
    pub fn extreme() -> Self {
        Preset::Extreme.into()
    }

    /// [`Preset::Production`].
    #[must_use]
    pub fn production() -> Self {
        Preset::Production.into()
    }

    /// Bytes that all memtables of all shards may take together.
    #[must_use]
    pub fn memtable_bytes(&self) -> u64 {
        self.rocksdb.write_buffer_size.saturating_mul(u64::from(self.rocksdb.max_write_buffer_number))
    }

    /// Bytes that all memtables of all shards reach together before the largest is flushed.
    fn flush_bytes(&self) -> u64 {
        let to_merge = self.rocksdb.min_write_buffer_number_to_merge.unwrap_or(1);
        self.rocksdb.write_buffer_size.saturating_mul(u64::from(to_merge))
    }

    /// What the router reads of it.
    pub(crate) fn router(&self) -> shingle_router::Options {
        shingle_router::Options {
            durability: self.durability,
            batch_bytes_max: self.log.batch_bytes_max as usize,
            buffered_sync: Duration::from_millis(self.log.buffered_sync_ms),
            segment_bytes: self.log.segment_bytes,
            write_buffer_bytes: self.flush_bytes(),
            memory_budget_bytes: self.memtable_bytes(),
            row_cache_bytes: self.row_cache_size,
            keep_recent_versions: self.flush.keep_recent_versions,
            flush_interval: Some(self.flush.interval_secs).filter(|&secs| secs > 0).map(Duration::from_secs),
            blocks_per_flush: Some(self.flush.blocks_per_flush).filter(|&blocks| blocks > 0),
            flush_on_start: self.flush.flush_on_start,
            checkpoint_interval: Some(self.checkpoint.snapshot_interval).filter(|&blocks| blocks > 0),
            checkpoints_kept: self.checkpoint.keep_recent as usize,
            prune: self.prune.settings(),
        }
    }

    /// Refuses a value out of its bound, and settings that contradict each other. Opening a store does it too.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] names the first setting that is wrong, its bound and what was given.
    pub fn validate(&self) -> Result<(), ConfigError> {
        bounds::check("row_cache_size", "bytes", 0..=16 << 40, self.row_cache_size)?;
        self.rocksdb.validate()?;
        self.flush.validate()?;
        self.prune.validate()?;
        self.log.validate()?;
        self.checkpoint.validate()
    }
}
