//! Making a checkpoint.

use super::contents::{Digest, Work, digest};
use super::list::{Checkpoint, remove};
use super::manifest::{CheckpointManifest, FileEntry};
use super::name::Name;
use super::{CheckpointProgress, list};
use crate::blocks::{BlocksFile, SealedBlock};
use crate::core::{Core, Disk};
use crate::creating::Creating;
use crate::histogram::micros;
use crate::layout::{CHECKPOINT_STORE, CheckpointLayout, FORMAT, Layout, shard_name, store_id_text};
use crate::log::{Log, LogOptions, Tail};
use crate::manifest::Manifest;
use crate::snapshot::{At, Snapshot};
use crate::{Error, Result, durable};
use rayon::prelude::*;
use shingle_shard::{Shard, Version};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The log of a checkpoint is short: a flush went before. Not less than what a log may have.
pub(super) const LOG_SEGMENT_BYTES: u64 = 4 << 20;

/// What a checkpoint is of, decided while flushes are held.
struct Moment {
    /// Nothing that it sees is pruned while it is copied, and the floor does not pass it.
    snapshot: Snapshot,
    block: Option<SealedBlock>,
}

/// What was copied of it.
struct Copied {
    version: Version,
    block: Option<SealedBlock>,
    applied_through: Version,
    store: Manifest,
}

/// Where a checkpoint is made, and by which name.
struct Target {
    name: Name,
    automatic: bool,
    dir: PathBuf,
    /// The directories of the shards' parts, as the manifest names them.
    parts: Vec<PathBuf>,
}

/// How a checkpoint gets its name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named<'a> {
    ByHand(&'a Name),
    Automatic,
}

impl Core {
    /// Makes a checkpoint of the newest version. One at a time. The end of the store ends it, and removes what there is of it.
    pub(crate) fn create_checkpoint(
        self: &Arc<Self>,
        name: &str,
        progress: &(dyn Fn(CheckpointProgress) + Sync),
    ) -> Result<Checkpoint> {
        self.make_checkpoint(Named::ByHand(&Name::new(name)?), progress)
    }

    pub(super) fn make_checkpoint(
        self: &Arc<Self>,
        named: Named<'_>,
        progress: &(dyn Fn(CheckpointProgress) + Sync),
    ) -> Result<Checkpoint> {
        let disk = self.disk.as_ref().ok_or(Error::InMemory { what: "make a checkpoint of" })?;
        self.health.check()?;
        let _one_at_a_time = self.checkpoints.making.lock();
        self.checkpoints.check_open()?;
        let began = Instant::now();
        self.counters.longest_commit.watch();
        let made = self.make_alone(disk, named, progress);
        let took = began.elapsed();
        let under_way = self.sequencer.lock().in_flight.begun().map_or(0, |begun| micros(begun.elapsed()));
        let longest_commit = self.counters.longest_commit.end().max(under_way);
        if made.is_ok() {
            self.counters.checkpoint_micros.add_time(took);
        }
        self.checkpoints.note(took, longest_commit, &made);
        made
    }

    fn make_alone(
        self: &Arc<Self>,
        disk: &Disk,
        named: Named<'_>,
        progress: &(dyn Fn(CheckpointProgress) + Sync),
    ) -> Result<Checkpoint> {
        list::remove_unfinished(&disk.dir)?;
        if let Named::ByHand(name) = named {
            check_unused(disk, name)?;
        }
        // What is written now does not need to be in the checkpoint's log, where restoring would find it one commit at a time.
        self.flush_all()?;
        let flushes_held = (self.flusher.exclude(), self.rebalancer.exclude());
        let moment = self.moment()?;
        let name = match named {
            Named::ByHand(name) => name.clone(),
            Named::Automatic => automatic_name(disk, &moment)?,
        };
        self.checkpoints.check_open()?;
        let target = Target {
            automatic: matches!(named, Named::Automatic),
            dir: Layout { dir: &disk.dir }.checkpoints().join(name.as_str()),
            parts: list::parts(&disk.manifest.lock().shards, name.as_str()),
            name,
        };
        let copied = self.copy_moment(disk, moment, &target);
        drop(flushes_held);
        let made = copied.and_then(|copied| self.complete(disk, copied, &target, progress));
        if made.is_err() {
            // What cannot be removed now goes with the next checkpoint, or the next opening.
            let _removed_later = remove(&target.dir);
        }
        made
    }

