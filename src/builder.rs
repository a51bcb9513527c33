//! How a store is opened or made.

use crate::Database;
use crate::config::{Compression, Config};
use shingle_router::{Durability, OpenOptions, Recover, Result, RoutingKey, Store};
use std::path::PathBuf;

/// Collects what a store is opened with. What is not set is as the store was made, or the default for a new one.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use shingle::{Config, Database};
///
/// let db = Database::builder(dir.path().join("state"))
///     .shards(4)
///     .config(Config::medium())
///     .with_block_cache_size(512 << 20)
///     .open()?;
/// # db.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it opens the store"]
pub struct Builder {
    path: PathBuf,
    options: OpenOptions,
    config: Config,
}

/// What is fixed when the store is made. Opening it with another value is refused.
impl Builder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Builder { path, options: OpenOptions::default(), config: Config::default() }
    }

    /// How many shards the store has, 1 to 1024. A new store has 8 unless this says otherwise.
    pub fn shards(mut self, shards: usize) -> Self {
        self.options.shards = Some(shards);
        self
    }

    /// How many slots keys are hashed to: the grain in which they can be spread over shards. Default 4096; from the number of
    /// shards to 1 048 576.
    pub fn slots(mut self, slots: u32) -> Self {
        self.options.slots = Some(slots);
        self
    }

    /// Which part of a key decides its shard. Default [`RoutingKey::Whole`]; with [`RoutingKey::Prefix`], keys that share
    /// their first bytes, at least one, live on one shard and are scanned there.
    pub fn routing_key(mut self, routing_key: RoutingKey) -> Self {
        self.options.routing_key = Some(routing_key);
        self
    }

    /// Directories, on several disks for instance, over which a new store's shards are spread in turn. Default: `shards` in the store's own.
    pub fn shard_dirs(mut self, dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        self.options.shard_dirs = dirs.into_iter().collect();
        self
    }

    /// The directory of a new store's commit log, on a disk of its own for instance. Default: `log` in the store's own.
    pub fn log_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.options.log_dir = Some(dir.into());
        self
    }
}

/// How this opening behaves.
impl Builder {
    /// Whether a store is made where there is none. Default true; false refuses a directory that is not a store.
    pub fn create_if_missing(mut self, create: bool) -> Self {
        self.options.create_if_missing = create;
        self
    }

    /// Opens a store whose commit log is damaged at the last version before the damage, and cuts off for good what came after. Default
    /// false: damage is an error that names this version. To be decided by a person who has read that error.
    pub fn recover_to_last_good(mut self, recover: bool) -> Self {
        self.options.recover = if recover { Recover::ToLastGood } else { Recover::Strict };
        self
    }

    /// All settings at once, from a file or a preset for instance. Call it before the `with_*` methods: it replaces what they set.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How durable a commit is when it is acknowledged. Default [`Durability::Sync`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.config.durability = durability;
        self
    }
}

