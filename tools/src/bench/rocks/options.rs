//! RocksDB as its guide (wiki: "Setup Options and Basic Tuning", "RocksDB Tuning Guide") advises for durable updates and point reads.

use crate::args::{BenchOptions, DurabilityArg};
use crate::bench::shingle::WRITE_BUFFERS;
use crate::units;
use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DataBlockIndexType, Options};

/// Bits of bloom filter per key: one per cent of false positives.
const BLOOM_BITS: f64 = 10.0;

/// Entries per bucket of the hash index in data blocks, as its introduction advises.
const HASH_RATIO: f64 = 0.75;

const BLOCK_BYTES: usize = 4 << 10;
const BYTES_PER_SYNC: u64 = 1 << 20;

/// Level 1 is as large as level 0 when its compaction begins: four flushed memtables.
const LEVEL0_TRIGGER: i32 = 4;

/// What bloom filters are built over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    WholeKeys,
    Prefix,
}

pub(super) fn options(bench: &BenchOptions, filter: Filter) -> Options {
    let write_buffer_bytes = bench.memtables / u64::from(WRITE_BUFFERS);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(write_buffer_bytes as usize);
    options.set_max_write_buffer_number(WRITE_BUFFERS as i32);
    options.set_max_background_jobs(bench.jobs as i32);
    options.set_bytes_per_sync(BYTES_PER_SYNC);
    options.set_enable_pipelined_write(true);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_level_zero_file_num_compaction_trigger(LEVEL0_TRIGGER);
    options.set_max_bytes_for_level_base(write_buffer_bytes * LEVEL0_TRIGGER as u64);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_max_open_files(-1);

    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(bench.cache as usize));
    table.set_block_size(BLOCK_BYTES);
    table.set_bloom_filter(BLOOM_BITS, false);
    table.set_whole_key_filtering(filter == Filter::WholeKeys);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    table.set_data_block_hash_ratio(HASH_RATIO);
    options.set_block_based_table_factory(&table);
    options
}

/// The same, for people.
pub(super) fn describe(bench: &BenchOptions) -> Vec<(&'static str, String)> {
    let write_buffer_bytes = bench.memtables / u64::from(WRITE_BUFFERS);
    vec![
        ("versions", "the newest one only".to_owned()),
        (
            "memtables",
            format!("{}: {WRITE_BUFFERS} of {}", units::bytes(bench.memtables), units::bytes(write_buffer_bytes)),
        ),
        ("block cache", format!("{}, indexes and filters in it, level 0 pinned", units::bytes(bench.cache))),
        ("background threads", bench.jobs.to_string()),
        ("bloom filter", format!("{BLOOM_BITS} bits per key")),
        ("compression", "lz4".to_owned()),
        ("durability", format!("{:?}", bench.durability).to_lowercase()),
        ("blocks", format!("{} with hash index", units::bytes(BLOCK_BYTES as u64))),
        (
            "writes",
            match bench.durability {
                DurabilityArg::Sync => "WriteBatch, log synced, pipelined",
                DurabilityArg::Buffered => "WriteBatch, log not synced, pipelined",
            }
            .to_owned(),
        ),
        (
            "compaction",
            format!(
                "levels, dynamic, level 0 at {LEVEL0_TRIGGER} files, level 1 of {}",
                units::bytes(write_buffer_bytes * LEVEL0_TRIGGER as u64)
            ),
        ),
    ]
}
