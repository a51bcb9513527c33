//! Opening a store: made if there is none, checked against how it was made, recovered from its log.

use crate::admission::Admission;
use crate::blocks::{BlockIndex, BlocksFile};
use crate::checkpoint::{Checkpoints, remove_unfinished};
use crate::commit::{Pipeline, Sequencer};
use crate::core::{Core, Disk, Engine};
use crate::counters::Counters;
use crate::creating::Creating;
use crate::flush::Flusher;
use crate::health::Health;
use crate::layout::Layout;
use crate::lock::StoreLock;
use crate::log::{Log, LogOptions, Recover};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::prune::Pruner;
use crate::rebalance::{Rebalancer, Unfinished};
use crate::recovery::{Recovery, Replay, Replayed};
use crate::rollback::Rollbacks;
use crate::shards::Shards;
use crate::slot::{RoutingKey, SHARDS_MAX, SLOTS_DEFAULT, SLOTS_MAX, SlotMap, Slots};
use crate::slot_stats::SlotCounters;
use crate::snapshot::Snapshots;
use crate::store::Store;
use crate::workers::Workers;
use crate::{Error, Result};
use parking_lot::{Mutex, RwLock};
use rayon::prelude::*;
use rustix::process::{Resource, getrlimit};
use shingle_shard::backend::{Backend, MemoryBackend, RocksBackend, RocksOptions, RocksShared};
use shingle_shard::{RowCache, Shard, ShardOptions, Version};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How many shards a store has unless it is made with another number.
pub const SHARDS_DEFAULT: usize = 8;

/// Files that a shard keeps open beside its SST files: lock, manifest, write-ahead log, info log, directories.
const FILES_PER_SHARD: u64 = 8;
/// Files that the store keeps open beside its shards (lock, log segments, block index), and what the process around it needs.
const FILES_BESIDE_SHARDS: u64 = 32;
/// RocksDB raises a smaller budget of open SST files to this one.
const SST_FILES_PER_SHARD_MIN: u64 = 20;

/// How a store is opened, and how it is made if there is none.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Number of shards; `None`: as the store was made, [`SHARDS_DEFAULT`] for a new one.
    pub shards: Option<usize>,
    /// Number of slots; `None`: as the store was made, [`SLOTS_DEFAULT`] for a new one.
    pub slots: Option<u32>,
    /// Routing key; `None`: as the store was made, the whole key for a new one.
    pub routing_key: Option<RoutingKey>,
    /// Directories over which a new store's shards are spread in turn; empty: all below the store's own.
    pub shard_dirs: Vec<PathBuf>,
    /// Where a new store's log lies; `None`: below the store's own directory.
    pub log_dir: Option<PathBuf>,
    /// Whether a missing store is made.
    pub create_if_missing: bool,
    /// What to do about a damaged log.
    pub recover: Recover,
    /// Settings of the engine.
    pub rocks: RocksOptions,
    /// Settings of the router.
    pub router: Options,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            shards: None,
            slots: None,
            routing_key: None,
            shard_dirs: Vec::new(),
            log_dir: None,
            create_if_missing: true,
            recover: Recover::Strict,
            rocks: RocksOptions::default(),
            router: Options::default(),
        }
    }
}

impl OpenOptions {
    /// Refuses numbers that no store can have.
    fn check(&self) -> Result<()> {
        let refuse = |field: &str, bound: String, given: String| {
            Err(Error::InvalidArgument { what: format!("`{field}` must be {bound}; {given} was given") })
        };
        match (self.shards, self.slots, self.routing_key) {
            (Some(shards), _, _) if shards == 0 || shards > SHARDS_MAX => {
                refuse("shards", format!("between 1 and {SHARDS_MAX}"), shards.to_string())
            }
            (_, Some(slots), _) if slots == 0 || slots > SLOTS_MAX => {
                refuse("slots", format!("between 1 and {SLOTS_MAX}"), slots.to_string())
            }
            (Some(shards), slots, _) if slots.unwrap_or(SLOTS_DEFAULT) < shards as u32 => refuse(
                "slots",
                format!("at least the number of shards, {shards}"),
                slots.unwrap_or(SLOTS_DEFAULT).to_string(),
            ),
            (_, _, Some(RoutingKey::Prefix(0))) => refuse(
                "routing_key",
                "the whole key or a prefix of at least 1 byte".into(),
                "a prefix of 0 bytes".into(),
            ),
            _ => Ok(()),
        }
    }
}