macro_rules! with {
    ($($(#[doc = $doc:literal])+ $method:ident($($path:ident).+: $type:ty);)+) => {
        /// One setting each; [`Config`] says what it means, its default and its bound.
        impl Builder {
            $(
                $(#[doc = $doc])+
                pub fn $method(mut self, value: $type) -> Self {
                    self.config.$($path).+ = value.into();
                    self
                }
            )+
        }
    };
}

with! {
    /// Sets `rocksdb.max_open_files`.
    with_max_open_files(rocksdb.max_open_files: u32);
    /// Sets `rocksdb.write_buffer_size`, in bytes.
    with_write_buffer_size(rocksdb.write_buffer_size: u64);
    /// Sets `rocksdb.max_write_buffer_number`.
    with_max_write_buffer_number(rocksdb.max_write_buffer_number: u32);
    /// Sets `rocksdb.min_write_buffer_number_to_merge`.
    with_min_write_buffer_number_to_merge(rocksdb.min_write_buffer_number_to_merge: u32);
    /// Sets `rocksdb.target_file_size_base`, in bytes.
    with_target_file_size_base(rocksdb.target_file_size_base: u64);
    /// Sets `rocksdb.max_background_jobs`.
    with_max_background_jobs(rocksdb.max_background_jobs: u32);
    /// Sets `rocksdb.block_cache_size`, in bytes.
    with_block_cache_size(rocksdb.block_cache_size: u64);
    /// Sets `row_cache_size`, in bytes.
    with_row_cache_size(row_cache_size: u64);
    /// Sets `rocksdb.bloom_filter_bits_per_key`.
    with_bloom_filter_bits_per_key(rocksdb.bloom_filter_bits_per_key: u32);
    /// Sets `rocksdb.level0_file_num_compaction_trigger`.
    with_level0_file_num_compaction_trigger(rocksdb.level0_file_num_compaction_trigger: u32);
    /// Sets `rocksdb.max_bytes_for_level_base`, in bytes.
    with_max_bytes_for_level_base(rocksdb.max_bytes_for_level_base: u64);
    /// Sets `rocksdb.compression_type`.
    with_compression_type(rocksdb.compression_type: Compression);
    /// Sets `rocksdb.enable_statistics`.
    with_enable_statistics(rocksdb.enable_statistics: bool);
    /// Sets `rocksdb.rate_limit_bytes_per_sec`.
    with_rate_limit_bytes_per_sec(rocksdb.rate_limit_bytes_per_sec: u64);
    /// Sets `flush.interval_secs`.
    with_flush_interval_secs(flush.interval_secs: u64);
    /// Sets `flush.blocks_per_flush`.
    with_blocks_per_flush(flush.blocks_per_flush: u64);
    /// Sets `flush.keep_recent_versions`.
    with_keep_recent_versions(flush.keep_recent_versions: u64);
    /// Sets `flush.flush_on_start`.
    with_flush_on_start(flush.flush_on_start: bool);
    /// Sets `checkpoint.snapshot_interval`.
    with_snapshot_interval(checkpoint.snapshot_interval: u64);
    /// Sets `checkpoint.keep_recent`.
    with_keep_recent(checkpoint.keep_recent: u64);
    /// Sets `prune.background`.
    with_background_pruning(prune.background: bool);
    /// Sets `prune.max_versions_per_key`.
    with_max_versions_per_key(prune.max_versions_per_key: u64);
    /// Sets `prune.version_ttl_secs`.
    with_version_ttl_secs(prune.version_ttl_secs: u64);
    /// Sets `prune.keep_blocks`.
    with_keep_blocks(prune.keep_blocks: u64);
    /// Sets `prune.interval_secs`.
    with_prune_interval_secs(prune.interval_secs: u64);
    /// Sets `prune.version_threshold`.
    with_prune_version_threshold(prune.version_threshold: u64);
    /// Sets `prune.prune_on_start`.
    with_prune_on_start(prune.prune_on_start: bool);
    /// Sets `prune.reorg_window_blocks`.
    with_reorg_window_blocks(prune.reorg_window_blocks: u64);
    /// Sets `log.segment_bytes`.
    with_log_segment_bytes(log.segment_bytes: u64);
    /// Sets `log.buffered_sync_ms`.
    with_buffered_sync_ms(log.buffered_sync_ms: u64);
    /// Sets `log.batch_bytes_max`.
    with_batch_bytes_max(log.batch_bytes_max: u64);
}

/// Opening.
impl Builder {
    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// By [`ErrorKind`](crate::ErrorKind): `InvalidArgument` for a setting out of bounds, or a directory that holds something else; `Mismatch` for a
    /// store that was made otherwise; `NotAStore` if there is none and none is to be made; `Locked` while another process has it open;
    /// `Damaged`; `TooManyOpenFiles`; `NoSpace`; `Io`. Nothing on disk is changed then.
    pub fn open(self) -> Result<Database> {
        let (path, options) = self.checked()?;
        Store::open(&path, options).map(Database::new)
    }

    /// Makes a store that lives in memory and is gone when it is closed. The path is not used.
    ///
    /// # Errors
    /// `InvalidArgument` for a setting out of bounds.
    pub fn in_memory(self) -> Result<Database> {
        Store::in_memory(&self.checked()?.1).map(Database::new)
    }

    /// The path, and what the router opens it with. [`OpenOptions`] is the router's side of a builder, and knows no configuration.
    fn checked(self) -> Result<(PathBuf, OpenOptions)> {
        self.config.validate()?;
        let router = self.config.router();
        Ok((self.path, OpenOptions { rocks: self.config.rocksdb, router, ..self.options }))
    }
}
