//! Arguments of the workloads that are driven by clients, one struct each.

use super::bench::BenchOptions;
use super::load::{ClientsArgs, PaceArgs};
use super::number::{number, size};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Bytes that stay in a log: up to what the largest memtables hold.
const LOG: std::ops::RangeInclusive<u64> = 1 << 20..=8 << 30;

#[derive(Args, Clone, Debug, Serialize)]
#[command(after_help = "\
Examples:
  shingle bench history --versions 10 --against rocksdb-versioned
  shingle bench history --versions 100 --keys 100000 --threads 4")]
pub(crate) struct HistoryArgs {
    /// Versions of every key.
    #[arg(long, default_value_t = 10, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of versions", 1..=10_000))]
    pub(crate) versions: u64,

    /// Threads that read.
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of threads", 1..=1024))]
    pub(crate) threads: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pace: PaceArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(after_help = "Example:\n  shingle bench scan --against rocksdb --length 100")]
pub(crate) struct ScanBenchArgs {
    /// Keys of one range.
    #[arg(long, default_value_t = 100, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of keys", 1..=1_000_000))]
    pub(crate) length: u64,

    /// Threads that scan ranges. The full scan is one thread's.
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of threads", 1..=1024))]
    pub(crate) threads: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pace: PaceArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(
    mut_arg("keys", |arg| arg.default_value("20000000")),
    mut_arg("cache", |arg| arg.default_value("256MiB")),
    after_help = "Example:\n  shingle bench cold --against rocksdb --keys 20000000 --cache 256MiB --rounds 3"
)]
pub(crate) struct ColdArgs {
    /// Threads that read.
    #[arg(long, default_value_t = 2, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of threads", 1..=1024))]
    pub(crate) threads: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pace: PaceArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(
    mut_arg("keys", |arg| arg.default_value("100000")),
    after_help = "Example:\n  shingle bench recovery --against rocksdb --log 1GiB"
)]
pub(crate) struct RecoveryArgs {
    /// Keys and values that are committed, and not yet flushed, when the process is killed.
    #[arg(long, default_value = "1GiB", value_name = "BYTES", allow_negative_numbers = true, value_parser = size(LOG))]
    #[serde(rename = "log_bytes")]
    pub(crate) log: u64,

    /// The part of the process that is killed.
    #[arg(long, hide = true)]
    #[serde(skip)]
    pub(crate) child: Option<String>,

    /// Updates in one block.
    #[arg(long, default_value_t = 10_000, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of updates", 1..=1_000_000))]
    pub(crate) updates: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(
    mut_arg("value_bytes", |arg| arg.default_value("1000")),
    after_help = "\
Examples:
  shingle bench ycsb-a --against rocksdb --threads 8
  shingle bench ycsb-b --rate 20k/s --html ycsb-b.html"
)]
pub(crate) struct YcsbArgs {
    /// How uneven requests are: key number r of the most wanted is asked for in proportion to 1/r^THETA.
    #[arg(long, default_value_t = 0.99, value_name = "THETA", value_parser = parse_theta)]
    pub(crate) theta: f64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) clients: ClientsArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}

/// A core workload of YCSB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum YcsbWorkload {
    A,
    B,
    C,
    D,
    E,
    F,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(
    mut_arg("key_bytes", |arg| arg.default_value("48")),
    mut_arg("keys", |arg| arg.default_value("5000000")),
    mut_arg("value_bytes", |arg| arg.default_value("1024")
        .help("Bytes of the longest value; the mean is some 35, whatever this is")),
    after_help = "Example:\n  shingle bench mixgraph --against rocksdb --threads 4"
)]
pub(crate) struct MixgraphArgs {
    /// How keys of one key range are chosen.
    #[arg(long, value_enum, default_value_t = KeyDistribution::Power)]
    pub(crate) key_distribution: KeyDistribution,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) clients: ClientsArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}

/// How the keys of one range are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyDistribution {
    /// By a power law: db_bench's "prefix dist".
    Power,
    /// Evenly: db_bench's "prefix random".
    Uniform,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(
    mut_arg("threads", |arg| arg.default_value("8")),
    after_help = "Example:\n  shingle bench hot --against rocksdb --threads 8"
)]
pub(crate) struct HotArgs {
    /// Keys that are hot.
    #[arg(long, default_value_t = 5, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of keys", 2..=1_000_000))]
    pub(crate) hot_keys: u64,

    /// Per cent of the transactions that are between hot keys.
    #[arg(long, default_value_t = 80, value_name = "PERCENT", allow_negative_numbers = true, value_parser = number("per cent", 0..=100))]
    pub(crate) hot_percent: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) clients: ClientsArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}

fn parse_theta(given: &str) -> Result<f64, String> {
    match given.parse::<f64>() {
        Ok(theta) if (0.0..1.0).contains(&theta) => Ok(theta),
        Ok(_) | Err(_) => Err("expected 0 to below 1, such as 0.99".to_owned()),
    }
}
