//! Arguments of `shingle bench`.

use super::curve::CurveArgs;
use super::load::{ClientsArgs, DurabilityArg, ReadersArgs, ResultsArgs};
use super::number::{number, size};
use super::workloads::{
    BlocksArgs, HistoryArgs, HotArgs, MixgraphArgs, PruneBenchArgs, ReadsArgs, RecoveryArgs, ScanBenchArgs, YcsbArgs,
};
use super::{BenchCheckpointArgs, BenchRebalanceArgs, NoStore};
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle bench blocks --against rocksdb
  shingle bench transfers --threads 8
  shingle bench transfers --threads 2 --in-flight 4096
  shingle bench reads --against rocksdb --json > reads.json
  shingle bench ycsb-a --threads 8 --rate 20k/s --html ycsb-a.html
  shingle bench blocks --shards 1,2,4,8 --html scaling.html")]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) no_store: NoStore,

    #[command(subcommand)]
    pub(crate) workload: Workload,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Workload {
    /// Blocks of updates to random keys, each block durable before the next.
    Blocks(Asked<BlocksArgs>),
    /// Durable serializable transactions: each reads two keys and writes both.
    #[command(mut_arg("threads", |arg| arg.default_value("8")), after_help = "\
Examples:
  shingle bench transfers --against rocksdb --threads 8
  shingle bench transfers --threads 2 --in-flight 4096")]
    Transfers(Asked<ClientsArgs>),
    /// Point reads: of keys that are there, of keys that are not, and at an old height.
    Reads(Asked<ReadsArgs>),
    /// Point reads at random heights of a history, each answer checked against it.
    History(Asked<HistoryArgs>),
    /// Scans in key order: of ranges, and of everything.
    Scan(Asked<ScanBenchArgs>),
    /// Point reads of a store that was just opened and is larger than its cache: from disk, then from the page cache.
    #[command(mut_arg("threads", |arg| arg.default_value("2")), mut_arg("keys", |arg| arg.default_value("20000000")),
    mut_arg("cache", |arg| arg.default_value("256MiB")),
    after_help = "Example:\n  shingle bench cold --against rocksdb --keys 20000000 --cache 256MiB --rounds 3")]
    Cold(Asked<ReadersArgs>),
    /// The time to open a store whose process was killed with a long log.
    Recovery(Asked<RecoveryArgs>),
    /// YCSB A: half reads, half updates, Zipf.
    YcsbA(Asked<YcsbArgs>),
    /// YCSB B: 95 % reads, 5 % updates, Zipf.
    YcsbB(Asked<YcsbArgs>),
    /// YCSB C: reads, Zipf.
    YcsbC(Asked<YcsbArgs>),
    /// YCSB D: 95 % reads of the latest, 5 % inserts.
    YcsbD(Asked<YcsbArgs>),
    /// YCSB E: 95 % short scans, 5 % inserts, Zipf.
    YcsbE(Asked<YcsbArgs>),
    /// YCSB F: half reads, half read-modify-write transactions, Zipf.
    YcsbF(Asked<YcsbArgs>),
    /// Facebook's social graph as modelled in FAST'20: 83 % gets, 14 % puts, 3 % seeks, small values, hot key ranges.
    Mixgraph(Asked<MixgraphArgs>),
    /// Transactions of which most are between five keys: how much is lost to conflicts.
    Hot(Asked<HotArgs>),
    /// How the figures grow: with shards, keys, sizes of values, or depth of history. One command for a curve.
    Curve(CurveArgs),
    /// Commits while checkpoints are made, against commits without: the longest pause counts.
    Checkpoint(BenchCheckpointArgs),
    /// Commits and reads while shards are added and removed, and every key compared afterwards.
    Rebalance(BenchRebalanceArgs),
    /// Removing one per cent of all versions, against reading every one of them.
    Prune(Asked<PruneBenchArgs>),
}

/// A store to measure beside Shingle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    // Comments, not documentation: clap would spread the whole help page to show it.
    // One RocksDB, tuned as its guide advises. It keeps no versions.
    Rocksdb,
    // The same with the height at the end of every key, so that it keeps versions too.
    RocksdbVersioned,
    // fjall 3, a log-structured store. It keeps no versions.
    #[cfg(feature = "peers")]
    Fjall,
    // redb 4, a copy-on-write tree. It keeps no versions.
    #[cfg(feature = "peers")]
    Redb,
    // LMDB, a memory-mapped copy-on-write tree. It keeps no versions.
    #[cfg(feature = "peers")]
    Lmdb,
    // SurrealKV 1, a log-structured store that keeps versions.
    #[cfg(feature = "peers")]
    Surrealkv,
}

