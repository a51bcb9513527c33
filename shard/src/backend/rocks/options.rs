//! The settings of the RocksDB instances: meaning, default, bound, and the RocksDB option that each stands for.

use rocksdb::DBCompressionType;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::ops::RangeInclusive;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How blocks are compressed on disk. RocksDB's `compression` and `bottommost_compression`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all: for values that are compressed or random already.
    None,
    /// LZ4: cheap enough to be always worth it.
    #[default]
    Lz4,
    /// Zstandard: smaller files for more CPU time.
    Zstd,
}

impl Compression {
    pub(super) fn to_rocks(self) -> DBCompressionType {
        match self {
            Compression::None => DBCompressionType::None,
            Compression::Lz4 => DBCompressionType::Lz4,
            Compression::Zstd => DBCompressionType::Zstd,
        }
    }
}

/// Settings of the RocksDB instances of one store. They may differ from one opening to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RocksOptions {
    /// Files that all shards together may hold open, divided evenly; each gets at least 32. Default 1000, 64 to 1 000 000.
    /// RocksDB's `max_open_files`.
    pub max_open_files: u32,
    /// Bytes that the memtables of all shards may reach together before the largest is sealed and flushed. Default 64 MiB, 64 KiB
    /// to 16 GiB; 128–256 MiB for high throughput. RocksDB's `write_buffer_size`.
    pub write_buffer_size: u64,
    /// The budget of all memtables of all shards, active, sealed and still readable after their flush, in multiples of
    /// `write_buffer_size`. Default 3, 2 to 64; 4–6 for write-heavy loads. RocksDB's `max_write_buffer_number`.
    pub max_write_buffer_number: u32,
    /// How many times `write_buffer_size` the memtables reach before a flush begins: more merges more overwrites of a key.
    /// Default RocksDB's, 1; below `max_write_buffer_number`; 2 when writes stall. RocksDB's `min_write_buffer_number_to_merge`.
    pub min_write_buffer_number_to_merge: Option<u32>,
    /// Bytes of a file at level 1. Default 64 MiB, 64 KiB to 16 GiB; 128–256 MiB for large data.
    /// RocksDB's `target_file_size_base`.
    pub target_file_size_base: u64,
    /// Background threads that all shards share. Default 2, 1 to 256; 4–8 on many cores. RocksDB's `max_background_jobs`.
    pub max_background_jobs: u32,
    /// Bytes of the block cache that all shards share; indexes and filters live in it. Default 8 MiB, 1 MiB to 16 TiB;
    /// 512 MiB–2 GiB for read-heavy loads. RocksDB's `block_cache`.
    pub block_cache_size: u64,
    /// Bits of bloom filter per key. Default 10, 1 to 32. RocksDB's `filter_policy`.
    pub bloom_filter_bits_per_key: u32,
    /// Files at level 0 that start a compaction. Default 4, 1 to 1000. RocksDB's `level0_file_num_compaction_trigger`.
    pub level0_file_num_compaction_trigger: u32,
    /// Bytes of the base level. Default 256 MiB, at least `target_file_size_base`, at most 16 TiB.
    /// RocksDB's `max_bytes_for_level_base`.
    pub max_bytes_for_level_base: u64,
    /// Compression of blocks. Default LZ4. RocksDB's `compression` and `bottommost_compression`.
    pub compression_type: Compression,
    /// Whether RocksDB counts cache hits, compaction time and stalls. Default false; true in production, for a few per
    /// cent of time. RocksDB's `statistics`.
    pub enable_statistics: bool,
    /// Bytes a second that compactions of all shards together may write. Default none, which is no limit; at least 1 MiB.
    /// RocksDB's `rate_limiter`.
    pub rate_limit_bytes_per_sec: Option<u64>,
}

impl Default for RocksOptions {
    fn default() -> Self {
        RocksOptions {
            max_open_files: 1000,
            write_buffer_size: 64 * MIB,
            max_write_buffer_number: 3,
            min_write_buffer_number_to_merge: None,
            target_file_size_base: 64 * MIB,
            max_background_jobs: 2,
            block_cache_size: 8 * MIB,
            bloom_filter_bits_per_key: 10,
            level0_file_num_compaction_trigger: 4,
            max_bytes_for_level_base: 256 * MIB,
            compression_type: Compression::Lz4,
            enable_statistics: false,
            rate_limit_bytes_per_sec: None,
        }
    }
}

/// A setting is out of its bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {bound}; it is {given}")]
pub struct OptionError {
    /// The field of [`RocksOptions`].
    pub field: &'static str,
    /// What it may be.
    pub bound: String,
    /// What it is.
    pub given: String,
}

impl RocksOptions {
    /// Refuses the first setting that is out of its bound or contradicts another.
    pub fn validate(&self) -> Result<(), OptionError> {
        check("max_open_files", self.max_open_files, 64..=1_000_000)?;
        check("write_buffer_size", self.write_buffer_size, 64 * KIB..=16 * GIB)?;
        check("max_write_buffer_number", self.max_write_buffer_number, 2..=64)?;
        if let Some(to_merge) = self.min_write_buffer_number_to_merge {
            check("min_write_buffer_number_to_merge", to_merge, 1..=self.max_write_buffer_number - 1)?;
        }
        check("target_file_size_base", self.target_file_size_base, 64 * KIB..=16 * GIB)?;
        check("max_background_jobs", self.max_background_jobs, 1..=256)?;
        check("block_cache_size", self.block_cache_size, MIB..=16 << 40)?;
        check("bloom_filter_bits_per_key", self.bloom_filter_bits_per_key, 1..=32)?;
        check("level0_file_num_compaction_trigger", self.level0_file_num_compaction_trigger, 1..=1000)?;
        check("max_bytes_for_level_base", self.max_bytes_for_level_base, self.target_file_size_base..=16 << 40)?;
        if let Some(rate) = self.rate_limit_bytes_per_sec {
            check("rate_limit_bytes_per_sec", rate, MIB..=1 << 40)?;
        }
        Ok(())
    }
}

fn check<N: Copy + Display + PartialOrd>(
    field: &'static str,
    given: N,
    bound: RangeInclusive<N>,
) -> Result<(), OptionError> {
    if bound.contains(&given) {
        return Ok(());
    }
    let bound = format!("between {} and {}", bound.start(), bound.end());
    Err(OptionError { field, bound, given: given.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(RocksOptions::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_out_of_its_bound_is_named_with_the_bound() {
        let options = RocksOptions { bloom_filter_bits_per_key: 33, ..RocksOptions::default() };
        let error = options.validate().expect_err("33 bits are too many");
        assert_eq!(error.to_string(), "bloom_filter_bits_per_key must be between 1 and 32; it is 33");
    }

    #[test]
    fn contradictions_are_refused() {
        let merge_all = RocksOptions { min_write_buffer_number_to_merge: Some(3), ..RocksOptions::default() };
        assert_eq!(merge_all.validate().map_err(|e| e.field), Err("min_write_buffer_number_to_merge"));
        let small_level = RocksOptions { max_bytes_for_level_base: MIB, ..RocksOptions::default() };
        assert_eq!(small_level.validate().map_err(|e| e.field), Err("max_bytes_for_level_base"));
    }
}
