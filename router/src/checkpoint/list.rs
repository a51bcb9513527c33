//! Which checkpoints a store has, and their end.

use super::in_use::Deleting;
use super::manifest::CheckpointManifest;
use super::name::Name;
use crate::blocks::SealedBlock;
use crate::core::Core;
use crate::creating::Creating;
use crate::layout::{CheckpointLayout, Layout, part_beside, shard_name, store_id_text};
use crate::lock::StoreLock;
use crate::manifest::Manifest;
use crate::{Error, Result, durable};
use shingle_shard::Version;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A checkpoint, as its manifest tells it. Whether its files are as they were, only
/// [`verify_checkpoint`](super::verify_checkpoint) tells.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// The version that it holds; 0 if it is damaged.
    pub version: Version,
    /// The newest block at that version.
    pub block: Option<SealedBlock>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Whether it was made by the number of blocks, and will be deleted when there are too many of those.
    pub automatic: bool,
    /// How many shards its store has.
    pub shards: usize,
    /// How many files it has.
    pub files: usize,
    /// Bytes of all its files. Those that the store still uses, or another checkpoint, take no room of their own.
    pub bytes: u64,
    /// Why its manifest cannot be read; `None`: it was.
    pub damage: Option<String>,
}

impl Checkpoint {
    pub(super) fn new(dir: &Path, manifest: &CheckpointManifest) -> Self {
        Checkpoint {
            name: manifest.name.clone(),
            path: dir.to_owned(),
            version: manifest.version,
            block: manifest.block,
            created_ms: manifest.created_ms,
            automatic: manifest.automatic,
            shards: manifest.parts.len(),
            files: manifest.files.len(),
            bytes: manifest.bytes(),
            damage: None,
        }
    }

    fn damaged(dir: &Path, name: &str, error: &Error) -> Self {
        Checkpoint {
            name: name.to_owned(),
            path: dir.to_owned(),
            version: 0,
            block: None,
            created_ms: 0,
            automatic: false,
            shards: 0,
            files: 0,
            bytes: 0,
            damage: Some(error.to_string()),
        }
    }
}

/// Where the store in `store_dir` has its checkpoint `name`.
///
/// # Errors
/// A name that no checkpoint can have.
pub fn checkpoint_path(store_dir: &Path, name: &str) -> Result<PathBuf> {
    Ok(Layout { dir: store_dir }.checkpoints().join(Name::new(name)?.as_str()))
}

/// The checkpoints of the store in `store_dir`, oldest first, whether or not it is open. Unfinished ones are not among them.
///
/// # Errors
/// A directory that cannot be read.
pub fn checkpoints(store_dir: &Path) -> Result<Vec<Checkpoint>> {
    let mut found = Vec::new();
    for (name, dir) in directories(store_dir)? {
        match CheckpointManifest::load(&dir) {
            // By the name of its directory, by which it is found: a copy has the manifest of what it is a copy of.
            Ok(manifest) => found.push(Checkpoint { name, ..Checkpoint::new(&dir, &manifest) }),
            Err(Error::NoSuchCheckpoint { .. }) => {}
            Err(error) => found.push(Checkpoint::damaged(&dir, &name, &error)),
        }
    }
    found.sort_by(|a, b| (a.version, a.created_ms, &a.name).cmp(&(b.version, b.created_ms, &b.name)));
    Ok(found)
}

/// Deletes a checkpoint of the store in `store_dir`, which nobody has open.
///
/// # Errors
/// A store that is open; no such checkpoint, or one that is being read; I/O.
pub fn delete_checkpoint(store_dir: &Path, name: &str) -> Result<()> {
    let dir = checkpoint_path(store_dir, name)?;
    if !Manifest::is_there(store_dir)? {
        return Err(Error::not_a_store(store_dir));
    }
    let _lock = StoreLock::acquire(store_dir)?;
    // It may be damaged: a checkpoint that can be read does not need it.
    delete(&dir, name, Manifest::load(store_dir).ok().as_ref())
}

impl Core {
    pub(crate) fn delete_checkpoint(&self, name: &str) -> Result<()> {
        let disk = self.disk.as_ref().ok_or(Error::InMemory { what: "delete a checkpoint of" })?;
        let _not_while_one_is_made = self.checkpoints.making.lock();
        let store = disk.manifest.lock().clone();
        let deleted = delete(&checkpoint_path(&disk.dir, name)?, name, Some(&store));
        self.checkpoints.changed();
        deleted
    }

    pub(crate) fn list_checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.disk.as_ref().map_or_else(|| Ok(Vec::new()), |disk| checkpoints(&disk.dir))
    }
}

/// The directories of the shards' parts: relative to the checkpoint's where they lie inside.
pub(super) fn parts(shards: &[PathBuf], name: &str) -> Vec<PathBuf> {
    let part = |(number, shard): (usize, &PathBuf)| match shard.is_absolute() {
        true => part_beside(shard, name),
        false => Path::new("shards").join(shard_name(number)),
    };
    shards.iter().enumerate().map(part).collect()
}

