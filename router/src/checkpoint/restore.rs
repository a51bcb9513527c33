//! Making a store of a checkpoint.

use super::contents::{Work, copy, link};
use super::create::LOG_SEGMENT_BYTES;
use super::manifest::{CheckpointManifest, FileEntry};
use super::{CheckpointInUse, CheckpointProgress, NEVER, store_around, verify};
use crate::blocks::{BlocksFile, SealedBlock};
use crate::create::{check_free, new_manifest, remove_left};
use crate::creating::Creating;
use crate::layout::{CHECKPOINT_STORE, CheckpointLayout, Layout, RESTORING};
use crate::lock::StoreLock;
use crate::log::{Held, Log, LogOptions, Recover};
use crate::manifest::{Manifest, new_store_id};
use crate::open::{OpenOptions, open_locked, within_file_limit};
use crate::workers::Workers;
use crate::{Error, Result, durable};
use rayon::prelude::*;
use shingle_shard::Version;
use shingle_shard::backend::{RocksBackend, RocksOptions, RocksShared};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a restored store lies, and how its files get there.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// Directories over which the shards are spread in turn; empty: all below the store's own.
    pub shard_dirs: Vec<PathBuf>,
    /// Where the log lies; `None`: below the store's own directory.
    pub log_dir: Option<PathBuf>,
    /// Whether files that never change are copied even where they could be shared with the checkpoint, by hard links.
    pub copy: bool,
}

/// What restoring a checkpoint made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// The new store's directory.
    pub dir: PathBuf,
    /// Its newest version: the checkpoint's.
    pub version: Version,
    /// Its newest block.
    pub block: Option<SealedBlock>,
    /// Bytes of files that it shares with the checkpoint, by hard links.
    pub bytes_linked: u64,
    /// Bytes of files that were copied.
    pub bytes_copied: u64,
}

/// Makes a store in `target`, which must be empty or missing, of the checkpoint in `checkpoint`. The store has the checkpoint's version, with all that can
/// be read below it, and an id of its own: what it does from here on is another history.
///
/// 1. The target must be free, and every file of the checkpoint must be as it was, before anything is made.
/// 2. The marker `CREATING` says which directories are made: those of an attempt that was cut short are removed by the next one.
/// 3. The shards' files are linked or copied, and told whose they are now. Log and block index are written anew, under the new id.
/// 4. The manifest makes it a store.
/// 5. It is opened, and must be at the checkpoint's version.
///
/// # Errors
/// No checkpoint, or a damaged one; a target that is not empty; a full disk; I/O.
pub fn restore(
    checkpoint: &Path,
    target: &Path,
    options: &RestoreOptions,
    progress: &(dyn Fn(CheckpointProgress) + Sync),
) -> Result<Restored> {
    let _in_use = CheckpointInUse::begin(checkpoint)?;
    let source = Source::load(checkpoint)?;
    let layout = Layout { dir: target };
    let manifest = source.new_store(&layout, options)?;
    for place in manifest.shard_dirs(target).iter().chain([&manifest.log_dir(target), &target.to_owned()]) {
        if let Some(inside) = store_around(place)? {
            let what = format!("it is, or lies in, the store or checkpoint {}", inside.display());
            return Err(Error::Occupied { path: place.clone(), what });
        }
    }
    // What an attempt that was cut short has left is in the way until it is removed, which only who holds the lock may do.
    if Creating::load(&layout)?.is_none() {
        check_free(&layout, &manifest, None)?;
    }
    let total = 2 * source.manifest.bytes();
    let of_both = |done: CheckpointProgress| progress(CheckpointProgress { bytes_total: total, ..done });
    if let Some(damage) = verify::damage(checkpoint, &source.manifest, &of_both)?.into_iter().next() {
        return Err(Error::CheckpointDamaged { path: damage.path, what: damage.what });
    }
    durable::create_dir_all(target).map_err(|error| Error::io("create", target, error))?;
    let lock = StoreLock::acquire(target)?;
    if Manifest::is_there(target)? {
        return Err(Error::Occupied { path: target.to_owned(), what: "it holds a store".into() });
    }
    let left = Creating::load(&layout)?;
    remove_left(&layout, left.as_ref())?;
    check_free(&layout, &manifest, left.as_ref())?;
    let made = manifest.shards.iter().chain([&manifest.log_dir]).cloned().chain([PathBuf::from(RESTORING)]);
    let creating = Creating::of_dirs(&made.collect::<Vec<_>>())?;
    creating.store(&layout)?;
    fail::fail_point!("restore::after_marker");
    let work = Work { done: AtomicU64::new(source.manifest.bytes()), total, tell: progress, stop: &NEVER };
    let filled = source.fill(&layout, &manifest, options.copy, &work);
    if filled.is_err() {
        // What cannot be removed now, the next attempt removes.
        let _removed_later = remove_left(&layout, Some(&creating)).and_then(|()| Creating::remove(&layout));
    }
    let (bytes_linked, bytes_copied) = filled?;
    Creating::remove(&layout)?;
    let store = open_locked(&layout, lock, OpenOptions::default())?;
    let (version, block) = (store.version(), store.head());
    store.close()?;
    if (version, block) != (source.manifest.version, source.manifest.block) {
        let (made_version, made_block) = (source.manifest.version, source.manifest.block);
        let what = format!(
            "it holds version {version} with {block:?}, and the checkpoint version {made_version} with {made_block:?}"
        );
        return Err(Error::Damaged { path: target.to_owned(), what });
    }
    Ok(Restored { dir: target.to_owned(), version, block, bytes_linked, bytes_copied })
}

