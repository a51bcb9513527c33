//! One shard: versions in memory over versions in a backend.

use crate::backend::{Backend, PruneSlice, Row};
use crate::counts::{Counts, ReadCounter};
use crate::memtable::{EntryRef, Memory, Memtable, Shape, Written};
use crate::row_cache::{Ask, RowCache};
use crate::{Hashed, Ops, Result, Version};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many shards this process has made.
static SHARDS_MADE: AtomicU64 = AtomicU64::new(0);

/// What a shard is made for.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// The memory that the shard will about take, in bytes: it sizes the hash index.
    pub memory_hint_bytes: usize,
    /// Where rows that were read from the backend stay, shared by all shards of a store; `None`: nowhere.
    pub row_cache: Option<Arc<RowCache>>,
}

/// One shard.
///
/// Versions are the caller's: it applies them in order, and reads only versions all of whose parts are applied.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) memtable: Memtable,
    /// Everything up to this version is in the backend, durably.
    pub(crate) flushed_through: AtomicU64,
    /// Who changes the backend. Taken before the memtable's locks.
    pub(crate) flushing: Mutex<()>,
    row_cache: Option<Arc<RowCache>>,
    reads: ReadCounter,
    /// Counts the beginnings and ends of rollbacks: odd while one is under way, or was cut short. Its upper half is the shard's own: what it has found in its backend
    /// is nobody else's to believe, not even that of a later shard of its number.
    rollbacks: AtomicU64,
    /// Odd while rows may be here that are not the shard's; counts up whenever that begins or ends.
    pub(crate) strays: AtomicU64,
    /// What a large version wrote, while a reader of changes pages through it.
    pub(crate) listed: Mutex<Option<Arc<Written>>>,
}

impl Shard {
    /// A shard with nothing in memory over what `backend` holds.
    #[must_use]
    pub fn new(number: usize, backend: Arc<dyn Backend>, options: ShardOptions) -> Self {
        Shard::with_shape(number, backend, Shape::for_memory(options.memory_hint_bytes), options.row_cache)
    }

    pub(crate) fn with_shape(
        number: usize,
        backend: Arc<dyn Backend>,
        shape: Shape,
        row_cache: Option<Arc<RowCache>>,
    ) -> Self {
        let held = backend.applied_through();
        Shard {
            number,
            backend,
            memtable: Memtable::new(shape, held),
            flushed_through: AtomicU64::new(held),
            flushing: Mutex::new(()),
            row_cache,
            reads: ReadCounter::default(),
            rollbacks: AtomicU64::new(SHARDS_MADE.fetch_add(1, Ordering::Relaxed) << 32),
            strays: AtomicU64::new(0),
            listed: Mutex::new(None),
        }
    }

    /// The shard's number.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The engine beneath.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Writes `ops` as `version`. Never fails and never waits for a disk. Versions never fall; one may come in several
    /// calls, the last write of a key wins. Versions that the backend had when the shard was made are left out: a log can be replayed from
    /// before them.
    pub fn apply(&self, version: Version, ops: Ops<'_>) {
        self.memtable.apply(version, ops);
    }