/// 1. Nobody reads it. 2. The marker says what there is to remove. 3. Without its manifest it is no checkpoint. 4. Its files go; if that is cut short, as
///    those of one that was cut short while it was made.
fn delete(dir: &Path, name: &str, store: Option<&Manifest>) -> Result<()> {
    if !CheckpointManifest::is_there(dir)? {
        return Err(Error::NoSuchCheckpoint { path: dir.to_owned() });
    }
    if dir.is_symlink() {
        let what = format!("{} is a symbolic link: remove it by hand, and what it leads to", dir.display());
        return Err(Error::InvalidArgument { what });
    }
    let _deleting = Deleting::begin(dir)?;
    let parts = match CheckpointManifest::load(dir) {
        Ok(manifest) if is_copy(dir, name, &manifest, store)? => {
            manifest.parts.into_iter().filter(|part| part.is_relative()).collect()
        }
        Ok(manifest) => manifest.parts,
        // A manifest that cannot be read names no parts: they are where they would be made today.
        Err(_) => parts(store.map_or(&[], |store| &store.shards), name),
    };
    Creating::of_dirs(&parts)?.store(&Layout { dir })?;
    fail::fail_point!("checkpoint::delete::after_marker");
    let path = CheckpointLayout { dir }.manifest();
    let removed = fs::remove_file(&path).and_then(|()| durable::sync_name(&path));
    removed.map_err(|error| Error::io("remove", &path, error))?;
    fail::fail_point!("checkpoint::delete::after_manifest");
    remove(dir)
}

/// Whether somebody has put it there, as a copy of another checkpoint or of another store's: what lies elsewhere belongs to that one.
fn is_copy(dir: &Path, name: &str, manifest: &CheckpointManifest, store: Option<&Manifest>) -> Result<bool> {
    let of_another_store = store.is_some_and(|store| store_id_text(&store.store_id) != manifest.store_id);
    Ok(of_another_store || manifest.name != name && CheckpointManifest::is_there(&dir.with_file_name(&manifest.name))?)
}

/// Removes what a checkpoint that was cut short has left.
pub(super) fn remove(dir: &Path) -> Result<()> {
    let layout = Layout { dir };
    for part in Creating::load(&layout)?.iter().flat_map(|left| left.dirs(dir)) {
        // RocksDB makes a checkpoint under this name first.
        let mut unnamed = part.clone().into_os_string();
        unnamed.push(".tmp");
        remove_dir(&part)?;
        remove_dir(Path::new(&unnamed))?;
        fail::fail_point!("checkpoint::delete::half");
    }
    remove_dir(dir)?;
    durable::sync_name(dir).map_err(|error| Error::io("sync", dir, error))
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", dir, error)),
        _ => Ok(()),
    }
}

/// The store or the checkpoint that `path` is, or lies in: what is put there is in its way, or is removed with it.
///
/// # Errors
/// A path that cannot be made absolute.
pub fn store_around(path: &Path) -> Result<Option<PathBuf>> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io("resolve", path, error))?;
    // Where symbolic links lead, as far as it exists.
    let real = |above: &Path| Some(above.canonicalize().ok()?.join(absolute.strip_prefix(above).ok()?));
    let real = absolute.ancestors().find_map(real).unwrap_or_else(|| absolute.clone());
    let around = real.ancestors().find(|dir| Manifest::load(dir).is_ok() || CheckpointManifest::load(dir).is_ok());
    Ok(around.map(|dir| dir.components().collect()))
}

/// Whether a directory holds nothing but what the making of a checkpoint leaves.
fn is_unfinished(dir: &Path) -> Result<bool> {
    let layout = CheckpointLayout { dir };
    if CheckpointManifest::is_there(dir)? {
        return Ok(false);
    }
    let ours = [Layout { dir }.creating(), layout.manifest_new(), layout.store(), dir.join("shards")];
    let entries = fs::read_dir(dir).map_err(|error| Error::io("list", dir, error))?;
    for entry in entries {
        if !ours.contains(&entry.map_err(|error| Error::io("list", dir, error))?.path()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the checkpoints that were cut short while they were made or deleted. Only who holds the store may.
pub(crate) fn remove_unfinished(store_dir: &Path) -> Result<()> {
    for (_, dir) in directories(store_dir)? {
        // What else somebody has put there stays.
        if !dir.is_symlink() && is_unfinished(&dir)? {
            remove(&dir)?;
        }
    }
    Ok(())
}

/// The names of the checkpoints, without a look into them.
pub(super) fn names(store_dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (name, dir) in directories(store_dir)? {
        if CheckpointManifest::is_there(&dir)? {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn directories(store_dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let dir = Layout { dir: store_dir }.checkpoints();
    let entries = match fs::read_dir(&dir) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(|error| Error::io("list", &dir, error))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("list", &dir, error))?;
        // What has another name is not ours.
        if let Some(name) = entry.file_name().to_str().filter(|name| Name::new(name).is_ok() && entry.path().is_dir()) {
            found.push((name.to_owned(), entry.path()));
        }
    }
    Ok(found)
}
