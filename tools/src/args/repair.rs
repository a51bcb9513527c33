//! Arguments of `shingle repair`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle repair --dir /srv/node/state
  shingle repair /srv/node/state

The store must be closed. Everything happens on a copy beside it, which shares the files that
never change; nothing of the store itself is written.

Exits with 0 if the store is sound, and with 1 if anything is damaged.")]
pub(crate) struct RepairArgs {
    /// Directory of the store, as --dir says it too.
    #[arg(value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Directory of the store.
    #[arg(long, short, default_value = "./data", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}
