//! Arguments of `shingle checkpoint`.

use super::{DirNodeArgs, NodeArgs, StoreArgs, TokenArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  shingle checkpoint create before-upgrade
  shingle checkpoint verify before-upgrade
  shingle checkpoint restore before-upgrade --to /srv/restored

A checkpoint is the store at one version, in files of its own. It shares those with the
store that never change, on the same disks: what leaves the machine is what export sends.")]
pub(crate) struct CheckpointArgs {
    #[command(subcommand)]
    pub(crate) action: CheckpointAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointAction {
    /// Make a checkpoint of the newest version.
    Create(CreateArgs),
    /// List the checkpoints, oldest first; the store may be in use.
    List(ListArgs),
    /// Read every file of a checkpoint, and compare it with what it was.
    Verify(NamedArgs),
    /// Make a new store of a checkpoint, after verifying it.
    Restore(RestoreArgs),
    /// Delete a checkpoint.
    Delete(DeleteCheckpointArgs),
    /// Send a checkpoint to a directory, S3, Google Cloud Storage or Azure.
    Export(ExportArgs),
    /// Fetch a checkpoint that was exported.
    Import(ImportArgs),
}

/// A store's directory, whether or not the store can be opened.
#[derive(Args, Debug)]
#[command(next_help_heading = "Store")]
pub(crate) struct DirArgs {
    /// Directory of the store.
    #[arg(long, short, default_value = "./data", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle checkpoint create before-upgrade --dir /srv/node/state
  shingle checkpoint create before-upgrade --url http://127.0.0.1:9464 --token-file token")]
pub(crate) struct CreateArgs {
    /// Its name: letters, digits, '.', '_' and '-', up to 100.
    pub(crate) name: String,

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
  shingle checkpoint list --dir /srv/node/state
  shingle checkpoint list --at s3://backups/node-7")]
pub(crate) struct ListArgs {
    /// List what was exported to this place instead: a directory, s3://, gs:// or az://.
    #[arg(long, value_name = "PLACE", conflicts_with = "url")]
    pub(crate) at: Option<String>,

    #[command(flatten)]
    pub(crate) store: DirArgs,

    #[command(flatten)]
    pub(crate) node: DirNodeArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle checkpoint verify before-upgrade
  shingle checkpoint verify /srv/imported

Exits with 1 if anything is damaged. It repairs nothing.")]
pub(crate) struct NamedArgs {
    /// The checkpoint's name, or its directory if that has a '/' in it.
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: String,

    #[command(flatten)]
    pub(crate) store: DirArgs,

    #[command(flatten)]
    pub(crate) node: DirNodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle checkpoint restore before-upgrade --to /srv/restored
  shingle checkpoint restore /srv/imported --to /srv/node/state --shard-dir /mnt/a --shard-dir /mnt/b

The new store shares files that never change with the checkpoint where both are on one disk.")]
pub(crate) struct RestoreArgs {
    /// The checkpoint's name, or its directory if that has a '/' in it.
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: String,

    /// Directory of the new store: empty or missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,

    /// A directory for its shards, on a disk of its own for instance; several take turns [default: in its own]
    #[arg(long = "shard-dir", value_name = "DIR")]
    pub(crate) shard_dirs: Vec<PathBuf>,

    /// A directory for its commit log [default: in its own]
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,

    /// Copy every file, and share none with the checkpoint.
    #[arg(long)]
    pub(crate) copy: bool,

    #[command(flatten)]
    pub(crate) store: DirArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  shingle checkpoint delete before-upgrade")]
pub(crate) struct DeleteCheckpointArgs {
    /// The checkpoint's name.
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) store: DirArgs,

    #[command(flatten)]
    pub(crate) node: DirNodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle checkpoint export before-upgrade /mnt/backup
  AWS_REGION=eu-central-1 shingle checkpoint export before-upgrade s3://backups/node-7

Only files that are not there yet travel. What was cut short goes on where it was.
Credentials and endpoints come from the environment: AWS_ACCESS_KEY_ID, AWS_ENDPOINT,
GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME, …")]
pub(crate) struct ExportArgs {
    /// The checkpoint's name, or its directory if that has a '/' in it.
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: String,

    /// Where to: a directory, s3://, gs:// or az://.
    #[arg(value_name = "PLACE")]
    pub(crate) place: String,

    /// Its name there [default: the same]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) store: DirArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example: a new node's state
  shingle checkpoint import s3://backups/node-7 before-upgrade --to /srv/imported
  shingle checkpoint restore /srv/imported --to /srv/node/state

What was cut short goes on where it was. Every file is verified as it arrives.")]
pub(crate) struct ImportArgs {
    /// Where from: a directory, s3://, gs:// or az://.
    #[arg(value_name = "PLACE")]
    pub(crate) place: String,

    /// The checkpoint's name there.
    pub(crate) name: String,

    /// Directory for the checkpoint: empty or missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}
