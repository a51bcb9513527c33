//! What the RocksDB instances of one store share, so that its cost does not grow with the number of shards.

use super::error::classify;
use super::layout::PREFIX_EXTRACTOR;
use super::metadata::Metadata;
use super::options::RocksOptions;
use super::presence;
use super::row::split_row_key;
use crate::Result;
use rocksdb::{BlockBasedOptions, Cache, ChecksumType, DBRecoveryMode, Env, LogLevel, Options, SliceTransform};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Open files that a shard needs to work at all, however many share the budget.
const OPEN_FILES_PER_SHARD_MIN: u32 = 32;

/// Bytes of RocksDB's own log before it rolls, and how many of them stay.
const INFO_LOG_BYTES_MAX: usize = 1 << 20;
const INFO_LOGS_KEPT: usize = 2;

/// The meta family holds three small entries: its memtable and log stay small with it.
const META_MEMTABLE_BYTES: usize = 64 << 10;
const WAL_BYTES_MAX: u64 = 1 << 20;

/// Files are synced in steps of this size while they are written, lest their last sync stalls others.
const BYTES_PER_SYNC: u64 = 1 << 20;

/// One block of `changes` holds a few parts.
const CHANGES_BLOCK_BYTES: usize = 16 << 10;

/// RocksDB's default is 4 MiB for each instance, at each opening, most of which is given back when the instance is closed.
const MANIFEST_PREALLOCATION_BYTES: usize = 64 << 10;

/// Write stalls are the router's to impose: RocksDB's would hold up the mark of a flush, but not the flush.
const NEVER: i32 = i32::MAX;

/// The block cache, the background threads, the rate limiter and the budget of open files of one store. The threads are
/// the process's: another store in it sets their number anew.
pub struct RocksShared {
    /// Copied for each instance; copies share the environment and the rate limiter.
    base: Options,
    cache: Cache,
    pub(super) share: Arc<Share>,
    /// Taken by the instance that reads its rows to fill its filter.
    pub(super) presence_turn: Arc<presence::Turn>,
}

/// What each instance has of what all share, as long as there are so many.
#[derive(Debug)]
pub(super) struct Share {
    cache_bytes: u64,
    max_open_files: AtomicU32,
    shards: AtomicU32,
}

impl Share {
    fn shards(&self) -> u32 {
        self.shards.load(Ordering::Relaxed).max(1)
    }

    /// Of the block cache, if all use it alike.
    pub(super) fn cache_bytes(&self) -> u64 {
        self.cache_bytes / u64::from(self.shards())
    }

    /// Of the budget of open files.
    pub(super) fn open_files(&self) -> u32 {
        (self.max_open_files.load(Ordering::Relaxed) / self.shards()).max(OPEN_FILES_PER_SHARD_MIN)
    }
}

impl fmt::Debug for RocksShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksShared").field("block_cache_bytes", &self.block_cache_bytes()).finish_non_exhaustive()
    }
}

impl RocksShared {
    /// Makes what `shards` instances with these options share. Refuses options that are out of their bounds.
    pub fn new(options: &RocksOptions, shards: usize) -> Result<Self> {
        options.validate()?;
        let jobs = options.max_background_jobs as i32;
        let mut env = Env::new().map_err(|e| classify(Path::new("RocksDB's environment"), &e))?;
        // State is ingested, so nearly all background work is compaction: it may use every thread. Flushes are the meta
        // family's, rare and tiny.
        env.set_low_priority_background_threads(jobs);
        env.set_high_priority_background_threads(1);

        let block_cache_bytes = options.block_cache_size - options.block_cache_size / presence::CACHE_PARTS;
        let shards = AtomicU32::new(u32::try_from(shards).unwrap_or(u32::MAX));
        let share = Share { cache_bytes: block_cache_bytes, max_open_files: options.max_open_files.into(), shards };

        let mut base = Options::default();
        base.set_env(&env);
        base.set_max_background_jobs(jobs);
        // RocksDB starts this many for each family of each instance, to open what is at most a handful of files. Shards are
        // opened in parallel already.
        base.set_max_file_opening_threads(1);
        base.set_manifest_preallocation_size(MANIFEST_PREALLOCATION_BYTES);
        base.set_paranoid_checks(true);
        base.set_bytes_per_sync(BYTES_PER_SYNC);
        // The mark must never go back unnoticed: only a record that was cut short may be missing from the log, and no old
        // record may lie behind the newest.
        base.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        base.set_recycle_log_file_num(0);
        base.set_wal_bytes_per_sync(0);
        base.set_max_total_wal_size(WAL_BYTES_MAX);
        base.set_keep_log_file_num(INFO_LOGS_KEPT);
        base.set_max_log_file_size(INFO_LOG_BYTES_MAX);
        base.set_log_level(LogLevel::Warn);
        base.set_stats_dump_period_sec(0);
        base.set_stats_persist_period_sec(0);
        if let Some(rate) = options.rate_limit_bytes_per_sec {
            const REFILL_PERIOD_US: i64 = 100_000;
            const FAIRNESS: i32 = 10;
            base.set_ratelimiter(i64::try_from(rate).unwrap_or(i64::MAX), REFILL_PERIOD_US, FAIRNESS);
        }
        let cache = Cache::new_hyper_clock_cache(block_cache_bytes as usize, 0);
        Ok(RocksShared { base, cache, share: Arc::new(share), presence_turn: Arc::default() })
    }

