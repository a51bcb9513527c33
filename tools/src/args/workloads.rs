//! What each workload of `shingle bench` asks for itself. What all have is [`BenchOptions`](super::bench::BenchOptions).

use super::load::{ClientsArgs, ReadersArgs, parse_rate};
use super::number::{number, size};
use clap::builder::UnknownArgumentValueParser;
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Bytes that stay in a log: up to what the largest memtables hold.
const LOG: std::ops::RangeInclusive<u64> = 1 << 20..=8 << 30;

#[derive(Args, Clone, Debug, Serialize)]
#[command(after_help = "Example:\n  shingle bench blocks --against rocksdb --rounds 3 --blocks 300")]
pub(crate) struct BlocksArgs {
    /// Blocks of one round.
    #[arg(long, default_value_t = 300, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of blocks", 1..=u64::MAX))]
    pub(crate) blocks: u64,

    /// What other workloads have.
    #[arg(long = "seconds", hide = true, value_parser = UnknownArgumentValueParser::suggest_arg("--blocks"))]
    #[serde(skip)]
    pub(crate) _seconds: Option<String>,

    /// Updates in one block.
    #[arg(long, default_value_t = 10_000, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of updates", 1..=1_000_000))]
    pub(crate) updates: u64,

    /// Offer updates at this rate, in whole blocks; latency counts from when each block was due.
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(mut_arg("threads", |arg| arg.default_value("2").help("Threads that read keys that are there, and keys that are not")), mut_arg("seconds", |arg| arg.default_value("3")),
    after_help = "Example:\n  shingle bench reads --against rocksdb --threads 2")]
pub(crate) struct ReadsArgs {
    /// Threads that read at an old height.
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of threads", 1..=1024))]
    pub(crate) old_threads: u64,

    /// How often every key is written again, on average, after the height at which old reads look.
    #[arg(long, default_value_t = 3, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of times", 0..=1000))]
    pub(crate) overwrites: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) readers: ReadersArgs,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(after_help = "\
Examples:
  shingle bench history --versions 10 --against rocksdb-versioned
  shingle bench history --versions 100 --keys 100000 --threads 4")]
pub(crate) struct HistoryArgs {
    /// Versions of every key.
    #[arg(long, default_value_t = 10, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of versions", 1..=10_000))]
    pub(crate) versions: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) readers: ReadersArgs,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(mut_arg("threads", |arg| arg.help("Threads that scan ranges. The full scan is one thread's")), after_help = "Example:\n  shingle bench scan --against rocksdb --length 100")]
pub(crate) struct ScanBenchArgs {
    /// Keys of one range.
    #[arg(long, default_value_t = 100, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of keys", 1..=1_000_000))]
    pub(crate) length: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) readers: ReadersArgs,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(mut_arg("keys", |arg| arg.default_value("100000")),
    after_help = "Example:\n  shingle bench recovery --against rocksdb --log 1GiB")]
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
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(mut_arg("value_bytes", |arg| arg.default_value("1000")),
    after_help = "\
Examples:
  shingle bench ycsb-a --against rocksdb --threads 8
  shingle bench ycsb-b --rate 20k/s --html ycsb-b.html")]
pub(crate) struct YcsbArgs {
    /// How uneven requests are: key number r of the most wanted is asked for in proportion to 1/r^THETA.
    #[arg(long, default_value_t = 0.99, value_name = "THETA", value_parser = parse_theta)]
    pub(crate) theta: f64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) clients: ClientsArgs,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(
    mut_arg("keys", |arg| arg.default_value("300000")),
    after_help = "Example:\n  shingle bench prune --keys 1000000 --versions 10"
)]
pub(crate) struct PruneBenchArgs {
    /// Versions of every key.
    #[arg(long, default_value_t = 10, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of versions", 2..=10_000))]
    pub(crate) versions: u64,
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
#[command(mut_arg("key_bytes", |arg| arg.default_value("48")),
    mut_arg("keys", |arg| arg.default_value("5000000")),
    mut_arg("value_bytes", |arg| arg.default_value("1024")
        .help("Bytes of the longest value; the mean is some 35, whatever this is")),
    after_help = "Example:\n  shingle bench mixgraph --against rocksdb --threads 4")]
pub(crate) struct MixgraphArgs {
    /// How keys of one key range are chosen: by a power law, db_bench's "prefix dist", or evenly, its "prefix random".
    #[arg(long, value_enum, default_value_t = KeyDistribution::Power)]
    pub(crate) key_distribution: KeyDistribution,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) clients: ClientsArgs,
}

/// How the keys of one range are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyDistribution {
    // Comments, not documentation: clap would spread the whole help page to show it.
    // By a power law: db_bench's "prefix dist".
    Power,
    // Evenly: db_bench's "prefix random".
    Uniform,
}

#[derive(Args, Clone, Debug, Serialize)]
#[command(mut_arg("threads", |arg| arg.default_value("8")),
    after_help = "Example:\n  shingle bench hot --against rocksdb --threads 8")]
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
}

fn parse_theta(given: &str) -> Result<f64, String> {
    match given.parse::<f64>() {
        Ok(theta) if (0.0..1.0).contains(&theta) => Ok(theta),
        Ok(_) | Err(_) => Err("expected 0 to below 1, such as 0.99".to_owned()),
    }
}
