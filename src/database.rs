//! The handle of an open store.

use crate::Builder;
use shingle_router::{
    At, Batch, Block, ChangeFeed, CommitHandle, Diff, Flushed, Isolation, PruneOptions, PruneProgress, Pruned, Result,
    Retention, Scan, SealedBlock, Snapshot, Stats, Store, Transaction, VerifyProgress, VerifyReport, Version,
};
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::sync::Arc;

/// An open store. Clones are handles of the same store; it is closed when the last one goes, or by [`Database::close`].
///
/// Every method may be called from any thread. Readers never wait for a writer.
///
/// A process may end while other threads still hold a handle: what was acknowledged is durable, and the next opening finds it. (On Linux with glibc
/// it ends with its own status then, without the destructors of static objects: RocksDB's would bring it down while its instances are in use.
/// Elsewhere, let the last handle go before `main` returns.)
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) store: Arc<Store>,
}

/// Opening and closing.
impl Database {
    /// Begins the opening of the store in `path`.
    pub fn builder(path: impl Into<PathBuf>) -> Builder {
        Builder::new(path.into())
    }

    /// Opens the store in `path`, or makes one, with the defaults.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// Makes a store that lives in memory, for tests and throw-away nodes; it is gone when it is closed.
    ///
    /// # Errors
    /// None at present.
    ///
    /// ```
    /// let db = shingle::Database::in_memory()?;
    /// db.transact(|txn| txn.put("greeting", "hello"))?;
    /// assert_eq!(db.get("greeting")?.as_deref(), Some(b"hello".as_slice()));
    /// # Ok::<(), shingle::Error>(())
    /// ```
    pub fn in_memory() -> Result<Self> {
        Self::builder("").in_memory()
    }

    pub(crate) fn new(store: Store) -> Self {
        Database { store: Arc::new(store) }
    }

    /// Writes what is queued, syncs the log and closes the store, for every handle of it. Snapshots stay readable; the directory stays locked as
    /// long as one is open.
    ///
    /// # Errors
    /// A failed sync.
    pub fn close(self) -> Result<()> {
        self.store.close()
    }
}

/// Reading the newest state.
impl Database {
    /// The newest value of `key`.
    ///
    /// # Errors
    /// A key out of bounds, damage, I/O.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.store.get(key.as_ref())
    }

    /// The values of `keys`, in their order, all at the newest version. Many keys are read in parallel.
    ///
    /// # Errors
    /// As [`Database::get`].
    pub fn multi_get<K: AsRef<[u8]> + Sync>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>> {
        self.snapshot().multi_get(keys)
    }

    /// The keys of `range` and their values at the newest version, in byte order; from both ends.
    ///
    /// ```
    /// # let db = shingle::Database::in_memory()?;
    /// # let mut batch = shingle::Batch::new();
    /// batch.put("a", "1").put("b", "2").put("c", "3");
    /// db.commit(batch)?;
    /// let keys: Vec<_> = db.range("a".."c").map(|row| Ok(row?.0)).collect::<shingle::Result<_>>()?;
    /// assert_eq!(keys, [b"a", b"b"]);
    /// let (last, _) = db.range::<&str>(..).next_back().expect("there are three")?;
    /// assert_eq!(last, b"c");
    /// # Ok::<(), shingle::Error>(())
    /// ```
    pub fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Scan {
        self.snapshot().range(range)
    }

    /// The keys that begin with `prefix`, and their values at the newest version, in byte order; from both ends.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Scan {
        self.snapshot().prefix(prefix)
    }

    /// The newest version as a snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.store.snapshot_newest()
    }

    /// The newest version as a snapshot: a transaction that only reads needs no more.
    #[must_use]
    pub fn begin_read_only(&self) -> Snapshot {
        self.snapshot()
    }

    /// The store as it was at a version, a height or a time.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is not reached yet,
    /// [`ErrorKind::Pruned`](crate::ErrorKind::Pruned), [`ErrorKind::RolledBack`](crate::ErrorKind::RolledBack).
    pub fn snapshot_at(&self, at: At) -> Result<Snapshot> {
        self.store.snapshot(at)
    }
}

/// Writing.
impl Database {
    /// Queues a batch and returns its handle: thousands may be under way at once.
    ///
    /// ```
    /// # use shingle::{Batch, Database};
    /// # let db = Database::in_memory()?;
    /// let handles: Vec<_> = (0..100_u32)
    ///     .map(|n| {
    ///         let mut batch = Batch::new();
    ///         batch.put(n.to_be_bytes(), "value");
    ///         db.submit(batch)
    ///     })
    ///     .collect::<Result<_, _>>()?;
    /// for handle in handles {
    ///     handle.wait()?;
    /// }
    /// # Ok::<(), shingle::Error>(())
    /// ```
    ///
    /// # Errors
    /// A key, a value or a batch out of bounds; a store that is closed or poisoned; a full disk that keeps memory from being flushed, or new
    /// versions from being reserved.
    pub fn submit(&self, batch: Batch) -> Result<CommitHandle> {
        self.store.submit(None, &batch)
    }