/// The checkpoint.
struct Source<'a> {
    dir: &'a Path,
    manifest: CheckpointManifest,
    /// The store that it was made of.
    store: Manifest,
}

impl<'a> Source<'a> {
    fn load(dir: &'a Path) -> Result<Self> {
        let manifest = CheckpointManifest::load(dir)?;
        let store_dir = CheckpointLayout { dir }.store();
        let store = Manifest::load(&store_dir).map_err(|error| {
            let damaged = matches!(error, Error::ManifestDamaged { .. } | Error::NotAStore { .. });
            let what = error.to_string();
            if damaged { Error::CheckpointDamaged { path: store_dir.clone(), what } } else { error }
        })?;
        if store.shards.len() != manifest.parts.len() {
            let what = format!("it has {} shards, and its store has {}", manifest.parts.len(), store.shards.len());
            return Err(Error::CheckpointDamaged { path: dir.to_owned(), what });
        }
        // It is opened to be read, which completes a log that was cut short: nobody else's must be named.
        if store.log_dir != (Layout { dir: Path::new("") }).log() {
            let what = format!("its log is in {:?}, where no checkpoint's is", store.log_dir);
            return Err(Error::CheckpointDamaged { path: store_dir, what });
        }
        Ok(Source { dir, manifest, store })
    }

    /// Everything about the store as it was, but its id and its directories.
    fn new_store(&self, layout: &Layout<'_>, options: &RestoreOptions) -> Result<Manifest> {
        let RestoreOptions { shard_dirs, log_dir, .. } = options.clone();
        let places = OpenOptions { shard_dirs, log_dir, ..OpenOptions::default() };
        let Manifest { shards, log_dir, .. } = new_manifest(layout, &places, self.store.shards.len())?;
        Ok(Manifest { store_id: new_store_id()?, shards, log_dir, ..self.store.clone() })
    }

