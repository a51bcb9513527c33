//! The command line, typed: what can be asked for. What it means is in `commands`.

mod bench;
mod bench_checkpoint;
mod bench_rebalance;
mod checkpoint;
mod curve;
mod demo;
mod load;
mod number;
mod rebalance;
mod remote;
mod repair;
mod store;
mod workloads;

pub(crate) use bench::{Asked, BenchArgs, BenchOptions, Peer, Workload};
pub(crate) use bench_checkpoint::BenchCheckpointArgs;
pub(crate) use bench_rebalance::BenchRebalanceArgs;
pub(crate) use checkpoint::{
    CheckpointAction, CheckpointArgs, CreateArgs, DeleteCheckpointArgs, DirArgs, ExportArgs, ImportArgs, ListArgs,
    NamedArgs, RestoreArgs,
};
pub(crate) use curve::{CurveArgs, Dimension};
pub(crate) use demo::DemoArgs;
pub(crate) use load::{ClientsArgs, DurabilityArg, PaceArgs, ReadersArgs, ResultsArgs};
pub(crate) use rebalance::{
    AbortArgs, MovingArgs, RebalanceAction, RebalanceArgs, RebalanceStatusArgs, ReshardArgs, ResumeArgs, ShardsArgs,
    SlotFigure, SlotsArgs, WantedArgs,
};
pub(crate) use remote::{DirNodeArgs, FlushArgs, NodeArgs, ServeArgs, TokenArgs};
pub(crate) use repair::RepairArgs;
pub(crate) use store::{
    AtArgs, DeleteArgs, GetArgs, KeepArgs, NoStore, PruneArgs, PutArgs, ReplayArgs, RollbackArgs, ScanArgs, StatusArgs,
    StoreArgs, VerifyArgs,
};
pub(crate) use workloads::{
    BlocksArgs, HistoryArgs, HotArgs, KeyDistribution, MixgraphArgs, PruneBenchArgs, ReadsArgs, RecoveryArgs,
    ScanBenchArgs, YcsbArgs, YcsbWorkload,
};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Keys and values are text, or bytes as 0x (hexadecimal) or base64: and their digits.
Behind text: anything is text: text:0x12 is four characters.
Exit codes:
  0  done
  1  it failed, the answer is no, or what was asked for is not there
  2  the command line or the configuration file is wrong

Start here:
  shingle demo                 run a node for a few seconds, and see what it proved
  shingle status               look at the store that it made
  shingle get account/000042   read from it";

/// Runs, inspects, verifies and measures a Shingle store: a sharded, versioned state store over RocksDB.
#[derive(Debug, Parser)]
#[command(name = "shingle", version, after_help = AFTER_HELP, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print JSON: one document, or one line for each entry of a scan.
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,

    /// Directory of the store [default: ./data]
    // Every verb on a store declares it again, with its default, and finds there what is given here.
    #[arg(long, short, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What says which store, too, and is not given together with `--dir`.
const INSTEAD_OF_DIR: [(&str, &str); 2] = [("url", "'--url <URL>'"), ("store", "'[DIR]'")];

impl Cli {
    /// Reads the command line. One that is wrong is told, and the process ends.
    pub(crate) fn read() -> Self {
        let mut command = Cli::command();
        let matches = command.get_matches_mut();
        {
            let (mut verb, mut given) = (&mut command, &matches);
            while let Some((name, below)) = given.subcommand() {
                verb = verb.find_subcommand_mut(name).expect("it was just matched");
                given = below;
            }
            let typed =
                |id| given.try_contains_id(id).is_ok() && given.value_source(id) == Some(ValueSource::CommandLine);
            // Between a verb and what stands before it, clap sees no conflict.
            if let Some((_, other)) = INSTEAD_OF_DIR.into_iter().find(|(id, _)| typed("dir") && typed(id)) {
                let said = format!("the argument '--dir <DIR>' cannot be used with {other}");
                verb.error(ErrorKind::ArgumentConflict, said).exit();
            }
        }
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node: token transfers in blocks, and proofs that nothing went wrong.
    Demo(DemoArgs),
    /// Execute Ethereum's test chains on a store, and check every state root.
    Replay(ReplayArgs),
    /// Show how a store is doing: versions, blocks, shards, log, memory.
    Status(StatusArgs),
    /// Serve metrics, health, status and a page for an operator, over HTTP.
    Serve(ServeArgs),
    /// Write what is in memory to the shards' files.
    Flush(FlushArgs),
    /// Read a key, at the newest version or at an older one.
    Get(GetArgs),
    /// Set a key, durably.
    Put(PutArgs),
    /// Delete a key, durably. Older versions keep it.
    Delete(DeleteArgs),
    /// List keys and values in order.
    Scan(ScanArgs),
    /// Read everything, and check every checksum, key and index entry.
    Verify(VerifyArgs),
    /// Take back every block above a height, for good.
    Rollback(RollbackArgs),
    /// Make, list, verify, restore, delete, export and import checkpoints.
    Checkpoint(CheckpointArgs),
    /// Say what is damaged, shard by shard, and what brings it back; the store itself is not changed.
    Repair(RepairArgs),
    /// Remove old versions for good, and give their space back.
    Prune(PruneArgs),
    /// Even out the shards, or change their number, by moving slots.
    Rebalance(RebalanceArgs),
    /// Move slots that you name to another shard.
    Reshard(ReshardArgs),
    /// Show what each shard carries: slots, keys, bytes, reads and writes.
    Shards(ShardsArgs),
    /// Show what each slot carries, as a map.
    Slots(SlotsArgs),
    /// Measure, alone or against other stores in the same run.
    Bench(BenchArgs),
}