    /// There are so many instances from now on, which may hold so many files open together. Those that are open keep the size of their filter in memory, and change their number of open
    /// files with [`Backend::share_anew`](crate::backend::Backend::share_anew).
    pub fn set_shards(&self, shards: usize, max_open_files: u32) {
        self.share.max_open_files.store(max_open_files, Ordering::Relaxed);
        self.share.shards.store(u32::try_from(shards).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Bytes that the block cache holds now.
    #[must_use]
    pub fn block_cache_bytes(&self) -> u64 {
        self.cache.get_usage() as u64
    }

    /// Options of one instance; statistics are its own.
    pub(super) fn instance(&self, options: &RocksOptions) -> Options {
        let mut instance = self.base.clone();
        instance.set_max_open_files(self.share.open_files() as i32);
        if options.enable_statistics {
            instance.enable_statistics();
        }
        instance
    }

    pub(super) fn meta_family(&self) -> Options {
        let mut family = self.base.clone();
        family.set_write_buffer_size(META_MEMTABLE_BYTES);
        family.set_block_based_table_factory(&self.table());
        family
    }

    /// `instance` is what [`RocksShared::instance`] made: files written with it count in its statistics.
    pub(super) fn versions_family(&self, instance: &Options, options: &RocksOptions, metadata: Metadata) -> Options {
        let mut table = self.table();
        table.set_bloom_filter(f64::from(options.bloom_filter_bits_per_key), false);
        // A read knows the key but not the version that it will find: filters hold the key alone.
        table.set_whole_key_filtering(false);
        table.set_optimize_filters_for_memory(true);
        metadata.shape(&mut table);
        let mut family = self.data_family(instance, options, &table);
        family.set_prefix_extractor(SliceTransform::create(
            PREFIX_EXTRACTOR,
            |row_key| split_row_key(row_key).map_or(row_key, |(prefix, _)| prefix),
            Some(|row_key| split_row_key(row_key).is_some()),
        ));
        family
    }

    pub(super) fn changes_family(&self, instance: &Options, options: &RocksOptions) -> Options {
        let mut table = self.table();
        table.set_block_size(CHANGES_BLOCK_BYTES);
        self.data_family(instance, options, &table)
    }

    fn data_family(&self, instance: &Options, options: &RocksOptions, table: &BlockBasedOptions) -> Options {
        let mut family = instance.clone();
        family.set_block_based_table_factory(table);
        family.set_compression_type(options.compression_type.to_rocks());
        family.set_bottommost_compression_type(options.compression_type.to_rocks());
        family.set_write_buffer_size(options.write_buffer_size as usize);
        family.set_max_write_buffer_number(options.max_write_buffer_number as i32);
        if let Some(to_merge) = options.min_write_buffer_number_to_merge {
            family.set_min_write_buffer_number_to_merge(to_merge as i32);
        }
        family.set_target_file_size_base(options.target_file_size_base);
        family.set_max_bytes_for_level_base(options.max_bytes_for_level_base);
        family.set_level_compaction_dynamic_level_bytes(true);
        family.set_level_zero_file_num_compaction_trigger(options.level0_file_num_compaction_trigger as i32);
        family.set_level_zero_slowdown_writes_trigger(NEVER);
        family.set_level_zero_stop_writes_trigger(NEVER);
        family.set_soft_pending_compaction_bytes_limit(0);
        family.set_hard_pending_compaction_bytes_limit(0);
        family
    }

    /// The format version stays RocksDB's default, the newest that it recommends.
    fn table(&self) -> BlockBasedOptions {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_checksum_type(ChecksumType::XXH3);
        // Memory for indexes and filters comes out of the block cache, so that its size bounds them.
        table.set_cache_index_and_filter_blocks(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table
    }
}