    /// The moment is a version that nothing flushed is above, and that stays the newest that can be flushed: no flush begins, and no rollback
    /// changes a shard, until everything is copied. Commits go on, above it.
    fn moment(self: &Arc<Self>) -> Result<Moment> {
        let snapshot = loop {
            let version = *self.boundary.lock();
            self.wait_until_published(version)?;
            match Snapshot::open(self, At::Version(version)) {
                // The floor has just gone to a newer one.
                Err(Error::Pruned { .. }) => {}
                kept => break kept?,
            }
        };
        // A rollback that comes later takes it from the index.
        let block = self.blocks.read().at_or_below_version(snapshot.version());
        Ok(Moment { snapshot, block })
    }

    /// 1. The marker `CREATING` says which directories are made, before any is.
    /// 2. The shards' files are linked, and the log and the block index copied, up to one version.
    /// 3. Everything is hashed; commits, flushes and rollbacks go on meanwhile.
    /// 4. The manifest makes it a checkpoint.
    /// 5. The marker goes.
    fn copy_moment(self: &Arc<Self>, disk: &Disk, moment: Moment, target: &Target) -> Result<Copied> {
        let Target { dir, parts, .. } = target;
        // Not what is above them: a store whose directory was removed is not to come back so.
        for dir in [&*Layout { dir: &disk.dir }.checkpoints(), dir] {
            durable::create_dir(dir).map_err(|error| Error::io("create", dir, error))?;
        }
        Creating::of_dirs(parts)?.store(&Layout { dir })?;
        fail::fail_point!("checkpoint::after_marker");
        let store_dir = CheckpointLayout { dir }.store();
        durable::create_dir(&store_dir).map_err(|error| Error::io("create", &store_dir, error))?;
        let version = moment.snapshot.version();
        // As for a flush: what the log has not synced, nothing else must have.
        self.sync()?;
        self.persist_blocks(version)?;
        let topology = self.shards.keep();
        let applied_through = topology.all().iter().map(|shard| shard.flushed_through()).min().unwrap_or(0);
        let link = |(shard, part): (&Arc<Shard>, &PathBuf)| {
            let above = part.parent().unwrap_or(dir);
            durable::create_dir(above).map_err(|error| Error::io("create", above, error))?;
            shard.backend().checkpoint(part)?;
            durable::sync_name(part).map_err(|error| Error::io("sync", above, error))
        };
        let parts: Vec<_> = parts.iter().map(|part| dir.join(part)).collect();
        self.workers.upkeep.run(|| topology.all().par_iter().zip(&parts).try_for_each(link))?;
        fail::fail_point!("checkpoint::after_shards");
        let store = self.copy_manifest(disk, &store_dir)?;
        self.copy_blocks(disk, &store, &store_dir, version)?;
        if let Some(log) = &self.log {
            let tail = log.lock().tail(applied_through)?;
            copy_log(&tail, &store, &store_dir, applied_through, version)?;
        }
        fail::fail_point!("checkpoint::after_log");
        Ok(Copied { version, block: moment.block, applied_through, store })
    }

    fn complete(
        &self,
        disk: &Disk,
        Copied { version, block, applied_through, store }: Copied,
        Target { name, automatic, dir, parts }: &Target,
        progress: &(dyn Fn(CheckpointProgress) + Sync),
    ) -> Result<Checkpoint> {
        fail::fail_point!("checkpoint::before_hashes");
        let manifest = CheckpointManifest {
            format: FORMAT,
            name: name.as_str().to_owned(),
            automatic: *automatic,
            created_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64),
            store_id: store_id_text(&store.store_id),
            version,
            block,
            applied_through,
            files: hash_files(disk, dir, parts, progress, self.checkpoints.stopping())?,
            parts: parts.clone(),
        };
        fail::fail_point!("checkpoint::before_manifest");
        manifest.store(dir)?;
        fail::fail_point!("checkpoint::after_manifest");
        Creating::remove(&Layout { dir })?;
        Ok(Checkpoint::new(dir, &manifest))
    }

    fn copy_manifest(&self, disk: &Disk, store_dir: &Path) -> Result<Manifest> {
        let mut store = disk.manifest.lock().clone();
        store.shards = (0..store.shards.len()).map(|shard| Path::new("shards").join(shard_name(shard))).collect();
        // Directories of the store that it was made of are none of another's.
        store.rebalance = store.rebalance.filter(|unfinished| unfinished.other().is_some());
        store.log_dir = Layout { dir: Path::new("") }.log();
        store.store(store_dir)?;
        Ok(store)
    }

    fn copy_blocks(&self, disk: &Disk, store: &Manifest, store_dir: &Path, through: Version) -> Result<()> {
        let mut entries = disk.blocks.lock().entries()?;
        // A store that is closed meanwhile writes its newest blocks.
        entries.retain(|entry| entry.version() <= through);
        BlocksFile::create(store_dir, store.store_id)?.append(&entries)
    }
}

