//! Checkpoints of a store, and stores made of them.

use crate::Database;
use shingle_router::{Checkpoint, CheckpointProgress, CheckpointReport, RestoreOptions, Restored, Result};
use std::path::{Path, PathBuf};

/// Checkpoints.
impl Database {
    /// Makes a checkpoint of the newest version, under a name that no other has: all shards at one version, with everything that can be read below it.
    /// Commits go on meanwhile; flushes and rollbacks wait while files are linked.
    ///
    /// A name has up to 100 ASCII letters, digits, `.`, `_` and `-`, and begins with a letter or a digit.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use shingle::{Database, RestoreOptions};
    /// let db = Database::open(dir.path().join("state"))?;
    /// db.transact(|txn| txn.put("greeting", "hello"))?;
    /// let checkpoint = db.checkpoint("before-upgrade")?;
    /// db.transact(|txn| txn.put("greeting", "goodbye"))?;
    ///
    /// let then = dir.path().join("restored");
    /// Database::restore(&checkpoint.path, &then, &RestoreOptions::default(), &|_| {})?;
    /// assert_eq!(Database::open(then)?.get("greeting")?.as_deref(), Some(b"hello".as_slice()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a name that no checkpoint can have, or that one has, and for a store in memory; `NoSpace`; `Io`; `Closed` if the store is closed
    /// meanwhile, which does not wait for it. Nothing of it remains then.
    pub fn checkpoint(&self, name: &str) -> Result<Checkpoint> {
        self.checkpoint_with(name, &|_| {})
    }

    /// As [`Database::checkpoint`]; tells how far hashing the files is, which is most of the work.
    ///
    /// # Errors
    /// As [`Database::checkpoint`].
    pub fn checkpoint_with(&self, name: &str, progress: &(dyn Fn(CheckpointProgress) + Sync)) -> Result<Checkpoint> {
        self.store.checkpoint(name, progress)
    }

    /// The checkpoints, those made by name and by the number of blocks, oldest first.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.store.checkpoints()
    }

    /// Deletes a checkpoint.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none of this name, or a symbolic link in its place; `Locked` while it is exported, verified or restored; `Io`.
    pub fn delete_checkpoint(&self, name: &str) -> Result<()> {
        self.store.delete_checkpoint(name)
    }

    /// The checkpoints of the store in `dir`, oldest first, whether or not it is open, or could be.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn checkpoints_in(dir: impl AsRef<Path>) -> Result<Vec<Checkpoint>> {
        shingle_router::checkpoints(dir.as_ref())
    }

    /// Where the store in `dir` has its checkpoint `name`.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that no checkpoint can have.
    pub fn checkpoint_path(dir: impl AsRef<Path>, name: &str) -> Result<PathBuf> {
        shingle_router::checkpoint_path(dir.as_ref(), name)
    }

    /// Deletes a checkpoint of the store in `dir`, which nobody has open.
    ///
    /// # Errors
    /// As [`Database::delete_checkpoint`]; `NotAStore`; `Locked` while somebody has it open.
    pub fn delete_checkpoint_in(dir: impl AsRef<Path>, name: &str) -> Result<()> {
        shingle_router::delete_checkpoint(dir.as_ref(), name)
    }

    /// Reads every file of the checkpoint in the directory `checkpoint`, and compares it with what it was: one flipped bit is found. `progress` is called from
    /// several threads.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none; `Damaged` if its manifest is. What is wrong with its files is in the report.
    pub fn verify_checkpoint(
        checkpoint: impl AsRef<Path>,
        progress: &(dyn Fn(CheckpointProgress) + Sync),
    ) -> Result<CheckpointReport> {
        shingle_router::verify_checkpoint(checkpoint.as_ref(), progress)
    }

    /// Makes a store in `target`, which must be empty or missing, of the checkpoint in the directory `checkpoint`. Every file is verified first. The new
    /// store has exactly the checkpoint's version, with history and blocks. It is another store: it has an id of its own, and numbers its commits from
    /// there on by itself.
    ///
    /// # Errors
    /// `InvalidArgument` if there is no checkpoint, or something in `target`; `Damaged`, and nothing is made; `NoSpace`; `Io`. What an attempt that was cut
    /// short has left, the next one removes.
    pub fn restore(
        checkpoint: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: &RestoreOptions,
        progress: &(dyn Fn(CheckpointProgress) + Sync),
    ) -> Result<Restored> {
        shingle_router::restore(checkpoint.as_ref(), target.as_ref(), options, progress)
    }
}

/// Repair.
impl Database {
    /// Examines the store in `dir`, which nobody has open: shard by shard, the log and the block index. What is damaged in a shard is given to RocksDB's own repair,
    /// on a copy, and the result is verified. Says which is the newest checkpoint that is sound, if anything is damaged. Of the store itself nothing
    /// is changed. `progress` is told what is being looked at.
    ///
    /// # Errors
    /// No store, or one that is open; a full disk; I/O. What is wrong with the store is in the report.
    pub fn repair(dir: impl AsRef<Path>, progress: &dyn Fn(&str)) -> Result<shingle_router::RepairReport> {
        shingle_router::repair(dir.as_ref(), progress)
    }
}
