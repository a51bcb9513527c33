//! What the store's threads, handles and snapshots share.

use crate::Result;
use crate::admission::Admission;
use crate::blocks::{BlockIndex, BlocksFile, SealedBlock};
use crate::checkpoint::Checkpoints;
use crate::commit::{Pipeline, Sequencer};
use crate::counters::Counters;
use crate::flush::Flusher;
use crate::health::Health;
use crate::lock::StoreLock;
use crate::log::Log;
use crate::manifest::Manifest;
use crate::options::Options;
use crate::prune::Pruner;
use crate::rebalance::Rebalancer;
use crate::recovery::Recovery;
use crate::rollback::Rollbacks;
use crate::shards::Shards;
use crate::snapshot::Snapshots;
use crate::workers::Workers;
use parking_lot::{Mutex, RwLock};
use shingle_shard::backend::{RocksOptions, RocksShared};
use shingle_shard::{RowCache, Version};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// One open store.
///
/// Lock order: that of `rebalancer` under which one begins, then `checkpoints`, then `pruner`'s lock, then `flusher`'s flush lock, then `rebalancer`'s of a slice, then `boundary`, then `sequencer`; `log` and `blocks` are taken last, one at a
/// time; the open snapshots' lock may be taken behind that of `blocks`.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) shards: Shards,
    pub(crate) workers: Workers,
    /// The newest version that snapshots see. Written by the apply stage alone, after everything up to it is applied.
    pub(crate) visible: AtomicU64,
    /// The last version that the log has reserved: none above it is told to anybody.
    pub(crate) reserved_through: AtomicU64,
    pub(crate) sequencer: Mutex<Sequencer>,
    pub(crate) pipeline: Pipeline,
    /// `None`: the store lives in memory.
    pub(crate) log: Option<Mutex<Log>>,
    /// Since when the log holds something that is not synced; `None`: all of it is.
    pub(crate) buffered_since: Mutex<Option<Instant>>,
    /// The version through which the memtables are written; who holds it stands between two versions.
    pub(crate) boundary: Mutex<Version>,
    pub(crate) blocks: RwLock<BlockIndex>,
    pub(crate) snapshots: Snapshots,
    pub(crate) rollbacks: Rollbacks,
    pub(crate) admission: Admission,
    pub(crate) flusher: Flusher,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) pruner: Pruner,
    pub(crate) rebalancer: Rebalancer,
    pub(crate) health: Health,
    pub(crate) counters: Counters,
    pub(crate) recovery: Recovery,
    /// Rows that were read from the shards; `None`: none are kept.
    pub(crate) row_cache: Option<Arc<RowCache>>,
    /// `None`: the store lives in memory. The last field, so that the lock is given back when everything else is closed.
    pub(crate) disk: Option<Disk>,
}

/// What RocksDB instances of the store are opened with.
#[derive(Debug)]
pub(crate) struct Engine {
    /// As they were asked for.
    pub(crate) asked: RocksOptions,
    /// Less the files that are open in any case.
    pub(crate) rocks: RocksOptions,
    pub(crate) shared: RocksShared,
}

/// What an open store holds of its directory.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Mutex<Manifest>,
    pub(crate) blocks: Mutex<BlocksFile>,
    pub(crate) epoch: u64,
    pub(crate) engine: Engine,
    pub(crate) lock: StoreLock,
}

impl Disk {
    pub(crate) fn shard_paths(&self) -> Vec<PathBuf> {
        self.manifest.lock().shard_dirs(&self.dir)
    }
}

impl Core {
    pub(crate) fn visible(&self) -> Version {
        self.visible.load(Ordering::Acquire)
    }

    pub(crate) fn newest_block(&self) -> Option<SealedBlock> {
        self.blocks.read().newest()
    }

    /// The number under which this opening of the store writes to its backends: later openings have higher ones.
    pub(crate) fn epoch(&self) -> u64 {
        self.disk.as_ref().map_or(1, |disk| disk.epoch)
    }

    /// Makes every commit that was acknowledged as [`Durability::Buffered`](crate::Durability::Buffered) durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.health.check()?;
        let Some(log) = &self.log else { return Ok(()) };
        *self.buffered_since.lock() = None;
        log.lock().sync().map_err(|error| self.health.poison(&error))
    }
}
