//! What a shard asks of the engine beneath it.
//!
//! The trait is shaped so that a distributed engine can stand behind it as RocksDB and memory do: no iterator, lock or
//! engine's snapshot crosses it, reads name the version that they want, writes come as sorted runs that change nothing
//! when they are applied twice, and every write carries the epoch of the store that makes it.

mod memory;
mod moving;
mod prune;
mod rocks;

pub use memory::MemoryBackend;
pub use moving::{MovingCursor, StagedRows};
pub use prune::{PruneCursor, PruneSlice};
pub use rocks::{Compression, Identity, OptionError, RocksBackend, RocksOptions, RocksShared};

use crate::{Error, KeyRange, Order, Result, Version};
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::path::Path;

/// One version of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The version that wrote it.
    pub version: Version,
    /// The value; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
}

/// One version of one key, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRef<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The version that wrote it.
    pub version: Version,
    /// The value; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// What a flush hands over: rows in both orders that a backend keeps. No (key, version) occurs twice.
pub trait Run {
    /// Every row, by key ascending, then by version descending.
    fn rows(&self) -> Box<dyn Iterator<Item = RowRef<'_>> + '_>;
    /// The version and key of every row, by version ascending, then by key ascending.
    fn changes(&self) -> Box<dyn Iterator<Item = (Version, &[u8])> + '_>;
}

/// A run without rows: applying it raises the mark alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyRun;

impl Run for EmptyRun {
    fn rows(&self) -> Box<dyn Iterator<Item = RowRef<'_>> + '_> {
        Box::new(std::iter::empty())
    }

    fn changes(&self) -> Box<dyn Iterator<Item = (Version, &[u8])> + '_> {
        Box::new(std::iter::empty())
    }
}

/// A page of a scan, or of changes: rows packed into one allocation.
#[derive(Clone, Debug, Default)]
pub struct Page {
    bytes: Vec<u8>,
    rows: Vec<PageRow>,
    /// Whether the scan has reached the end of its range with this page.
    pub finished: bool,
}

#[derive(Clone, Copy, Debug)]
struct PageRow {
    version: Version,
    start: usize,
    key_end: usize,
    /// `None` for a tombstone.
    value_end: Option<usize>,
}

impl Page {
    /// Appends a row.
    pub fn push(&mut self, row: RowRef<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(row.key);
        let key_end = self.bytes.len();
        let value_end = row.value.map(|value| {
            self.bytes.extend_from_slice(value);
            self.bytes.len()
        });
        self.rows.push(PageRow { version: row.version, start, key_end, value_end });
    }

    /// The row at `index`, if there are as many.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<RowRef<'_>> {
        self.rows.get(index).map(|row| RowRef {
            key: &self.bytes[row.start..row.key_end],
            version: row.version,
            value: row.value_end.map(|end| &self.bytes[row.key_end..end]),
        })
    }

    /// How many rows the page has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the page has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many bytes of keys and values the page holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room at once for as much as a short page takes.
    pub(crate) fn reserve(&mut self, limit: PageLimit) {
        let rows = limit.rows.min(64);
        self.rows.reserve(rows);
        self.bytes.reserve(limit.bytes.min(rows * 160));
    }

    /// Drops the tombstones.
    pub(crate) fn drop_tombstones(&mut self) {
        self.rows.retain(|row| row.value_end.is_some());
    }

    /// Keeps the rows whose keys `keep` takes.
    pub fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) {
        let bytes = &self.bytes;
        self.rows.retain(|row| keep(&bytes[row.start..row.key_end]));
    }

    /// Empties the page for reuse.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.finished = false;
    }
}

/// How much one page of a scan may hold. A page ends after the row that reaches either bound, so that a page always
/// makes progress.
#[derive(Clone, Copy, Debug)]
pub struct PageLimit {
    /// Rows.
    pub rows: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

/// What applying a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows written.
    pub rows: u64,
    /// Bytes that went to the disk, the index of changes included.
    pub bytes: u64,
}

