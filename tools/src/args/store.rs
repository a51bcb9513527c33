//! Arguments of the verbs that work on one store.

use super::number::number;
use super::{NodeArgs, TokenArgs};
use crate::bytes_text::{Bytes, Encoding, Value};
use clap::Args;
use std::path::PathBuf;

/// Which store.
#[derive(Args, Debug)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    /// Directory of the store.
    // The same id as that of the whole command line: given before the verb, it arrives here.
    #[arg(long, short, default_value = "./data", value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// Settings of the store, from a .toml or .json file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// If the commit log is damaged, give up for good all that follows the last good version.
    #[arg(long)]
    pub(crate) recover_to_last_good: bool,
}

/// For a verb that makes stores of its own: `--dir`, which any verb may follow, must not be given.
#[derive(Args, Debug)]
pub(crate) struct NoStore {
    #[arg(long, short, global = true, hide = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// The state as it was: at the newest version unless one of these is given.
#[derive(Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub(crate) struct AtArgs {
    /// Read the state as of this block.
    #[arg(long, value_name = "HEIGHT", allow_negative_numbers = true, value_parser = number("a block height", 0..=u64::MAX))]
    pub(crate) at_height: Option<u64>,

    /// Read the state as of this version.
    #[arg(long, value_name = "VERSION", allow_negative_numbers = true, value_parser = number("a version", 0..=u64::MAX))]
    pub(crate) at_version: Option<u64>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Where chains come from: the consensus tests that every Ethereum client must pass,
such as Cancun/BlockchainTests of https://github.com/ethereum/legacytests. A file
is JSON: chains by name, each with network, pre, genesisRLP, blocks (rlp, and
expectException… if it is to be refused), lastblockhash, and postState or
postStateHash.

Examples:
  git clone --depth 1 https://github.com/ethereum/legacytests
  shingle replay --shards 4 legacytests/Cancun/BlockchainTests/ValidBlocks

Exits with 1 if a block or a state root is not as the chain says.")]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) no_store: NoStore,

    /// Files of chains, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Shards of the stores that the chains run on, one store for each chain.
    #[arg(long, default_value_t = 8, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of shards", 1..=1024))]
    pub(crate) shards: u64,

    /// Flush each store after every so many blocks, so that reads and rollbacks go to the disk too [default: at closing]
    #[arg(long, value_name = "BLOCKS", allow_negative_numbers = true, value_parser = number("a number of blocks", 1..=u64::MAX))]
    pub(crate) flush_every: Option<u64>,

    /// Move slots from shard to shard, and add and remove shards, while the chains are executed.
    #[arg(long)]
    pub(crate) rebalance: bool,

    /// Chains at a time [default: one for each core]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of threads", 1..=1024))]
    pub(crate) threads: Option<u64>,

    /// Make the stores in this directory, new or empty, and leave them there [default: temporary ones]
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle status --dir /srv/node/state --json | jq .height
  shingle status --url http://127.0.0.1:9464")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle get account/000042
  shingle get account/000042 --at-height 10
  shingle get 0xdeadbeef --raw > value.bin

Exits with 1 if there is no such key, height or version.")]
pub(crate) struct GetArgs {
    /// The key: text, or bytes as 0x and hexadecimal digits, or as base64: and its digits.
    #[arg(allow_negative_numbers = true)]
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
  shingle put image - < image.png
  shingle put balance -5
  shingle put -- --key --value

What begins with a dash and is no number comes after --, as in the last one.")]
pub(crate) struct PutArgs {
    /// The key: text, or bytes as 0x and hexadecimal digits, or as base64: and its digits.
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: Bytes,

    /// The value: text or bytes as for the key, or - to read bytes from standard input.
    #[arg(allow_negative_numbers = true)]
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
    /// The key: text, or bytes as 0x and hexadecimal digits, or as base64: and its digits.
    #[arg(allow_negative_numbers = true)]
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
    #[arg(long, conflicts_with_all = ["from", "to"], value_name = "KEY", allow_negative_numbers = true)]
    pub(crate) prefix: Option<Bytes>,

    /// Only this key and those after it.
    #[arg(long, value_name = "KEY", allow_negative_numbers = true)]
    pub(crate) from: Option<Bytes>,

    /// Only keys before this one.
    #[arg(long, value_name = "KEY", allow_negative_numbers = true)]
    pub(crate) to: Option<Bytes>,

    /// At most this many entries.
    #[arg(long, short = 'n', value_name = "N", allow_negative_numbers = true, value_parser = number("a number of entries", 0..=u64::MAX))]
    pub(crate) limit: Option<u64>,

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
Examples:
  shingle verify --dir /srv/node/state
  shingle verify --url http://127.0.0.1:9464 --token-file token

Exits with 1 if anything is damaged. It repairs nothing.")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle rollback --to-height 1200          say what would go, and change nothing
  shingle rollback --to-height 1200 --yes    do it

What was put or deleted after the newest block belongs to no block, and goes too.
Exits with 0 either way, and with 1 if there is no such block.")]
pub(crate) struct RollbackArgs {
    /// The block that becomes the newest one.
    #[arg(long, value_name = "HEIGHT", allow_negative_numbers = true, value_parser = number("a block height", 0..=u64::MAX))]
    pub(crate) to_height: u64,

    /// Do it: what is above the height is lost.
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
What goes can no longer be read: versions below the one that is then the oldest
readable. Commits, snapshots and the newest blocks, as many as a rollback must be
able to take back (`reorg_window_blocks`, 64 by default), are left alone.

Examples:
  shingle prune --keep-blocks 1000 --dry-run     say what would go, and change nothing
  shingle prune --keep-blocks 1000 --compact     do it, and give the space back at once
  shingle prune --keep-versions 10 --json | jq .versions
  shingle prune --keep-blocks 1000 --url http://127.0.0.1:9464 --token-file token

Exits with 0 also where nothing was to be removed.")]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) keep: KeepArgs,

    /// Count what would go, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Rewrite the files of which much is removed, so that their space comes back now and not with later compactions.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) compact: bool,

    /// Keep so many of the newest blocks for rollbacks, instead of what the configuration says; a node's own holds for --url.
    #[arg(long, value_name = "BLOCKS", conflicts_with = "url", allow_negative_numbers = true, value_parser = number("a number of blocks", 0..=1_000_000_000))]
    pub(crate) reorg_window: Option<u64>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// What is to stay: exactly one of these.
#[derive(Args, Clone, Copy, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct KeepArgs {
    /// Keep the newest so many blocks.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of blocks", 1..=u64::MAX))]
    pub(crate) keep_blocks: Option<u64>,

    /// Keep the state at any time of so many seconds before the newest block, by the blocks' timestamps.
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = number("a number of seconds", 0..=u64::MAX))]
    pub(crate) keep_secs: Option<u64>,

    /// Keep at most so many versions of any key; the key with the most decides what stays readable.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of versions", 1..=u64::MAX))]
    pub(crate) keep_versions: Option<u64>,

    /// Keep this block and those above it.
    #[arg(long, value_name = "HEIGHT", allow_negative_numbers = true, value_parser = number("a block height", 0..=u64::MAX))]
    pub(crate) below_height: Option<u64>,
}
