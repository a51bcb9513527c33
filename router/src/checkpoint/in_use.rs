//! Who reads a checkpoint keeps it from being deleted, in whatever process either is: both lock the file `CHECKPOINT`, which is deleted first.

use super::manifest::CheckpointManifest;
use crate::layout::CheckpointLayout;
use crate::{Error, Result};
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// A checkpoint that is being read: it is not deleted before this is dropped.
#[derive(Debug)]
pub struct CheckpointInUse(#[expect(dead_code, reason = "the lock lasts as long as it")] Held);

impl CheckpointInUse {
    /// Begins to read the checkpoint in `dir`.
    ///
    /// # Errors
    /// No checkpoint, or one that is being deleted.
    pub fn begin(dir: &Path) -> Result<Self> {
        let manifest = open(dir)?;
        let locked = manifest.try_lock_shared();
        let gone = || Error::NoSuchCheckpoint { path: dir.to_owned() };
        let held = Held::of(manifest, locked).ok_or_else(gone)?;
        // It may have been deleted between the opening and the lock.
        if CheckpointManifest::is_there(dir)? { Ok(CheckpointInUse(held)) } else { Err(gone()) }
    }
}

/// A checkpoint that is being deleted: nobody begins to read it.
#[derive(Debug)]
pub(super) struct Deleting(#[expect(dead_code, reason = "the lock lasts as long as it")] Held);

impl Deleting {
    /// Refused with [`Error::CheckpointInUse`] while somebody reads it.
    pub(super) fn begin(dir: &Path) -> Result<Self> {
        let manifest = open(dir)?;
        let locked = manifest.try_lock();
        let in_use = || Error::CheckpointInUse { path: dir.to_owned() };
        Held::of(manifest, locked).map(Deleting).ok_or_else(in_use)
    }
}

/// `None`: the file system has no locks, and nobody is kept away.
#[derive(Debug)]
struct Held(Option<File>);

impl Held {
    /// `None`: others have it.
    fn of(manifest: File, locked: Result<(), TryLockError>) -> Option<Self> {
        match locked {
            Ok(()) => Some(Held(Some(manifest))),
            Err(TryLockError::Error(_)) => Some(Held(None)),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing is not enough: a process that is being started elsewhere in this one has a copy of the file until it runs its program.
        if let Some(manifest) = &self.0 {
            manifest.unlock().ok();
        }
    }
}

fn open(dir: &Path) -> Result<File> {
    let path = CheckpointLayout { dir }.manifest();
    match File::open(&path) {
        Ok(manifest) => Ok(manifest),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(Error::NoSuchCheckpoint { path: dir.to_owned() })
        }
        Err(error) => Err(Error::io("read", &path, error)),
    }
}
