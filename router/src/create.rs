//! Making a new store.

use crate::blocks::BlocksFile;
use crate::creating::Creating;
use crate::layout::{Layout, shard_name};
use crate::lock::StoreLock;
use crate::log::Log;
use crate::manifest::{Manifest, new_store_id, relative_to_store};
use crate::open::{OpenOptions, SHARDS_DEFAULT, log_options, open_locked, within_file_limit};
use crate::slot::{SLOTS_DEFAULT, SlotMap};
use crate::store::Store;
use crate::workers::Workers;
use crate::{Error, Result, durable};
use rayon::prelude::*;
use shingle_shard::backend::{RocksBackend, RocksShared};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Makes a store and opens it.
///
/// 1. The directory must hold nothing, or what an earlier attempt left: the marker `CREATING` says which directories those are, and
///    is written before any of them.
/// 2. Shards, log and block index are made.
/// 3. The manifest makes it a store; it is renamed into place, so that it is whole or not there.
/// 4. The marker goes.
pub(crate) fn create(layout: &Layout<'_>, options: OpenOptions) -> Result<Store> {
    let dir = layout.dir;
    let shards = options.shards.unwrap_or(SHARDS_DEFAULT);
    let rocks = within_file_limit(&options.rocks, shards)?;
    let manifest = new_manifest(layout, &options, shards)?;
    let creating = Creating::of(&manifest)?;
    // The lock is a file: where something else lies, not even that is made. Somebody else may be making the store just now.
    let is_being_made = || layout.creating().exists() || layout.manifest().exists();
    check_free(layout, &manifest, None).or_else(|refusal| if is_being_made() { Ok(()) } else { Err(refusal) })?;
    durable::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    let lock = StoreLock::acquire(dir)?;
    // Somebody else may have made the store while this one waited for nothing.
    if Manifest::is_there(dir)? {
        return open_locked(layout, lock, options);
    }
    // Only who holds the lock may remove anything: what was left behind may be in the making elsewhere until then.
    let left = Creating::load(layout)?;
    remove_left(layout, left.as_ref())?;
    check_free(layout, &manifest, left.as_ref())?;
    creating.store(layout)?;
    fail::fail_point!("create::after_marker");
    let shared = RocksShared::new(&rocks, shards)?;
    let make_shard = |(number, path): (usize, &PathBuf)| {
        durable::create_dir_all(path).map_err(|error| Error::io("create", path, error))?;
        RocksBackend::create(path, &manifest.identity(number), &rocks, &shared)?;
        Ok::<(), Error>(())
    };
    let paths = manifest.shard_dirs(dir);
    Workers::new()?.upkeep.run(|| paths.par_iter().enumerate().try_for_each(make_shard))?;
    drop(shared);
    let log_options = log_options(layout, &manifest, &options);
    Log::create(log_options, 0)?.close(1)?;
    BlocksFile::create(dir, manifest.store_id)?;
    fail::fail_point!("create::before_manifest");
    manifest.store(dir)?;
    fail::fail_point!("create::after_manifest");
    Creating::remove(layout)?;
    open_locked(layout, lock, options)
}

pub(crate) fn new_manifest(layout: &Layout<'_>, options: &OpenOptions, shards: usize) -> Result<Manifest> {
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
        rebalance: None,
    })
}

/// Removes what an attempt that was cut short has left.
pub(crate) fn remove_left(layout: &Layout<'_>, left: Option<&Creating>) -> Result<()> {
    let Some(left) = left else { return Ok(()) };
    let gone = |path: PathBuf, removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, error)),
        _ => Ok(()),
    };
    left.dirs(layout.dir).try_for_each(|dir| gone(dir.clone(), fs::remove_dir_all(&dir)))?;
    [layout.blocks(), layout.manifest_new()].into_iter().try_for_each(|file| gone(file.clone(), fs::remove_file(&file)))
}

/// Refuses places that hold anything. If no attempt has `left` anything, the store's own directory must hold nothing else either.
pub(crate) fn check_free(layout: &Layout<'_>, manifest: &Manifest, left: Option<&Creating>) -> Result<()> {
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
    for entry in entries.filter(|_| left.is_none()) {
        let path = entry.map_err(|error| Error::io("read", dir, error))?.path();
        let ours = [layout.lock(), layout.creating()].contains(&path);
        if !ours && !places.iter().any(|place| place.starts_with(&path)) {
            let what = format!("it holds {} and no MANIFEST, so it is not a store", path.display());
            return Err(Error::Occupied { path: dir.to_owned(), what });
        }
    }
    Ok(())
}