impl Peer {
    /// Whether it can be read at an old height.
    pub(crate) fn keeps_versions(self) -> bool {
        match self {
            Peer::RocksdbVersioned => true,
            #[cfg(feature = "peers")]
            Peer::Surrealkv => true,
            #[cfg(feature = "peers")]
            Peer::Fjall | Peer::Redb | Peer::Lmdb => false,
            Peer::Rocksdb => false,
        }
    }

    /// As it is called on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Names of [`Peer`]s, those of a build without the feature `peers` left out.
const MORE_PEERS: [&str; 4] = ["fjall", "redb", "lmdb", "surrealkv"];

/// Reads the name of a [`Peer`], and says of one that this build does not know which build does.
#[derive(Clone)]
struct PeerParser;

impl TypedValueParser for PeerParser {
    type Value = Peer;

    fn parse_ref(&self, command: &clap::Command, arg: Option<&Arg>, given: &OsStr) -> Result<Peer, clap::Error> {
        EnumValueParser::<Peer>::new().parse_ref(command, arg, given).map_err(|unknown| {
            match given.to_str().filter(|name| MORE_PEERS.contains(name)) {
                None => unknown,
                Some(name) => clap::Error::raw(
                    ErrorKind::InvalidValue,
                    format!(
                        "{name} is measured by a build with the feature `peers`: \
                         cargo build --release --workspace --features peers --bin shingle\n"
                    ),
                )
                .with_cmd(command),
            }
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Peer::value_variants().iter().filter_map(Peer::to_possible_value)))
    }
}

/// The bounds of `rocksdb.block_cache_size`, and four times those of `rocksdb.write_buffer_size`.
const CACHE: RangeInclusive<u64> = 1 << 20..=16 << 40;
const MEMTABLES: RangeInclusive<u64> = 256 << 10..=64 << 30;

/// What is asked of a workload: its own arguments, and those that all have.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Asked<W: Args> {
    // Before the workload's own, which may change their defaults.
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,

    #[command(flatten, next_help_heading = None::<&'static str>)]
    #[serde(flatten)]
    pub(crate) own: W,
}

/// What all workloads share.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Stores and keys")]
pub(crate) struct BenchOptions {
    /// Measure this store too, in turns with Shingle, on the same keys, with the same memory, cache and durability; several are
    /// separated by commas. rocksdb is one instance, tuned as its guide advises, and keeps no versions; rocksdb-versioned has the
    /// height at the end of every key. A build with the feature `peers` knows fjall, redb, lmdb and surrealkv, too.
    #[arg(long, value_parser = PeerParser, value_name = "STORE", value_delimiter = ',')]
    pub(crate) against: Vec<Peer>,

    /// Rounds of each store, in turns; the median counts.
    #[arg(long, default_value_t = 3, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of rounds", 1..=1000))]
    pub(crate) rounds: u64,

    /// Keys that are loaded before anything is measured.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of keys", 2..=10_000_000_000))]
    pub(crate) keys: u64,

    /// Bytes of a key.
    #[arg(long, default_value_t = 32, value_name = "BYTES", allow_negative_numbers = true, value_parser = number("bytes", 8..=65_536))]
    pub(crate) key_bytes: u64,

    /// Bytes of a value.
    #[arg(long, default_value_t = 100, value_name = "BYTES", allow_negative_numbers = true, value_parser = number("bytes", 8..=65_536))]
    pub(crate) value_bytes: u64,

    /// Shards of Shingle's store. Several numbers, such as 1,2,4,8, measure a store of each.
    #[arg(long, default_value = "8", value_name = "N", value_delimiter = ',', allow_negative_numbers = true, value_parser = number("a number of shards", 1..=1024))]
    pub(crate) shards: Vec<u64>,

    /// When a write counts as done, in each store: once it is on disk, or once it is in the system's page cache.
    #[arg(long, value_enum, default_value_t = DurabilityArg::Sync)]
    pub(crate) durability: DurabilityArg,

    /// Block cache of each store.
    #[arg(long, default_value = "1GiB", value_name = "BYTES", allow_negative_numbers = true, value_parser = size(CACHE))]
    #[serde(rename = "cache_bytes")]
    pub(crate) cache: u64,

    /// Memtables of each store, all together.
    #[arg(long, default_value = "512MiB", value_name = "BYTES", allow_negative_numbers = true, value_parser = size(MEMTABLES))]
    #[serde(rename = "memtables_bytes")]
    pub(crate) memtables: u64,

    /// Background threads of each store for flushing and compaction.
    #[arg(long, default_value_t = 4, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of threads", 1..=64))]
    pub(crate) jobs: u64,

    /// Seed of the random choices.
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true, value_parser = number("a seed", 0..=u64::MAX))]
    pub(crate) seed: u64,

    /// Where the stores are made, in a directory that is removed afterwards.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) scratch: PathBuf,

    /// Leave the stores there.
    #[arg(long)]
    pub(crate) keep: bool,

    #[command(flatten)]
    #[serde(skip)]
    pub(crate) results: ResultsArgs,
}