    /// Returns how many bytes were linked, and how many copied.
    fn fill(&self, layout: &Layout<'_>, new: &Manifest, copy: bool, work: &Work<'_>) -> Result<(u64, u64)> {
        let paths = new.shard_dirs(layout.dir);
        let linked = AtomicU64::new(0);
        for path in &paths {
            durable::create_dir_all(path).map_err(|error| Error::io("create", path, error))?;
        }
        let workers = Workers::new()?;
        let bring = |file: &FileEntry| {
            let from = self.manifest.path(self.dir, file);
            let to = match file.shard {
                Some(shard) => paths[shard].join(&file.name),
                None => layout.restoring().join(&file.name),
            };
            if bring(file, &from, &to, copy, work)? {
                linked.fetch_add(file.bytes, Ordering::Relaxed);
            }
            Ok::<(), Error>(())
        };
        workers.upkeep.run(|| self.manifest.files.par_iter().try_for_each(bring))?;
        fail::fail_point!("restore::after_files");
        self.tell_shards(&paths, new, &workers)?;
        fail::fail_point!("restore::after_shards");
        self.write_log(layout, new)?;
        self.write_blocks(layout, new)?;
        let restoring = layout.restoring();
        fs::remove_dir_all(&restoring).map_err(|error| Error::io("remove", &restoring, error))?;
        fail::fail_point!("restore::before_manifest");
        new.store(layout.dir)?;
        fail::fail_point!("restore::after_manifest");
        let linked = linked.into_inner();
        Ok((linked, self.manifest.bytes() - linked))
    }

    /// The shards' files belong to the new store from now on.
    fn tell_shards(&self, paths: &[PathBuf], new: &Manifest, workers: &Workers) -> Result<()> {
        let rocks = within_file_limit(&RocksOptions::default(), paths.len())?;
        let shared = RocksShared::new(&rocks, paths.len())?;
        let rename = |(shard, path): (usize, &PathBuf)| {
            durable::sync_dir(path)?;
            RocksBackend::rename(path, &self.store.identity(shard), &new.identity(shard), &rocks, &shared)?;
            Ok::<(), Error>(())
        };
        workers.upkeep.run(|| paths.par_iter().enumerate().try_for_each(rename))
    }

    /// The commits and rollbacks of the checkpoint's log, in a log that was closed in order at the checkpoint's version.
    fn write_log(&self, layout: &Layout<'_>, new: &Manifest) -> Result<()> {
        let options = |dir, store_id| LogOptions { dir, store_id, segment_bytes: LOG_SEGMENT_BYTES, recycled_max: 0 };
        let base = self.manifest.applied_through;
        let mut log = Log::create(options(new.log_dir(layout.dir), new.store_id), base)?;
        let from = self.store.log_dir(&layout.restoring().join(CHECKPOINT_STORE));
        let held = Held { by_all: base, by_any: base };
        Log::open(options(from, self.store.store_id), Recover::Strict, held, &mut |frame| log.append(&[frame]))?;
        log.close(self.manifest.version + 1)
    }

    fn write_blocks(&self, layout: &Layout<'_>, new: &Manifest) -> Result<()> {
        let (blocks, _) = BlocksFile::open(&layout.restoring().join(CHECKPOINT_STORE), self.store.store_id)?;
        BlocksFile::create(layout.dir, new.store_id)?.append(&blocks.entries()?)
    }
}

/// Links or copies a file. Whether it was linked.
fn bring(file: &FileEntry, from: &Path, to: &Path, always_copy: bool, work: &Work<'_>) -> Result<bool> {
    // Only tables never change: what else is in a shard's directory, RocksDB may write to.
    let never_changes = file.shard.is_some() && file.name.ends_with(".sst");
    if never_changes && !always_copy && link(from, to)? {
        work.skip(file.bytes);
        return Ok(true);
    }
    if let Some(dir) = to.parent() {
        durable::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    }
    let copied = copy(from, to, work)?;
    if (copied.bytes, &copied.xxh3) == (file.bytes, &file.xxh3) {
        return Ok(false);
    }
    // It was sound a moment ago.
    Err(Error::CheckpointDamaged { path: from.to_owned(), what: "its contents do not match their hash".to_owned() })
}