/// One storage engine below a shard. Every method may be called from many threads; [`Backend::apply`],
/// [`Backend::retract`], [`Backend::remove`] and those that say so never from two at once (the shard's flush lock sees to it).
pub trait Backend: Debug + Send + Sync + 'static {
    /// The newest row of `key` whose version is at most `at`.
    fn get(&self, key: &[u8], at: Version) -> Result<Option<Row>>;

    /// Fills `page` with, for every key of `range` in `order`, its newest row whose version is at most `at`; tombstones
    /// are among them. Keys without such a row do not appear. `page` is cleared first; `page.finished` says whether the range
    /// is done. The caller goes on by passing a range that starts after the last key.
    fn scan(&self, range: &KeyRange, at: Version, order: Order, limit: PageLimit, page: &mut Page) -> Result<()>;

    /// Fills `page` with the rows (values included) that versions above `after` and at most `through` wrote, by version, then by
    /// key; `after` is a version and, within the first version, a key already seen (`None`: the whole version is seen).
    fn changes(&self, after: ChangesFrom<'_>, through: Version, limit: PageLimit, page: &mut Page) -> Result<()>;

    /// The version through which everything is applied and durable; 0 for a new backend. After a crash, rows above it may be
    /// there too: applying them again changes nothing, and retracting to the mark removes them.
    fn applied_through(&self) -> Version;

    /// Writes a run, makes it durable, then makes `through` the durable mark of [`Backend::applied_through`]. A run applied twice
    /// changes nothing, and a mark that is higher already stays. A version's keys may come in several runs. If it fails, either nothing can be seen of the run or applying it again completes it.
    fn apply(&self, run: &dyn Run, through: Version, epoch: u64) -> Result<Applied>;

    /// Removes every row whose version is above `keep`, for good. Costs what it removes. Returns how many rows went. If it fails or is cut
    /// short, making it again completes it.
    ///
    /// The mark stays: all that is kept is applied, and the log that could apply it again may be gone.
    fn retract(&self, keep: Version, epoch: u64) -> Result<u64>;

    /// Fills `slice` with what a pruning to `floor` removes next, going through about `changes_max` changes from where `cursor` stands: rows that a newer
    /// one at or below the floor supersedes, and tombstones that are the newest there. Removes nothing. Costs what was written at or below the
    /// floor since the last pruning, not what is stored. Every version up to the floor must be applied, and none of them may be applied again.
    fn prunable(
        &self,
        floor: Version,
        cursor: &mut PruneCursor,
        changes_max: usize,
        slice: &mut PruneSlice,
    ) -> Result<()>;

    /// Removes what a slice names, for good. Reads at or above its floor go on undisturbed; others must be refused by now. If it fails or is cut
    /// short, the same is found and removed again.
    fn remove(&self, slice: &PruneSlice, epoch: u64) -> Result<()>;

    /// Gives the space of removed rows back, as far as that is worth the rewriting. Takes as long as that takes.
    fn reclaim(&self) -> Result<()>;

    /// Hands the changes of versions above `after` to `visit`, the newest version first, until it breaks; no lock is held meanwhile.
    fn newest_changes(&self, after: Version, visit: &mut dyn FnMut(Version, &[u8]) -> ControlFlow<()>) -> Result<()>;

    /// Fills `page` with the rows of the keys that `pick` takes, from where `cursor` stands: every version up to `through`, tombstones among them, by key,
    /// then by version descending. A call looks at a bounded number of rows, so that the page may be empty before the cursor is finished.
    fn rows(
        &self,
        cursor: &mut MovingCursor,
        through: Version,
        pick: &dyn Fn(&[u8]) -> bool,
        limit: PageLimit,
        page: &mut Page,
    ) -> Result<()>;

    /// Fills `found` with about `most` changes up to `through`, of keys that `pick` takes, from where `cursor` stands, by version, then by key. Their rows
    /// are not looked at.
    fn changed(
        &self,
        cursor: &mut MovingCursor,
        through: Version,
        pick: &dyn Fn(&[u8]) -> bool,
        most: usize,
        found: &mut Vec<(Version, Vec<u8>)>,
    ) -> Result<()>;

    /// Writes changes that another backend has had, by version, then by key, none above `through`, and makes them durable. Twice is as good as
    /// once. The mark stays. Returns the bytes that went to the disk. Never beside [`Backend::apply`] and its like.
    fn bring_in_changes(&self, changes: &[(Version, Vec<u8>)], through: Version, epoch: u64) -> Result<u64>;

    /// Room for rows that another backend has had: see [`StagedRows`]. Several may be filled at a time.
    fn stage_rows(&self) -> Result<Box<dyn StagedRows + '_>>;

    /// Removes the changes of the keys that `pick` takes, from where `cursor` stands, for good. Their rows must be gone. A call looks at a bounded number of
    /// changes, and returns how many went. Never beside [`Backend::apply`] and its like.
    fn forget_changes(&self, cursor: &mut MovingCursor, pick: &dyn Fn(&[u8]) -> bool, epoch: u64) -> Result<u64>;

    /// From now on changes up to `through` may name rows that are not here yet, or no more: slots are on their way. 0: none is.
    fn expect_strays(&self, through: Version);

    /// Takes its share of what all backends of a store share, after their number has changed.
    fn share_anew(&self) -> Result<()> {
        Ok(())
    }

    /// Reads everything and checks every checksum; hands every row of `versions` to `row` (by key, then version
    /// descending) and every entry of `changes` to `change` (by version, then key).
    fn verify(
        &self,
        row: &mut dyn FnMut(RowRef<'_>) -> Result<()>,
        change: &mut dyn FnMut(Version, &[u8]) -> Result<()>,
    ) -> Result<()>;

    /// Makes an instance of its own in the new directory `target`, of what this one holds at a moment during the call. Files that never
    /// change are shared, as hard links, where the file system allows it. Runs and retractions must be kept away meanwhile.
    ///
    /// An engine without files refuses with [`Error::NoFiles`].
    fn checkpoint(&self, target: &Path) -> Result<()> {
        Err(Error::NoFiles { path: target.into() })
    }

    /// How the engine is doing.
    fn stats(&self) -> BackendStats;

    /// How far the engine lags behind what was handed to it: the router slows commits down by it.
    fn pressure(&self) -> Pressure;
}

/// Where a page of changes begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangesFrom<'a> {
    /// After every change of this version.
    After(Version),
    /// After this key of this version.
    Within(Version, &'a [u8]),
}

/// Figures of one backend, as the engine estimates them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendStats {
    /// Rows, all versions and tombstones counted, estimated.
    pub rows_estimate: u64,
    /// Bytes of live data on disk.
    pub live_bytes: u64,
    /// Those of them that are changes.
    pub changes_bytes: u64,
    /// Bytes of all files on disk, those waiting to be deleted included.
    pub file_bytes: u64,
    /// Files at level 0 of the largest family.
    pub level0_files: u64,
    /// Bytes that compaction still has to rewrite, estimated.
    pub pending_compaction_bytes: u64,
    /// Memtables of the engine that wait for their flush.
    pub immutable_memtables: u64,
    /// Bytes of the engine's memtables.
    pub memtable_bytes: u64,
    /// Bytes that the block cache holds now; it is shared by all shards of a store.
    pub block_cache_bytes: u64,
    /// What the engine counts only if it is asked to; `None`: it was not.
    pub counted: Option<EngineCounts>,
}

/// What an engine counts with `enable_statistics`, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounts {
    /// Blocks that the block cache had.
    pub block_cache_hits: u64,
    /// Blocks that it had not.
    pub block_cache_misses: u64,
    /// CPU time spent in compactions, in microseconds.
    pub compaction_cpu_micros: u64,
    /// How long the engine stalled writes, in microseconds.
    pub write_stall_micros: u64,
}

/// How far an engine lags behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Files at level 0.
    pub level0_files: u64,
    /// Bytes that compaction still has to rewrite, estimated.
    pub pending_compaction_bytes: u64,
}
