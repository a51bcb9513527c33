//! Checkpoints: the store at one version, in files of its own, made while commits go on.
//!
//! ```text
//! DIR/checkpoints/NAME/
//!   CHECKPOINT      the manifest: every file with its size and hash; written last, so that what has none is no checkpoint
//!   CREATING        while it is made or deleted: which directories that leaves behind
//!   store/          MANIFEST, blocks, log/: as a store has them; the log holds what the shards' files do not have yet
//!   shards/NNN/     a shard's files; hard links, where they never change
//! SHARD.checkpoints/NAME/    the same, beside a shard that is not below DIR
//! ```

mod automatic;
mod contents;
mod create;
mod in_use;
mod list;
mod manifest;
mod name;
mod portable;
mod restore;
mod verify;

pub use automatic::CheckpointStats;
pub(crate) use automatic::Checkpoints;
pub use in_use::CheckpointInUse;
pub(crate) use list::remove_unfinished;
pub use list::{Checkpoint, checkpoint_path, checkpoints, delete_checkpoint, store_around};
pub use portable::{CheckpointFile, checkpoint_files, complete_checkpoint, parse_checkpoint};
pub use restore::{RestoreOptions, Restored, restore};
pub use verify::{CheckpointReport, FileDamage, verify_checkpoint};

use std::sync::atomic::AtomicBool;

/// How far work on a checkpoint's files is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CheckpointProgress {
    /// Bytes done.
    pub bytes: u64,
    /// Bytes that there are to do.
    pub bytes_total: u64,
}

/// For work that nobody stops.
static NEVER: AtomicBool = AtomicBool::new(false);