impl Store {
    /// Opens the store in `dir`, or makes one.
    ///
    /// # Errors
    /// A setting out of bounds; a store made otherwise than asked for; a directory that is no store; another process that has it open;
    /// damage; too few open files; I/O. Nothing on disk is changed then.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Store> {
        options.check()?;
        let layout = Layout { dir };
        if !Manifest::is_there(dir)? {
            if !options.create_if_missing || dir.is_file() {
                return Err(Error::not_a_store(dir));
            }
            return crate::create::create(&layout, options);
        }
        let lock = StoreLock::acquire(dir)?;
        let store = open_locked(&layout, lock, options)?;
        // Making it may have been cut short after the last step. If the manifest were lost, what is here must not be taken for leftovers.
        Creating::remove(&layout)?;
        Ok(store)
    }

    /// Makes a store that lives in memory and is gone when it is closed.
    ///
    /// # Errors
    /// A setting out of bounds.
    pub fn in_memory(options: &OpenOptions) -> Result<Store> {
        options.check()?;
        let shards = options.shards.unwrap_or(4);
        let slots =
            Slots { routing: options.routing_key.unwrap_or_default(), count: options.slots.unwrap_or(SLOTS_DEFAULT) };
        let backends = (0..shards).map(|_| Arc::new(MemoryBackend::new()) as Arc<dyn Backend>).collect();
        let shard_options = shard_options(&options.router, shards, None);
        let core = Core {
            disk: None,
            workers: Workers::new()?,
            shards: Shards::new(make_shards(backends, &shard_options), slots, SlotMap::even(slots.count, shards), None),
            visible: AtomicU64::new(0),
            reserved_through: AtomicU64::new(Version::MAX),
            sequencer: Mutex::new(Sequencer::new(1, None)),
            pipeline: Pipeline::default(),
            log: None,
            buffered_since: Mutex::new(None),
            boundary: Mutex::new(0),
            blocks: RwLock::new(BlockIndex::default()),
            snapshots: Snapshots::new(0),
            rollbacks: Rollbacks::default(),
            admission: Admission::default(),
            flusher: Flusher::new(),
            checkpoints: Checkpoints::default(),
            pruner: Pruner::default(),
            rebalancer: Rebalancer::default(),
            health: Health::default(),
            counters: Counters::default(),
            recovery: Recovery::default(),
            row_cache: None,
            options: options.router.clone(),
        };
        Store::start(core)
    }
}

pub(crate) fn open_locked(layout: &Layout<'_>, lock: StoreLock, options: OpenOptions) -> Result<Store> {
    let flush_on_start = options.router.flush_on_start;
    let core = recover(layout, lock, options)?;
    // Before a thread can make one. A store opens without: what cannot be removed now, because its disk is missing for instance, goes with the next
    // checkpoint.
    let _removed_later = remove_unfinished(layout.dir);
    let store = Store::start(core)?;
    if flush_on_start {
        store.flush()?;
    }
    Ok(store)
}

/// The store as its disk and its log have it, before its threads run.
pub(crate) fn recover(layout: &Layout<'_>, lock: StoreLock, options: OpenOptions) -> Result<Core> {
    let mut manifest = Manifest::load(layout.dir)?;
    check_made_as_asked(layout, &manifest, &options)?;
    let rocks = within_file_limit(&options.rocks, manifest.shards.len())?;
    let paths = manifest.shard_dirs(layout.dir);
    for (shard, path) in paths.iter().enumerate() {
        if !path.try_exists().map_err(|error| Error::io("look for", path, error))? {
            return Err(Error::MissingShard { shard, path: path.clone() });
        }
    }
    let shared = RocksShared::new(&rocks, paths.len())?;
    let workers = Workers::new()?;
    let open_shard = |(number, path): (usize, &PathBuf)| {
        let backend = RocksBackend::open(path, &manifest.identity(number), &rocks, &shared)?;
        Ok(Arc::new(backend) as Arc<dyn Backend>)
    };
    let backends = workers.upkeep.run(|| paths.par_iter().enumerate().map(open_shard).collect::<Result<Vec<_>>>())?;
    manifest.epoch += 1;
    let slots = manifest.slots();
    let row_cache =
        Some(options.router.row_cache_bytes).filter(|&bytes| bytes > 0).map(|bytes| Arc::new(RowCache::new(bytes)));
    let shard_options = shard_options(&options.router, backends.len(), row_cache.clone());
    let shards = make_shards(backends, &shard_options);
    let blocks = BlocksFile::open(layout.dir, manifest.store_id)?;
    let mut replay = Replay::new(shards, blocks, manifest.epoch, &options.router, &workers);
    let (mut log, mut recovered) =
        Log::open(log_options(layout, &manifest, &options), options.recover, replay.held(), &mut |frame| {
            replay.frame(frame)
        })?;
    if recovered.cut.as_ref().is_some_and(|cut| cut.damage.is_some()) {
        replay.give_up_beyond(&mut log, &mut recovered)?;
    }
    let Replayed { shards, blocks, blocks_file, commits } = replay.finish()?;
    // Every part is there and sound: a store that cannot be opened keeps its epoch.
    manifest.store(layout.dir)?;
    let flushed = shards.iter().map(Shard::flushed_through).max().unwrap_or(0);
    let visible = recovered.last_version.max(flushed);
    let next = manifest.rebalance.as_ref().and_then(Unfinished::next).cloned();
    let counters = SlotCounters::load(layout, &manifest.store_id, slots.count);
    let shards = Shards::with_counters(shards, slots, manifest.slot_map.clone(), next, counters);
    if let Some(unfinished) = &manifest.rebalance {
        unfinished.expect_strays(shards.now().all(), &manifest.slot_map);
    }
    Ok(Core {
        workers,
        visible: AtomicU64::new(visible),
        reserved_through: AtomicU64::new(log.reserved_through()),
        sequencer: Mutex::new(Sequencer::new(
            recovered.next_version.max(visible + 1),
            blocks.newest().map(|b| b.block()),
        )),
        pipeline: Pipeline::default(),
        log: Some(Mutex::new(log)),
        buffered_since: Mutex::new(None),
        boundary: Mutex::new(visible),
        snapshots: Snapshots::new(manifest.floor),
        rollbacks: Rollbacks::default(),
        blocks: RwLock::new(blocks),
        admission: Admission::default(),
        flusher: Flusher::new(),
        checkpoints: Checkpoints::default(),
        pruner: Pruner::default(),
        rebalancer: Rebalancer::new(manifest.rebalance.clone(), &manifest.slot_map),
        health: Health::default(),
        counters: Counters::default(),
        recovery: Recovery::new(recovered, commits),
        row_cache,
        shards,
        disk: Some(Disk {
            dir: layout.dir.to_owned(),
            epoch: manifest.epoch,
            engine: Engine { asked: options.rocks, rocks, shared },
            manifest: Mutex::new(manifest),
            blocks: Mutex::new(blocks_file),
            lock,
        }),
        options: options.router,
    })
}

