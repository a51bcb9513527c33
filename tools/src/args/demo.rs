//! Arguments of `shingle demo`.

use super::StoreArgs;
use super::number::number;
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle demo
  shingle demo --seconds 60 --accounts 1000000
  shingle demo --dir /tmp/node --blocks 100

Run again, it goes on with the chain that is there. `rm -r ./data` begins anew.")]
pub(crate) struct DemoArgs {
    /// How long blocks are made.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", allow_negative_numbers = true, value_parser = number("seconds", 1..=86_400))]
    pub(crate) seconds: u64,

    /// Make this many blocks, however long it takes.
    #[arg(long, conflicts_with = "seconds", value_name = "N", allow_negative_numbers = true, value_parser = number("a number of blocks", 1..=u64::MAX))]
    pub(crate) blocks: Option<u64>,

    /// Accounts of a new chain.
    #[arg(long, default_value_t = 100_000, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of accounts", 2..=10_000_000))]
    pub(crate) accounts: u64,

    /// Transfers in each block.
    #[arg(long, default_value_t = 2_000, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of transfers", 1..=1_000_000))]
    pub(crate) transfers: u64,

    /// Shards of a new store [default: 8]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of shards", 1..=1024))]
    pub(crate) shards: Option<u64>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