pub(crate) fn is_empty(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io("read", dir, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, ErrorKind};
    use std::sync::Barrier;

    fn two_shards() -> OpenOptions {
        OpenOptions { shards: Some(2), ..OpenOptions::default() }
    }

    /// What an attempt leaves that was cut short before its manifest.
    fn leave(layout: &Layout<'_>, options: &OpenOptions) -> Result<()> {
        let manifest = new_manifest(layout, options, 2)?;
        Creating::of(&manifest)?.store(layout)?;
        for dir in manifest.shard_dirs(layout.dir) {
            fs::create_dir_all(dir.join("left")).expect("a writable directory");
        }
        fs::write(layout.blocks(), "left").expect("a writable directory");
        Ok(())
    }

    fn put(store: &Store, key: &str) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key, "value");
        store.submit(None, &batch)?.wait().map(drop)
    }

    #[test]
    fn of_many_at_once_one_makes_the_store_and_nobody_removes_what_it_makes() -> Result<()> {
        let temp = tempfile::tempdir().expect("a temporary directory");
        for round in 0..8 {
            let dir = temp.path().join(round.to_string());
            let start = Barrier::new(4);
            let made: Vec<_> = std::thread::scope(|scope| {
                let attempt = || {
                    start.wait();
                    Store::open(&dir, two_shards())
                };
                let attempts: Vec<_> = (0..4).map(|_| scope.spawn(attempt)).collect();
                attempts.into_iter().map(|attempt| attempt.join().expect("no panic in it")).collect()
            });
            let kinds: Vec<_> = made.iter().map(|made| made.as_ref().map(drop).map_err(Error::kind)).collect();
            let refused = kinds.iter().filter(|kind| **kind == Err(ErrorKind::Locked)).count();
            assert_eq!(refused, 3, "{kinds:?}");
            let store = made.into_iter().find_map(Result::ok).expect("one is not refused");
            put(&store, "key")?;
            store.flush()?;
            put(&store, "another")?;
            drop(store);
            let store = Store::open(&dir, two_shards())?;
            assert!(store.get(b"key")?.is_some() && store.get(b"another")?.is_some());
        }
        Ok(())
    }

    #[test]
    fn what_an_attempt_left_is_removed_and_nothing_else() -> Result<()> {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = temp.path().join("store");
        let layout = Layout { dir: &dir };
        fs::create_dir(&dir).expect("a writable directory");
        leave(&layout, &two_shards())?;
        // Somebody's files, where the next attempt wants its shards: they are there after it, and after the one that follows.
        let theirs = temp.path().join("theirs");
        fs::create_dir_all(theirs.join("001")).expect("a writable directory");
        fs::write(theirs.join("001/file"), "theirs").expect("a writable directory");
        for _ in 0..2 {
            let elsewhere = OpenOptions { shard_dirs: vec![theirs.clone()], ..two_shards() };
            assert!(matches!(Store::open(&dir, elsewhere), Err(Error::Occupied { .. })));
            assert!(theirs.join("001/file").exists());
        }
        leave(&layout, &two_shards())?;
        put(&Store::open(&dir, two_shards())?, "key")?;
        assert!(!layout.creating().exists());
        Ok(())
    }

    #[test]
    fn a_marker_that_was_cut_short_removes_nothing() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = temp.path().join("store");
        let layout = Layout { dir: &dir };
        let theirs = temp.path().join("theirs");
        fs::create_dir_all(theirs.join("000")).expect("a writable directory");
        fs::create_dir(&dir).expect("a writable directory");
        // The path of a shard in it, as far as the disk had room.
        fs::write(layout.creating(), theirs.as_os_str().as_encoded_bytes()).expect("a writable directory");
        assert!(Store::open(&dir, two_shards()).is_ok());
        assert!(theirs.join("000").exists());
    }

    #[test]
    fn a_store_is_not_taken_for_leftovers_when_its_manifest_is_lost() -> Result<()> {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let layout = Layout { dir: temp.path() };
        drop(Store::open(layout.dir, two_shards())?);
        // As if making it had been cut short after the manifest.
        Creating::of(&Manifest::load(layout.dir)?)?.store(&layout)?;
        put(&Store::open(layout.dir, two_shards())?, "key")?;
        fs::rename(layout.manifest(), temp.path().join("shards/MANIFEST")).expect("it is there");
        assert!(matches!(Store::open(layout.dir, two_shards()), Err(Error::Occupied { .. })));
        fs::rename(temp.path().join("shards/MANIFEST"), layout.manifest()).expect("it is there");
        assert!(Store::open(layout.dir, two_shards())?.get(b"key")?.is_some());
        Ok(())
    }

    #[test]
    fn a_path_that_fits_no_line_is_refused_before_anything_is_made() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = temp.path().join("store");
        let options = OpenOptions { log_dir: Some(temp.path().join("two\nlines")), ..two_shards() };
        let refused = Store::open(&dir, options).map(drop).map_err(|error| error.kind());
        assert_eq!((refused, dir.exists()), (Err(ErrorKind::InvalidArgument), false));
    }
}
