//! Arguments of the verbs that work on one store.

use crate::bytes_text::{Bytes, Encoding, Value};
use clap::Args;
use std::num::NonZero;
use std::path::PathBuf;

/// Which store.
#[derive(Args, Debug)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    /// Directory of the store.
    #[arg(long, short, default_value = "./data", value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// Settings of the store, from a .toml or .json file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// If the commit log is damaged, give up for good all that follows the last good version.
    #[arg(long)]
    pub(crate) recover_to_last_good: bool,
}

/// The state as it was: at the newest version unless one of these is given.
#[derive(Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub(crate) struct AtArgs {
    /// Read the state as of this block.
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) at_height: Option<u64>,

    /// Read the state as of this version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) at_version: Option<u64>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  shingle replay chains/bcMultiChainTest --shards 4")]
pub(crate) struct ReplayArgs {
    /// Files of chains, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Shards of the stores that the chains run on, one store for each chain.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) shards: u64,

    /// Flush each store after every so many blocks, so that reads and rollbacks go to the disk too. [default: at closing]
    #[arg(long, value_name = "BLOCKS")]
    pub(crate) flush_every: Option<NonZero<usize>>,

    /// Chains at a time. [default: one for each core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,

    /// Make the stores in this directory, new or empty, and leave them there. [default: temporary ones]
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  shingle status --dir /srv/node/state --json | jq .height")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle get account/000042
  shingle get account/000042 --at-height 10
  shingle get 0xdeadbeef --raw > value.bin

Exits with 1 if there is no such key.")]
pub(crate) struct GetArgs {
    /// The key: text, 0x hexadecimal or base64:
    pub(crate) key: Bytes,

    #[command(flatten)]
    pub(crate) at: AtArgs,

    /// How the value is shown: as text where that is printable, else as hexadecimal; or always as one of these.
    #[arg(long, value_enum, default_value_t, value_name = "ENCODING")]
    pub(crate) encoding: Encoding,

    /// Print the value's bytes as they are, and nothing else.
    #[arg(long, conflicts_with_all = ["encoding", "json"])]
    pub(crate) raw: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle put alice 100
  shingle put --create --dir /tmp/state 0xdeadbeef base64:AAEC
  shingle put image - < image.png")]
pub(crate) struct PutArgs {
    /// The key: text, 0x hexadecimal or base64:
    pub(crate) key: Bytes,

    /// The value: text, 0x hexadecimal, base64:, or - to read its bytes from standard input.
    pub(crate) value: Value,

    /// Make the store if the directory is empty or missing.
    #[arg(long)]
    pub(crate) create: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  shingle delete alice")]
pub(crate) struct DeleteArgs {
    /// The key: text, 0x hexadecimal or base64:
    pub(crate) key: Bytes,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle scan --prefix account/ --limit 10
  shingle scan --from alice --to bob --reverse
  shingle scan --prefix account/ --at-height 10 --json | jq -r .key")]
pub(crate) struct ScanArgs {
    /// Only keys that begin with this.
    #[arg(long, conflicts_with_all = ["from", "to"], value_name = "KEY")]
    pub(crate) prefix: Option<Bytes>,

    /// Only this key and those after it.
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Option<Bytes>,

    /// Only keys before this one.
    #[arg(long, value_name = "KEY")]
    pub(crate) to: Option<Bytes>,

    /// At most this many entries.
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Last key first.
    #[arg(long, short)]
    pub(crate) reverse: bool,

    #[command(flatten)]
    pub(crate) at: AtArgs,

    /// How keys and values are shown: as text where that is printable, else as hexadecimal; or always as one of these.
    #[arg(long, value_enum, default_value_t, value_name = "ENCODING")]
    pub(crate) encoding: Encoding,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  shingle verify --dir /srv/node/state

Exits with 1 if anything is damaged. It repairs nothing.")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle rollback --to-height 1200          say what would go
  shingle rollback --to-height 1200 --yes    do it")]
pub(crate) struct RollbackArgs {
    /// The block that becomes the newest one.
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) to_height: u64,

    /// Do it: what is above the height is lost.
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
