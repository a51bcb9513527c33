//! Verifying a checkpoint: every file is read and compared with the manifest.

use super::contents::{Work, digest};
use super::list::Checkpoint;
use super::manifest::{CheckpointManifest, FileEntry};
use super::{CheckpointInUse, CheckpointProgress, NEVER};
use crate::workers::Workers;
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

/// What verifying a checkpoint found.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct CheckpointReport {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// What is wrong; empty: nothing.
    pub damage: Vec<FileDamage>,
}

/// A file that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileDamage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl CheckpointReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

/// Reads every file of the checkpoint in `dir`, and compares it with the checkpoint's manifest.
///
/// # Errors
/// No checkpoint; one whose manifest is damaged. What is wrong with its files is in the report.
pub fn verify_checkpoint(dir: &Path, progress: &(dyn Fn(CheckpointProgress) + Sync)) -> Result<CheckpointReport> {
    let _in_use = CheckpointInUse::begin(dir)?;
    let manifest = CheckpointManifest::load(dir)?;
    Ok(CheckpointReport { checkpoint: Checkpoint::new(dir, &manifest), damage: damage(dir, &manifest, progress)? })
}

pub(super) fn damage(
    dir: &Path,
    manifest: &CheckpointManifest,
    progress: &(dyn Fn(CheckpointProgress) + Sync),
) -> Result<Vec<FileDamage>> {
    let work = Work { done: AtomicU64::new(0), total: manifest.bytes(), tell: progress, stop: &NEVER };
    let workers = Workers::new()?;
    let check = |file: &FileEntry| {
        let path = manifest.path(dir, file);
        check(&path, file, &work).err().map(|what| FileDamage { path, what })
    };
    Ok(workers.upkeep.run(|| manifest.files.par_iter().filter_map(check).collect()))
}

fn check(path: &Path, file: &FileEntry, work: &Work<'_>) -> Result<(), String> {
    let metadata = path.symlink_metadata().map_err(|error| format!("it cannot be read: {error}"))?;
    // What a link leads to is not this checkpoint's, and what is no file may never end.
    if !metadata.is_file() {
        work.skip(file.bytes);
        let what = if metadata.is_symlink() { "a symbolic link" } else { "something else" };
        return Err(format!("it is {what}, and was a file"));
    }
    if metadata.len() != file.bytes {
        work.skip(file.bytes);
        return Err(format!("it has {} bytes, and had {}", metadata.len(), file.bytes));
    }
    let digest = digest(path, work).map_err(|error: Error| error.to_string())?;
    if digest.xxh3 == file.xxh3 { Ok(()) } else { Err("its contents do not match their hash".to_owned()) }
}
