//! What RocksDB says of itself.

use super::RocksBackend;
use super::layout::{CHANGES, VERSIONS};
use crate::backend::{BackendStats, EngineCounts, Pressure};
use rocksdb::properties::{
    BLOCK_CACHE_USAGE, CURRENT_SUPER_VERSION_NUMBER, ESTIMATE_LIVE_DATA_SIZE, ESTIMATE_NUM_KEYS,
    ESTIMATE_PENDING_COMPACTION_BYTES, NUM_IMMUTABLE_MEM_TABLE, SIZE_ALL_MEM_TABLES, TOTAL_SST_FILES_SIZE,
    num_files_at_level,
};
use rocksdb::{CStrLike, statistics::Ticker};
use std::sync::atomic::Ordering;

pub(super) fn stats(backend: &RocksBackend) -> BackendStats {
    release_old_files(backend);
    let Pressure { level0_files, pending_compaction_bytes } = pressure(backend);
    let of_both = |name| property(backend, VERSIONS, name) + property(backend, CHANGES, name);
    let ticker = |ticker| backend.instance_options.get_ticker_count(ticker);
    BackendStats {
        rows_estimate: property(backend, VERSIONS, ESTIMATE_NUM_KEYS),
        live_bytes: of_both(ESTIMATE_LIVE_DATA_SIZE),
        changes_bytes: property(backend, CHANGES, ESTIMATE_LIVE_DATA_SIZE),
        file_bytes: of_both(TOTAL_SST_FILES_SIZE),
        level0_files,
        pending_compaction_bytes,
        immutable_memtables: of_both(NUM_IMMUTABLE_MEM_TABLE),
        memtable_bytes: of_both(SIZE_ALL_MEM_TABLES),
        block_cache_bytes: property(backend, VERSIONS, BLOCK_CACHE_USAGE),
        counted: backend.statistics.then(|| EngineCounts {
            block_cache_hits: ticker(Ticker::BlockCacheHit),
            block_cache_misses: ticker(Ticker::BlockCacheMiss),
            compaction_cpu_micros: ticker(Ticker::CompactionCpuTotalTime),
            write_stall_micros: ticker(Ticker::StallMicros),
        }),
    }
}

pub(super) fn pressure(backend: &RocksBackend) -> Pressure {
    release_old_files(backend);
    Pressure {
        level0_files: property(backend, VERSIONS, num_files_at_level(0)),
        pending_compaction_bytes: property(backend, VERSIONS, ESTIMATE_PENDING_COMPACTION_BYTES),
    }
}

/// A compaction leaves files that idle iterators keep from being deleted: whoever watches the pressure lets them go.
pub(super) fn release_old_files(backend: &RocksBackend) {
    let now = property(backend, VERSIONS, CURRENT_SUPER_VERSION_NUMBER)
        + property(backend, CHANGES, CURRENT_SUPER_VERSION_NUMBER);
    if backend.super_versions.swap(now, Ordering::Relaxed) != now {
        backend.renew_iterators();
    }
}

/// A figure of one family; 0 where RocksDB has none.
fn property(backend: &RocksBackend, family: &str, name: impl CStrLike) -> u64 {
    backend.db.property_int_value_cf(super::family(&backend.db, family), name).ok().flatten().unwrap_or_default()
}
