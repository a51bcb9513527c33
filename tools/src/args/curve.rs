//! Arguments of `shingle bench curve`.

use super::bench::BenchOptions;
use super::number::{number, size};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// What changes from point to point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dimension {
    // Comments, not documentation: clap would spread the whole help page to show it.
    // Shards of Shingle's store: 1 to 32.
    Shards,
    // Keys: 1 million to 50 million.
    Keys,
    // Bytes of a value: 32 to 65 536.
    Values,
    // Versions of every key: 1 to 100.
    History,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(after_help = "\
Examples:
  shingle bench curve shards --against rocksdb --html shards.html
  shingle bench curve keys --points 1000000,10000000,50000000
  shingle bench curve history --against rocksdb-versioned --csv history.csv")]
pub(crate) struct CurveArgs {
    /// What changes from point to point: shards (1 to 32), keys (1 to 50 million) and bytes of values (32 to 65 536) measure blocks
    /// and reads; history, the versions of every key (1 to 100), measures gets at random heights.
    #[arg(value_enum)]
    pub(crate) dimension: Dimension,

    /// Measure at these points instead.
    #[arg(long, value_name = "N", value_delimiter = ',', allow_negative_numbers = true, value_parser = number("points", 1..=10_000_000_000))]
    pub(crate) points: Vec<u64>,

    /// Load fewer keys, and fewer updates per block, where keys and values would be more than this.
    #[arg(long, default_value = "8GiB", value_name = "BYTES", allow_negative_numbers = true, value_parser = size(1 << 20..=1 << 50))]
    #[serde(rename = "data_max_bytes")]
    pub(crate) data_max: u64,

    /// Blocks of one round.
    #[arg(long, default_value_t = 200, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of blocks", 1..=u64::MAX))]
    pub(crate) blocks: u64,

    /// Length of each measurement of reads.
    #[arg(long, default_value_t = 3, value_name = "SECONDS", allow_negative_numbers = true, value_parser = number("seconds", 1..=86_400))]
    pub(crate) seconds: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}
