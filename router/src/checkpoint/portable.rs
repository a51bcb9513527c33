//! A checkpoint as files that can be taken elsewhere: all of them below one directory, wherever its shards lay.

use super::list::Checkpoint;
use super::manifest::CheckpointManifest;
use crate::layout::CheckpointLayout;
use crate::{Error, Result, durable};
use std::path::{Path, PathBuf};

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    /// Its path below the checkpoint's directory, were all of them there.
    pub name: PathBuf,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// XXH3 of its contents, 128 bits, in hex.
    pub xxh3: String,
}

/// The files of the checkpoint in `dir`, which who reads them keeps from being deleted with [`CheckpointInUse`](super::CheckpointInUse), and the text of the manifest that it has where all of them lie below its directory.
///
/// # Errors
/// No checkpoint, or a damaged one.
pub fn checkpoint_files(dir: &Path) -> Result<(Vec<CheckpointFile>, String)> {
    let manifest = CheckpointManifest::load(dir)?;
    let moved = manifest.in_one_place();
    let file = |file| CheckpointFile {
        name: moved.path(Path::new(""), file),
        path: manifest.path(dir, file),
        bytes: file.bytes,
        xxh3: file.xxh3.clone(),
    };
    let text = moved.to_text()?;
    Ok((moved.files.iter().map(file).collect(), text))
}

/// The files that the manifest `text` names, were all of them below one directory.
///
/// # Errors
/// A damaged manifest.
pub fn parse_checkpoint(text: &[u8]) -> Result<Vec<CheckpointFile>> {
    let manifest = CheckpointManifest::parse(Path::new("CHECKPOINT"), text)?.in_one_place();
    let file = |file| {
        let name = manifest.path(Path::new(""), file);
        CheckpointFile { path: name.clone(), name, bytes: file.bytes, xxh3: file.xxh3.clone() }
    };
    Ok(manifest.files.iter().map(file).collect())
}

/// Makes a checkpoint of the files in `dir`, which are durable and those that the manifest `text` names; but not yet their names.
///
/// # Errors
/// A damaged manifest; I/O.
pub fn complete_checkpoint(dir: &Path, text: &[u8]) -> Result<Checkpoint> {
    let manifest = CheckpointManifest::parse(&CheckpointLayout { dir }.manifest(), text)?.in_one_place();
    let mut dirs: Vec<_> =
        manifest.files.iter().filter_map(|file| Some(manifest.path(dir, file).parent()?.to_owned())).collect();
    dirs.sort();
    dirs.dedup();
    for below in &dirs {
        durable::sync_dir(below)?;
        durable::create_dir_all(below).map_err(|error| Error::io("sync", below, error))?;
    }
    durable::create_dir_all(dir).map_err(|error| Error::io("sync", dir, error))?;
    manifest.store(dir)?;
    Ok(Checkpoint::new(dir, &manifest))
}
