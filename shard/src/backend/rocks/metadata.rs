//! How the index and the filter of a table of rows are laid out: whole while all of them fit the block cache, partitioned from then on.
//!
//! A whole filter answers in one look-up; but one that is not in the cache is read whole, 80 KiB for each 64 MiB of rows. Partitions are read
//! one by one, for a second look-up each. Tables of both layouts live side by side: compaction brings the newer one in.
//! See <https://github.com/facebook/rocksdb/wiki/Partitioned-Index-Filters>.

use super::error::classify;
use super::layout::VERSIONS;
use super::options::RocksOptions;
use super::shared::{RocksShared, Share};
use crate::Result;
use rocksdb::properties::{ESTIMATE_NUM_KEYS, TOTAL_SST_FILES_SIZE};
use rocksdb::{BlockBasedIndexType, BlockBasedOptions, BlockBasedTablePinningTier as Pin, DB, Options};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of tables for each byte of their indexes: one entry of about 40 bytes for each block of 4 KiB.
const TABLE_BYTES_PER_INDEX_BYTE: u64 = 100;

/// Bytes of tables for each byte of their filters, where the number of rows is not known yet: 10 bits for each row of 125 bytes.
const TABLE_BYTES_PER_FILTER_BYTE: u64 = 100;

/// The part of the block cache that whole indexes and filters, which are pinned there, may take.
const CACHE_PARTS: u64 = 2;

/// The layout of new tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metadata {
    /// One block of filter and one of index, pinned in the cache while the table is open.
    Whole,
    /// Blocks of 4 KiB under a pinned top level.
    Partitioned,
}

impl Metadata {
    pub(super) fn shape(self, table: &mut BlockBasedOptions) {
        match self {
            Metadata::Whole => table.set_unpartitioned_pinning_tier(Pin::All),
            Metadata::Partitioned => {
                table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
                table.set_partition_filters(true);
                table.set_top_level_index_pinning_tier(Pin::All);
            }
        }
    }
}

/// [`Metadata::Partitioned`] with the names that RocksDB's `SetOptions` knows.
const PARTITIONED: (&str, &str) = (
    "block_based_table_factory",
    "{partition_filters=true;index_type=kTwoLevelIndexSearch;\
     metadata_cache_options={top_level_index_pinning=kAll;unpartitioned_pinning=kFallback}}",
);

/// The options of the `versions` family, as they are for this instance now. The way leads from whole to partitioned, once.
pub(super) struct VersionsOptions {
    whole: Options,
    partitioned: Options,
    is_partitioned: AtomicBool,
    filter_bits_per_row: u64,
    share: Arc<Share>,
}

impl VersionsOptions {
    /// For the instance at `path`, before it is opened.
    pub(super) fn new(
        path: &Path,
        instance: &Options,
        options: &RocksOptions,
        shared: &RocksShared,
    ) -> std::io::Result<Self> {
        let share = Arc::clone(&shared.share);
        let tables = table_bytes(path)?;
        let metadata = tables / TABLE_BYTES_PER_INDEX_BYTE + tables / TABLE_BYTES_PER_FILTER_BYTE;
        Ok(VersionsOptions {
            whole: shared.versions_family(instance, options, Metadata::Whole),
            partitioned: shared.versions_family(instance, options, Metadata::Partitioned),
            is_partitioned: AtomicBool::new(metadata > whole_bytes_max(&share)),
            filter_bits_per_row: u64::from(options.bloom_filter_bits_per_key),
            share,
        })
    }

    pub(super) fn now(&self) -> &Options {
        if self.is_partitioned.load(Ordering::Relaxed) { &self.partitioned } else { &self.whole }
    }

    /// Looks whether the tables have outgrown the cache, before new ones are written. Of tiny rows, the filters are a tenth of the tables.
    pub(super) fn adapt(&self, db: &DB, path: &Path) -> Result<()> {
        if self.is_partitioned.load(Ordering::Relaxed) {
            return Ok(());
        }
        let family = super::family(db, VERSIONS);
        let property = |name| db.property_int_value_cf(family, name).map_err(|e| classify(path, &e));
        let tables = property(TOTAL_SST_FILES_SIZE)?.unwrap_or_default();
        let filters = property(ESTIMATE_NUM_KEYS)?.unwrap_or_default() * self.filter_bits_per_row / 8;
        if tables / TABLE_BYTES_PER_INDEX_BYTE + filters > whole_bytes_max(&self.share) {
            db.set_options_cf(family, &[PARTITIONED]).map_err(|e| classify(path, &e))?;
            self.is_partitioned.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Bytes of indexes and filters up to which they stay whole.
fn whole_bytes_max(share: &Share) -> u64 {
    share.cache_bytes() / CACHE_PARTS
}

fn table_bytes(path: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in path.read_dir()? {
        let entry = entry?;
        if Path::new(&entry.file_name()).extension().is_some_and(|extension| extension == "sst") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