fn check_unused(disk: &Disk, name: &Name) -> Result<()> {
    let dir = Layout { dir: &disk.dir }.checkpoints().join(name.as_str());
    // Also a link that leads nowhere.
    match dir.symlink_metadata() {
        Ok(_) => Err(Error::CheckpointExists { name: name.as_str().to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look for", &dir, error)),
    }
}

/// Somebody may have given that name to one made by hand: then another one will do.
fn automatic_name(disk: &Disk, moment: &Moment) -> Result<Name> {
    let mut further = 1;
    loop {
        let name = Name::automatic(moment.block, moment.snapshot.version(), further);
        match check_unused(disk, &name) {
            Err(Error::CheckpointExists { .. }) => further += 1,
            unused => return unused.map(|()| name),
        }
    }
}

/// Writes the commits and rollbacks above `base` up to `through` as a log that was closed in order.
fn copy_log(tail: &Tail, store: &Manifest, store_dir: &Path, base: Version, through: Version) -> Result<()> {
    let dir = store.log_dir(store_dir);
    let options = LogOptions { dir, store_id: store.store_id, segment_bytes: LOG_SEGMENT_BYTES, recycled_max: 0 };
    let mut log = Log::create(options, base)?;
    let last = tail.read(through, &mut |frame| log.append(&[frame]))?.unwrap_or(base);
    if last != through {
        let what = format!("the log ends at version {last}, but version {through} is visible");
        return Err(Error::Damaged { path: store_dir.to_owned(), what });
    }
    log.close(through + 1)
}

/// Hashes every file of the checkpoint. A table that is the same file as one of the newest checkpoint is not read again: its hash is known, from a
/// time when it was younger.
fn hash_files(
    disk: &Disk,
    dir: &Path,
    parts: &[PathBuf],
    progress: &(dyn Fn(CheckpointProgress) + Sync),
    stop: &AtomicBool,
) -> Result<Vec<FileEntry>> {
    let known = known_files(&disk.dir);
    let mut files = Vec::new();
    collect(&dir.join(CHECKPOINT_STORE), Path::new(CHECKPOINT_STORE), None, &mut files)?;
    for (shard, part) in parts.iter().enumerate() {
        collect(&dir.join(part), Path::new(""), Some(shard), &mut files)?;
    }
    let total = files.iter().map(|file| file.bytes).sum();
    let work = Work { done: AtomicU64::new(0), total, tell: progress, stop };
    files
        .into_iter()
        .map(|file| {
            let digest = match known.get(&file.inode).filter(|known| known.bytes == file.bytes) {
                Some(known) => {
                    work.skip(file.bytes);
                    known.clone()
                }
                None => digest(&file.path, &work)?,
            };
            Ok(FileEntry { shard: file.shard, name: file.name, bytes: digest.bytes, xxh3: digest.xxh3 })
        })
        .collect()
}

/// A file on disk, by device and number.
type Inode = (u64, u64);

struct Found {
    path: PathBuf,
    shard: Option<usize>,
    name: String,
    bytes: u64,
    inode: Inode,
}

fn collect(dir: &Path, below: &Path, shard: Option<usize>, found: &mut Vec<Found>) -> Result<()> {
    let unread = |error| Error::io("list", dir, error);
    for entry in fs::read_dir(dir).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let (path, metadata) = (entry.path(), entry.metadata().map_err(unread)?);
        let name = below.join(entry.file_name());
        if metadata.is_dir() {
            collect(&path, &name, shard, found)?;
        } else {
            let name = name.to_string_lossy().into_owned();
            found.push(Found { path, shard, name, bytes: metadata.len(), inode: (metadata.dev(), metadata.ino()) });
        }
    }
    Ok(())
}

/// The tables of the newest checkpoint.
fn known_files(store_dir: &Path) -> HashMap<Inode, Digest> {
    let mut known = HashMap::new();
    let newest = list::checkpoints(store_dir).unwrap_or_default().into_iter().rfind(|listed| listed.damage.is_none());
    let Some(newest) = newest else { return known };
    let Ok(manifest) = CheckpointManifest::load(&newest.path) else { return known };
    for file in manifest.files.iter().filter(|file| file.name.ends_with(".sst")) {
        if let Ok(metadata) = manifest.path(&newest.path, file).metadata() {
            let digest = Digest { bytes: file.bytes, xxh3: file.xxh3.clone() };
            known.insert((metadata.dev(), metadata.ino()), digest);
        }
    }
    known
}
