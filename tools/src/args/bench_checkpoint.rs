//! Arguments of `shingle bench checkpoint`.

use super::BenchOptions;
use super::number::number;
use clap::Args;
use serde::Serialize;

#[derive(Args, Debug, Serialize)]
#[command(after_help = "\
Example:
  shingle bench checkpoint --keys 2000000 --seconds 20

Commits for a while without checkpoints, then as long while one is made after the other, in
turns. Only Shingle is measured: --against has no meaning here.")]
pub(crate) struct BenchCheckpointArgs {
    /// Updates in one block.
    #[arg(long, default_value_t = 1000, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of updates", 1..=1_000_000))]
    pub(crate) updates: u64,

    /// Length of each half of a round.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", allow_negative_numbers = true, value_parser = number("seconds", 1..=86_400))]
    pub(crate) seconds: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) options: BenchOptions,
}
