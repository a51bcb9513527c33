//! Arguments of `shingle bench rebalance`.

use super::BenchOptions;
use super::load::parse_rate;
use super::number::number;
use super::rebalance::rate;
use clap::Args;
use serde::Serialize;

#[derive(Args, Debug, Serialize)]
#[command(
    mut_arg("shards", |arg| arg.default_value("4")),
    after_help = "\
Examples:
  shingle bench rebalance
  shingle bench rebalance --rate 200k/s
  shingle bench rebalance --keys 5000000 --shards 4 --to-shards 16 --copy-rate 64MiB

Blocks are committed one after the other and keys are read all the while. The number of shards goes
up and back down; then every key is compared with what was written last. Every update stays in the
history that is moved: without --rate, two cores take about ten minutes and 30 GiB. Only Shingle is
measured: --against has no meaning here."
)]
pub(crate) struct BenchRebalanceArgs {
    /// How many shards there are to be in between.
    #[arg(long, default_value_t = 8, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of shards", 1..=1024))]
    pub(crate) to_shards: u64,

    /// Updates in one block.
    #[arg(long, default_value_t = 1000, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of updates", 1..=1_000_000))]
    pub(crate) updates: u64,

    /// How long commits and reads go on before anything is measured, so that compaction is as far behind as it will stay.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", allow_negative_numbers = true, value_parser = number("seconds", 0..=86_400))]
    pub(crate) warm_up: u64,

    /// How long is measured before, between and after the rebalancings.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", allow_negative_numbers = true, value_parser = number("seconds", 1..=86_400))]
    pub(crate) seconds: u64,

    /// Updates that are committed in a second, with latencies from when each block was due [default: as many as the store takes]
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,

    /// Copy at most so many bytes in a second [default: as many as the disks take]
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = rate)]
    pub(crate) copy_rate: Option<u64>,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}
