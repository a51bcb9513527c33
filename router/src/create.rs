//! Making a new store.

use crate::blocks::BlocksFile;
use crate::layout::{Layout, shard_name};
use crate::lock::StoreLock;
use crate::log::{Log, LogOptions};
use crate::manifest::Manifest;
use crate::open::{OpenOptions, SHARDS_DEFAULT, open_locked, within_file_limit};
use crate::slot::{SLOTS_DEFAULT, SlotMap};
use crate::store::Store;
use crate::{Error, Result};
use rayon::prelude::*;
use shingle_shard::backend::{RocksBackend, RocksShared};
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

/// Makes a store and opens it.
///
/// 1. The directory must hold nothing, or what an earlier attempt left: the marker says which directories those are, and is written
///    before any of them.
/// 2. Shards, log and block index are made.
/// 3. The manifest makes it a store; it is renamed into place, so that it is whole or not there.
/// 4. The marker goes.
pub(crate) fn create(layout: &Layout, options: OpenOptions) -> Result<Store> {
    let dir = layout.dir();
    let shards = options.shards.unwrap_or(SHARDS_DEFAULT);
    let rocks = within_file_limit(&options.rocks, shards)?;
    let manifest = new_manifest(layout, &options, shards);
    clear_for(layout, &manifest)?;
    fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    let lock = StoreLock::acquire(dir)?;
    // Somebody else may have made the store while this one waited for nothing.
    if layout.manifest().exists() {
        return open_locked(layout, lock, options);
    }
    write_marker(layout, &manifest)?;
    fail::fail_point!("create::after_marker");
    let shared = RocksShared::new(&rocks, shards)?;
    manifest.shard_paths(layout).par_iter().enumerate().try_for_each(|(number, path)| {
        fs::create_dir_all(path).map_err(|error| Error::io("create", path, error))?;
        RocksBackend::create(path, &manifest.identity(number), &rocks, &shared)?;
        Ok::<(), Error>(())
    })?;
    drop(shared);
    let log_options = LogOptions::new(manifest.log_path(layout), manifest.store_id, options.router.segment_bytes);
    Log::create(log_options, 0)?;
    BlocksFile::create(layout, manifest.store_id)?;
    fail::fail_point!("create::before_manifest");
    manifest.store(layout)?;
    fail::fail_point!("create::after_manifest");
    fs::remove_file(layout.creating()).map_err(|error| Error::io("remove", &layout.creating(), error))?;
    open_locked(layout, lock, options)
}

fn new_manifest(layout: &Layout, options: &OpenOptions, shards: usize) -> Manifest {
    let slots = options.slots.unwrap_or(SLOTS_DEFAULT);
    let shard_dir = |number: usize| match options.shard_dirs.as_slice() {
        [] => layout.shard_relative(number),
        dirs => absolute(&dirs[number % dirs.len()]).join(shard_name(number)),
    };
    Manifest {
        store_id: random_id(),
        epoch: 0,
        routing_key: options.routing_key.unwrap_or_default(),
        shards: (0..shards).map(shard_dir).collect(),
        log_dir: options.log_dir.as_deref().map_or_else(|| layout.log_relative(), absolute),
        slot_map: SlotMap::even(slots, shards),
        floor: 0,
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Random enough to tell stores apart: the hasher's keys come from the system.
fn random_id() -> [u8; 16] {
    let half = || RandomState::new().build_hasher().finish().to_le_bytes();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&half());
    id[8..].copy_from_slice(&half());
    id
}

/// Refuses a directory that holds anything but what an unfinished attempt has left, and removes that.
fn clear_for(layout: &Layout, manifest: &Manifest) -> Result<()> {
    let marker = layout.creating();
    if let Ok(text) = fs::read_to_string(&marker) {
        for left in text.lines().map(Path::new).filter(|path| path.exists()) {
            fs::remove_dir_all(left).map_err(|error| Error::io("remove", left, error))?;
        }
        return Ok(());
    }
    let mut places = manifest.shard_paths(layout);
    places.push(manifest.log_path(layout));
    for place in &places {
        if !is_empty(place)? {
            return Err(Error::Occupied { path: place.clone(), what: "the directory is not empty".into() });
        }
    }
    let dir = layout.dir();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| Error::io("read", dir, error))?,
    };
    for entry in entries {
        let path = entry.map_err(|error| Error::io("read", dir, error))?.path();
        let ours = path == layout.lock() || places.iter().any(|place| place.starts_with(&path));
        if !ours {
            let what = format!("it holds {} and no MANIFEST, so it is not a store", path.display());
            return Err(Error::Occupied { path: dir.to_owned(), what });
        }
    }
    Ok(())
}

fn is_empty(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io("read", dir, error)),
    }
}

/// The directories that the attempt is about to make, one a line.
fn write_marker(layout: &Layout, manifest: &Manifest) -> Result<()> {
    let mut paths = manifest.shard_paths(layout);
    paths.push(manifest.log_path(layout));
    let text: String = paths.iter().map(|path| format!("{}\n", absolute(path).display())).collect();
    crate::durable::write(&layout.creating(), text.as_bytes())
}