    /// The same for what several versions write, oldest first: one call is faster than one for each.
    pub fn apply_hashed<'a>(&self, versions: impl Iterator<Item = Hashed<'a>>) {
        self.memtable.apply_hashed(versions);
    }

    /// Reads and writes since the shard was opened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.reads.counts(self.memtable.writes())
    }

    /// The value of `key` at version `at`. `hash` is the key's [`key_hash`](crate::key_hash).
    #[inline]
    pub fn get(&self, key: &[u8], hash: u64, at: Version) -> Result<Option<Vec<u8>>> {
        match self.in_memory(key, hash, at, |entry| entry.value().map(<[u8]>::to_vec)) {
            Some(value) => Ok(value),
            None => Ok(self.flushed_row(key, hash, at)?.and_then(|row| row.value)),
        }
    }

    /// The newest row of `key` whose version is at most `at`; a tombstone is one.
    pub fn get_row(&self, key: &[u8], hash: u64, at: Version) -> Result<Option<Row>> {
        let row = self.in_memory(key, hash, at, |entry| Row {
            version: entry.version(),
            value: entry.value().map(<[u8]>::to_vec),
        });
        match row {
            Some(row) => Ok(Some(row)),
            None => self.flushed_row(key, hash, at),
        }
    }

    /// What memory has of `key` at version `at`.
    #[inline]
    fn in_memory<R>(&self, key: &[u8], hash: u64, at: Version, read: impl FnOnce(EntryRef<'_>) -> R) -> Option<R> {
        // Everything up to there is gone from memory, or about to go: newer versions would only be walked over.
        if at <= self.memtable.evicted_through() {
            return None;
        }
        self.memtable.with_version(key, hash, at, read).inspect(|_| self.reads.read_from_memory())
    }

    /// As [`Shard::get_row`], when memory has no such row. Memory is asked first: what is evicted meanwhile is in the backend by then.
    fn flushed_row(&self, key: &[u8], hash: u64, at: Version) -> Result<Option<Row>> {
        let Some(cache) = &self.row_cache else {
            self.reads.read_from_backend();
            return self.backend.get(key, at);
        };
        // Before the backend is read: a rollback that begins meanwhile makes what is read void.
        let epoch = self.rollbacks.load(Ordering::Acquire);
        let ask = Ask { key, hash, at, memory_floor: self.memtable.evicted_through(), epoch };
        if let Some(row) = cache.get(ask) {
            self.reads.read_from_row_cache();
            return Ok(Some(row));
        }
        self.reads.read_from_backend();
        let row = self.backend.get(key, at)?;
        if let Some(row) = &row
            && epoch.is_multiple_of(2)
        {
            cache.insert(ask, row);
        }
        Ok(row)
    }

    /// Whether a version above `after` wrote `key`, be it a tombstone.
    pub fn written_after(&self, key: &[u8], hash: u64, after: Version) -> Result<bool> {
        // The newest of all, if memory has the key at all.
        if let Some(newest) = self.memtable.with_version(key, hash, Version::MAX, |entry| entry.version()) {
            return Ok(newest > after);
        }
        if after >= self.memtable.evicted_through() {
            return Ok(false);
        }
        Ok(self.backend.get(key, Version::MAX)?.is_some_and(|row| row.version > after))
    }

    /// Ends the active segment. The newest version must be complete.
    pub fn seal(&self) {
        self.memtable.seal();
    }

    /// Drops the oldest segments that are flushed and hold no version above `keep_after`, until `want_bytes` are free. Returns
    /// how many bytes that made.
    pub fn evict(&self, keep_after: Version, want_bytes: u64) -> u64 {
        self.memtable.evict(keep_after, want_bytes)
    }

    /// The memory that the shard takes.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.memtable.memory()
    }

    /// The version through which everything is durable in the backend.
    #[must_use]
    pub fn flushed_through(&self) -> Version {
        self.flushed_through.load(Ordering::Acquire)
    }

    /// Removes what a slice of a pruning names from the backend. Memory keeps its newest versions: no read that it would answer otherwise is allowed
    /// below the floor, and what is flushed from now on lies above it.
    pub fn prune(&self, slice: &PruneSlice, epoch: u64) -> Result<()> {
        let _flushing = self.flushing.lock();
        self.backend.remove(slice, epoch)
    }

    /// Removes every version above `keep`, from memory and for good from the backend, and returns how many rows went. The caller
    /// has stopped commits and reads above `keep`; reads up to it go on undisturbed. If it fails it can be repeated.
    pub fn rollback(&self, keep: Version, epoch: u64) -> Result<u64> {
        let _flushing = self.flushing.lock();
        self.rollbacks.fetch_or(1, Ordering::AcqRel);
        let in_memory = self.memtable.roll_back(keep);
        let in_backend = self.backend.retract(keep, epoch)?;
        self.rollbacks.fetch_add(1, Ordering::AcqRel);
        // What was flushed and is still in memory is counted twice; what is larger has all that was.
        Ok(in_memory.max(in_backend))
    }
}