pub(crate) fn log_options(layout: &Layout<'_>, manifest: &Manifest, options: &OpenOptions) -> LogOptions {
    let segment_bytes = options.router.segment_bytes;
    // Enough to take over from what one full memory budget leaves behind.
    let recycled_max = options.router.memory_budget_bytes.div_ceil(segment_bytes) as usize + 1;
    LogOptions { dir: manifest.log_dir(layout.dir), store_id: manifest.store_id, segment_bytes, recycled_max }
}

pub(crate) fn shard_options(options: &Options, shards: usize, row_cache: Option<Arc<RowCache>>) -> ShardOptions {
    ShardOptions { memory_hint_bytes: options.memory_budget_bytes as usize / shards, row_cache }
}

fn make_shards(backends: Vec<Arc<dyn Backend>>, shard_options: &ShardOptions) -> Vec<Shard> {
    backends
        .into_iter()
        .enumerate()
        .map(|(number, backend)| Shard::new(number, backend, shard_options.clone()))
        .collect()
}

fn check_made_as_asked(layout: &Layout<'_>, manifest: &Manifest, options: &OpenOptions) -> Result<()> {
    let differs = |what, made_with: String, asked: String| {
        Err(Error::Mismatch { path: layout.dir.to_owned(), what, made_with, asked })
    };
    // While shards come or go, either number is right.
    let counts = manifest.rebalance.as_ref().map_or([0; 2], Unfinished::counts);
    if let Some(asked) = options.shards.filter(|asked| *asked != manifest.shards.len() && !counts.contains(asked)) {
        return differs("number of shards", manifest.shards.len().to_string(), asked.to_string());
    }
    if let Some(asked) = options.slots.filter(|&asked| asked != manifest.slot_map.slots()) {
        return differs("number of slots", manifest.slot_map.slots().to_string(), asked.to_string());
    }
    if let Some(asked) = options.routing_key.filter(|&asked| asked != manifest.routing_key) {
        return differs("routing key", manifest.routing_key.to_string(), asked.to_string());
    }
    Ok(())
}

/// Takes the files that are open in any case from the budget of open files, and refuses if the process may not open as many.
pub(crate) fn within_file_limit(rocks: &RocksOptions, shards: usize) -> Result<RocksOptions> {
    let shards = shards as u64;
    let beside = FILES_BESIDE_SHARDS + FILES_PER_SHARD * shards;
    let sst_files = (u64::from(rocks.max_open_files).saturating_sub(beside)).max(SST_FILES_PER_SHARD_MIN * shards);
    let needed = beside + sst_files;
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => Err(Error::TooFewFiles { needed, limit }),
        _ => Ok(RocksOptions { max_open_files: sst_files as u32, ..rocks.clone() }),
    }
}