    /// Queues a block: the batch becomes visible together with the block.
    ///
    /// # Errors
    /// As [`Database::submit`]; a height that does not rise, a timestamp that falls.
    pub fn submit_block(&self, block: Block, batch: Batch) -> Result<CommitHandle> {
        self.store.submit(Some(block), &batch)
    }

    /// Commits a batch over all shards at once, and waits until it is visible and durable.
    ///
    /// # Errors
    /// As [`Database::submit`]; what kept the log from being written: nothing of the batch remains then, unless it is
    /// [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned), after which only opening the store again tells.
    pub fn commit(&self, batch: Batch) -> Result<Version> {
        self.submit(batch)?.wait()
    }

    /// Commits a block: the batch and the block become visible together.
    ///
    /// # Errors
    /// As [`Database::commit`]; a height that does not rise, a timestamp that falls.
    pub fn commit_block(&self, block: Block, batch: Batch) -> Result<Version> {
        self.submit_block(block, batch)?.wait()
    }

    /// Seals what was committed since the last block, by transactions for instance, as a block.
    ///
    /// # Errors
    /// As [`Database::commit_block`].
    pub fn seal_block(&self, block: Block) -> Result<Version> {
        self.commit_block(block, Batch::new())
    }

    /// Begins a serializable transaction.
    #[must_use]
    pub fn begin(&self) -> Transaction {
        self.begin_with(Isolation::Serializable)
    }

    /// Begins a transaction.
    #[must_use]
    pub fn begin_with(&self, isolation: Isolation) -> Transaction {
        self.store.begin(isolation)
    }

    /// Runs `body` in serializable transactions until one commits, at most a hundred times.
    ///
    /// ```
    /// # let db = shingle::Database::in_memory()?;
    /// let visits = db.transact(|txn| {
    ///     let visits = txn.get("visits")?.map_or(0, |bytes| bytes[0]) + 1;
    ///     txn.put("visits", [visits])?;
    ///     Ok(visits)
    /// })?;
    /// assert_eq!(visits, 1);
    /// # Ok::<(), shingle::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `body` returns; what kept the commit from being written; [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if each try met
    /// one.
    ///
    /// # Panics
    /// If `body` does: its transaction is aborted, and the store is as before.
    pub fn transact<T>(&self, body: impl FnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        self.store.transact(Isolation::Serializable, body)
    }
}

/// Blocks and history.
impl Database {
    /// Removes every block above `height`, and everything that was committed after that block. Snapshots of what is removed answer with
    /// [`ErrorKind::RolledBack`](crate::ErrorKind::RolledBack) from then on.
    ///
    /// Returns the version of the rollback itself, at which the store is as it was when the block was sealed. Where nothing is above the block it does
    /// nothing, and returns the newest version.
    ///
    /// # Errors
    /// No block of this height, or one below the floor; a store that is closed or poisoned; a full disk; I/O.
    pub fn rollback_to(&self, height: u64) -> Result<Version> {
        self.store.roll_back_to(height)
    }

    /// The newest block.
    #[must_use]
    pub fn head(&self) -> Option<SealedBlock> {
        self.store.head()
    }

    /// The block of this height.
    #[must_use]
    pub fn block(&self, height: u64) -> Option<SealedBlock> {
        self.store.block(height)
    }

    /// The blocks whose heights lie in a range, lowest first.
    #[must_use]
    pub fn blocks(&self, heights: impl RangeBounds<u64>) -> Vec<SealedBlock> {
        self.store.blocks(heights)
    }

    /// The newest visible version; 0 for a new store.
    #[must_use]
    pub fn version(&self) -> Version {
        self.store.version()
    }

    /// The oldest version that can be read.
    #[must_use]
    pub fn floor(&self) -> Version {
        self.store.floor()
    }

    /// Every write above a version, by version, then by key, up to the newest version at this moment.
    ///
    /// # Errors
    /// A version that is not reached yet, is pruned, or was rolled back.
    pub fn changes_since(&self, version: Version) -> Result<ChangeFeed> {
        self.store.changes_since(version)
    }

