//! Making a new store.

use crate::blocks::BlocksFile;
use crate::layout::{Layout, shard_name};
use crate::lock::StoreLock;
use crate::log::Log;
use crate::manifest::{Manifest, new_store_id, relative_to_store};
use crate::open::{OpenOptions, SHARDS_DEFAULT, log_options, open_locked, within_file_limit};
use crate::slot::{SLOTS_DEFAULT, SlotMap};
use crate::store::Store;
use crate::workers::Workers;
use crate::{Error, Result};
use rayon::prelude::*;
use shingle_shard::backend::{RocksBackend, RocksShared};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes a store and opens it.
///
/// 1. The directory must hold nothing, or what an earlier attempt left: the marker says which directories those are, and is written
///    before any of them.
/// 2. Shards, log and block index are made.
/// 3. The manifest makes it a store; it is renamed into place, so that it is whole or not there.
/// 4. The marker goes.
pub(crate) fn create(layout: &Layout<'_>, options: OpenOptions) -> Result<Store> {
    let dir = layout.dir;
    let shards = options.shards.unwrap_or(SHARDS_DEFAULT);
    let rocks = within_file_limit(&options.rocks, shards)?;
    let manifest = new_manifest(layout, &options, shards)?;
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
    let make_shard = |(number, path): (usize, &PathBuf)| {
        fs::create_dir_all(path).map_err(|error| Error::io("create", path, error))?;
        RocksBackend::create(path, &manifest.identity(number), &rocks, &shared)?;
        Ok::<(), Error>(())
    };
    let paths = manifest.shard_dirs(dir);
    Workers::new(shards)?.upkeep.run(|| paths.par_iter().enumerate().try_for_each(make_shard))?;
    drop(shared);
    let log_options = log_options(layout, &manifest, &options);
    Log::create(log_options, 0)?.close(1)?;
    BlocksFile::create(dir, manifest.store_id)?;
    fail::fail_point!("create::before_manifest");
    manifest.store(dir)?;
    fail::fail_point!("create::after_manifest");
    fs::remove_file(layout.creating()).map_err(|error| Error::io("remove", &layout.creating(), error))?;
    open_locked(layout, lock, options)
}

fn new_manifest(layout: &Layout<'_>, options: &OpenOptions, shards: usize) -> Result<Manifest> {
    let slots = options.slots.unwrap_or(SLOTS_DEFAULT);
    let shard_dir = |number: usize| match options.shard_dirs.as_slice() {
        [] => layout.shard(number),
        dirs => dirs[number % dirs.len()].join(shard_name(number)),
    };
    let relative = |path: PathBuf| relative_to_store(layout.dir, &path);
    Ok(Manifest {
        store_id: new_store_id()?,
        epoch: 0,
        routing_key: options.routing_key.unwrap_or_default(),
        shards: (0..shards).map(shard_dir).map(relative).collect::<Result<_>>()?,
        log_dir: relative(options.log_dir.clone().unwrap_or_else(|| layout.log()))?,
        slot_map: SlotMap::even(slots, shards),
        floor: 0,
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Refuses a directory that holds anything but what an unfinished attempt has left, and removes that.
fn clear_for(layout: &Layout<'_>, manifest: &Manifest) -> Result<()> {
    let marker = layout.creating();
    if let Ok(text) = fs::read_to_string(&marker) {
        for left in text.lines().map(Path::new).filter(|path| path.exists()) {
            fs::remove_dir_all(left).map_err(|error| Error::io("remove", left, error))?;
        }
        return Ok(());
    }
    let mut places = manifest.shard_dirs(layout.dir);
    places.push(manifest.log_dir(layout.dir));
    for place in &places {
        if !is_empty(place)? {
            return Err(Error::Occupied { path: place.clone(), what: "the directory is not empty".into() });
        }
    }
    let dir = layout.dir;
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
fn write_marker(layout: &Layout<'_>, manifest: &Manifest) -> Result<()> {
    let mut paths = manifest.shard_dirs(layout.dir);
    paths.push(manifest.log_dir(layout.dir));
    let text: String = paths.iter().map(|path| format!("{}\n", absolute(path).display())).collect();
    crate::durable::write(&layout.creating(), text.as_bytes())
}