    /// The keys whose values differ between two heights, in byte order. Costs what was written between them, and holds
    /// the keys of all that in memory.
    ///
    /// # Errors
    /// A height that does not exist or is pruned; damage; I/O.
    pub fn diff(&self, from_height: u64, to_height: u64) -> Result<Diff> {
        self.store.diff(from_height, to_height)
    }
}

/// Operations.
impl Database {
    /// Writes all memtables to the shards' backends. Commits go on meanwhile.
    ///
    /// # Errors
    /// A full disk, I/O: nothing is lost, the memtables stay.
    pub fn flush(&self) -> Result<Flushed> {
        self.store.flush()
    }

    /// Lets `interval_secs` and `blocks_per_flush` start flushes, as they do from the opening on.
    pub fn start_automatic_flush(&self) {
        self.store.set_automatic_flush(true);
    }

    /// Keeps `interval_secs` and `blocks_per_flush` from starting flushes, until [`Database::start_automatic_flush`]. Memory that runs full is
    /// flushed in any case.
    ///
    /// ```
    /// let db = shingle::Database::in_memory()?;
    /// db.stop_automatic_flush();
    /// assert!(!db.is_automatic_flush_running());
    /// # Ok::<(), shingle::Error>(())
    /// ```
    pub fn stop_automatic_flush(&self) {
        self.store.set_automatic_flush(false);
    }

    /// Whether `interval_secs` and `blocks_per_flush` start flushes.
    #[must_use]
    pub fn is_automatic_flush_running(&self) -> bool {
        self.store.is_automatic_flush()
    }

    /// Removes for good what a retention lets go: the floor rises, and rows that no readable version shows any more go from all shards in parallel, slice by
    /// slice, while commits and reads go on. Returns what was removed, and what held it back.
    ///
    /// Open snapshots, the newest block and [`PruneConfig::reorg_window_blocks`](crate::PruneConfig) hold the floor back. Versions below it are refused with
    /// [`ErrorKind::Pruned`](crate::ErrorKind::Pruned), never answered wrongly. If it is cut short, by a crash too, the next opening goes on with it.
    ///
    /// ```
    /// # use shingle::{At, Batch, Block, Database, ErrorKind, Retention};
    /// let db = Database::builder("").with_reorg_window_blocks(0).in_memory()?;
    /// for height in 1..=10 {
    ///     let mut batch = Batch::new();
    ///     batch.put("counter", height.to_string());
    ///     db.commit_block(Block { height, timestamp_ms: 0 }, batch)?;
    /// }
    /// let pruned = db.prune(&Retention::blocks(3))?;
    /// assert_eq!((pruned.versions, pruned.keys), (7, 1));
    /// assert_eq!(db.snapshot_at(At::Height(8))?.get("counter")?, Some(b"8".to_vec()));
    /// assert!(db.snapshot_at(At::Height(7)).is_err_and(|error| error.kind() == ErrorKind::Pruned));
    /// # Ok::<(), shingle::Error>(())
    /// ```
    ///
    /// # Errors
    /// A retention that keeps nothing; a store that is closed, poisoned or cannot be flushed; damage; I/O.
    pub fn prune(&self, retention: &Retention) -> Result<Pruned> {
        self.store.prune(retention, PruneOptions::default(), &|_| {})
    }

    /// As [`Database::prune`], or counts what it would remove; `progress` is called after each slice, from several threads.
    ///
    /// # Errors
    /// As [`Database::prune`].
    pub fn prune_with(
        &self,
        retention: &Retention,
        options: PruneOptions,
        progress: &(dyn Fn(PruneProgress) + Sync),
    ) -> Result<Pruned> {
        self.store.prune(retention, options, progress)
    }

    /// Makes every commit that was acknowledged as [`Durability::Buffered`](crate::Durability::Buffered) durable.
    ///
    /// # Errors
    /// A failed sync, which ends all writing until the store is opened again.
    pub fn sync(&self) -> Result<()> {
        self.store.sync()
    }

    /// Flushes, then reads everything on disk: every checksum, every key on its shard, every entry of the index of changes. Flushes and rollbacks wait
    /// meanwhile, so `progress`, which is called from several threads, must not wait for one.
    ///
    /// # Errors
    /// A store that cannot be flushed. Damage is in the report, shard by shard.
    pub fn verify(&self, progress: &(dyn Fn(VerifyProgress) + Sync)) -> Result<VerifyReport> {
        self.store.verify(progress)
    }

    /// The store's figures, shard by shard and in total.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// How many shards the store has.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.store.shards()
    }

    /// The number of the shard that `key` lives on.
    #[must_use]
    pub fn shard_of(&self, key: impl AsRef<[u8]>) -> usize {
        self.store.shard_of(key.as_ref())
    }
}
