//! A backend of one RocksDB instance.
//!
//! Three column families: the default one for what the instance knows of itself, `versions` for rows, `changes` for which keys
//! each version wrote. Rows and changes come in as sorted files that are ingested, never through RocksDB's log: the store's
//! commit log stands for them until the mark says that they are here.

/// A named point at which a test can stop the process or make the call fail.
macro_rules! failpoint {
    ($backend:expr, $name:literal) => {
        fail::fail_point!($name, |_| Err($crate::Error::Io {
            path: $backend.path.clone(),
            what: concat!("stopped at ", $name).into(),
        }))
    };
}

mod apply;
mod change_part;
mod changes;
mod checkpoint;
mod error;
mod exit;
mod file_checksum;
mod ingest;
mod iterators;
mod layout;
mod meta;
mod metadata;
mod moving;
mod open;
mod open_files;
mod options;
mod presence;
mod prune;
mod read;
mod reclaim;
mod remove;
mod repair;
mod retract;
mod row;
mod scan;
mod shared;
mod stats;
mod verify;

pub use meta::Identity;
pub use options::{Compression, OptionError, RocksOptions};
pub use shared::RocksShared;

use crate::backend::{
    Applied, Backend, BackendStats, ChangesFrom, MovingCursor, Page, PageLimit, Pressure, PruneCursor, PruneSlice, Row,
    RowRef, Run, StagedRows,
};
use crate::{Error, KeyRange, Order, Result, Version};
use exit::OpenInstance;
use iterators::IteratorPool;
use meta::Meta;
use metadata::VersionsOptions;
use presence::Presence;
use rocksdb::{ColumnFamily, DB, Options, WaitForCompactOptions};
use shared::Share;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One RocksDB instance below one shard.
pub struct RocksBackend {
    path: PathBuf,
    /// Before `db`: its thread reads there.
    presence: Presence,
    db: Arc<DB>,
    meta: Meta,
    /// The lowest version to which anything was retracted since opening: the rows of higher ones may be gone before their changes.
    retracted_to: AtomicU64,
    /// The highest floor to which anything was pruned since opening: rows up to there may be gone before their changes.
    pruned_to: AtomicU64,
    share: Arc<Share>,
    /// Versions up to it may have changes without rows: slots are on their way.
    strays_to: AtomicU64,
    reclaim: reclaim::Reclaim,
    points: IteratorPool,
    passing: IteratorPool,
    rows: IteratorPool,
    passing_rows: IteratorPool,
    changes: IteratorPool,
    /// What RocksDB counts up whenever the files that a new iterator would see change, as last looked at.
    super_versions: AtomicU64,
    /// Number of the next file on its way in.
    next_file: AtomicU64,
    target_file_size: u64,
    /// Files are written with the options of the family that they go to.
    versions_options: VersionsOptions,
    changes_options: Options,
    /// Holds the statistics.
    instance_options: Options,
    /// Whether RocksDB keeps them.
    statistics: bool,
    /// The last field: dropped when everything else is closed.
    _open: OpenInstance,
}

impl fmt::Debug for RocksBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksBackend").field("path", &self.path).field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl RocksBackend {
    /// Makes a new, empty instance at `path`. Does nothing to one that is already there with the same identity, so that making it can
    /// be tried again after a crash; refuses any other.
    pub fn create(path: &Path, identity: &Identity, options: &RocksOptions, shared: &RocksShared) -> Result<Self> {
        open::open(path, identity, options, shared, open::Mode::Create)
    }

    /// Opens the instance at `path`. Refuses a directory that is empty, another store's or another shard's.
    pub fn open(path: &Path, identity: &Identity, options: &RocksOptions, shared: &RocksShared) -> Result<Self> {
        open::open(path, identity, options, shared, open::Mode::Open)
    }

    /// Makes the instance at `path`, which is `from` and nobody has open, say that it is `to`: a copy that becomes a part of another store. If
    /// it is cut short, the instance is either.
    pub fn rename(
        path: &Path,
        from: &Identity,
        to: &Identity,
        options: &RocksOptions,
        shared: &RocksShared,
    ) -> Result<()> {
        let backend = open::open(path, from, options, shared, open::Mode::Open)?;
        meta::rename(&backend.db, path, to)
    }

    /// Removes the instance at `path`, which nobody has open, with its directory; nothing is done if nothing is there. Refuses another store's or another
    /// shard's, and a directory in which anything else lies. Can be tried again after a crash.
    pub fn remove(path: &Path, identity: &Identity) -> Result<()> {
        remove::remove(path, identity)
    }

    /// Runs RocksDB's own repair on the instance at `path`, a copy that nobody has open, and refuses what that has made unless nothing is known to be lost.
    /// Whether the rest is right, only [`Backend::verify`] tells.
    pub fn repair(path: &Path, options: &RocksOptions, shared: &RocksShared) -> Result<()> {
        repair::repair(path, &shared.instance(options))
    }

    /// The instance's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rewrites everything into the lowest level, which drops what deletions have hidden. Takes as long as that takes.
    pub fn compact(&self) -> Result<()> {
        for name in [layout::VERSIONS, layout::CHANGES] {
            self.db.compact_range_cf(family(&self.db, name), None::<&[u8]>, None::<&[u8]>);
        }
        self.wait_for_compactions()?;
        stats::release_old_files(self);
        Ok(())
    }

    /// Returns once no compaction is due any more.
    pub fn wait_for_compactions(&self) -> Result<()> {
        self.db.wait_for_compact(&WaitForCompactOptions::default()).map_err(|e| error::classify(&self.path, &e))
    }

    fn family_options(&self, family: &str) -> &Options {
        if family == layout::VERSIONS { self.versions_options.now() } else { &self.changes_options }
    }

    /// No read that begins from now on sees less than what is on disk now.
    fn renew_iterators(&self) {
        for pool in [&self.points, &self.passing, &self.rows, &self.passing_rows, &self.changes] {
            pool.renew();
        }
    }

    /// The error for an entry that passed its checksum and still makes no sense.
    fn broken(&self, what: &str) -> Error {
        Error::Damaged { path: self.path.clone(), what: format!("it holds a broken {what}") }
    }
}

/// The handle of a family.
fn family<'db>(db: &'db DB, name: &str) -> &'db ColumnFamily {
    db.cf_handle(name).expect("opened with all three families")
}

impl Backend for RocksBackend {
    fn get(&self, key: &[u8], at: Version) -> Result<Option<Row>> {
        read::get(self, key, at)
    }

    fn scan(&self, range: &KeyRange, at: Version, order: Order, limit: PageLimit, page: &mut Page) -> Result<()> {
        scan::scan(self, range, at, order, limit, page)
    }

    fn changes(&self, after: ChangesFrom<'_>, through: Version, limit: PageLimit, page: &mut Page) -> Result<()> {
        changes::changes(self, after, through, limit, page)
    }

    fn applied_through(&self) -> Version {
        self.meta.mark()
    }

    fn apply(&self, run: &dyn Run, through: Version, epoch: u64) -> Result<Applied> {
        apply::apply(self, run, through, epoch)
    }

    fn retract(&self, keep: Version, epoch: u64) -> Result<u64> {
        retract::retract(self, keep, epoch)
    }

    fn prunable(
        &self,
        floor: Version,
        cursor: &mut PruneCursor,
        changes_max: usize,
        slice: &mut PruneSlice,
    ) -> Result<()> {
        prune::prunable(self, floor, cursor, changes_max, slice)
    }

    fn remove(&self, slice: &PruneSlice, epoch: u64) -> Result<()> {
        prune::remove(self, slice, epoch)
    }

    fn reclaim(&self) -> Result<()> {
        reclaim::reclaim(self)
    }

    fn newest_changes(&self, after: Version, visit: &mut dyn FnMut(Version, &[u8]) -> ControlFlow<()>) -> Result<()> {
        prune::newest_changes(self, after, visit)
    }

    fn rows(
        &self,
        cursor: &mut MovingCursor,
        through: Version,
        pick: &dyn Fn(&[u8]) -> bool,
        limit: PageLimit,
        page: &mut Page,
    ) -> Result<()> {
        moving::rows(self, cursor, through, pick, limit, page)
    }

    fn changed(
        &self,
        cursor: &mut MovingCursor,
        through: Version,
        pick: &dyn Fn(&[u8]) -> bool,
        most: usize,
        found: &mut Vec<(Version, Vec<u8>)>,
    ) -> Result<()> {
        moving::changed(self, cursor, through, pick, most, found)
    }

    fn bring_in_changes(&self, changes: &[(Version, Vec<u8>)], through: Version, epoch: u64) -> Result<u64> {
        moving::bring_in_changes(self, changes, through, epoch)
    }

    fn stage_rows(&self) -> Result<Box<dyn StagedRows + '_>> {
        moving::stage_rows(self)
    }

    fn forget_changes(&self, cursor: &mut MovingCursor, pick: &dyn Fn(&[u8]) -> bool, epoch: u64) -> Result<u64> {
        moving::forget_changes(self, cursor, pick, epoch)
    }

    fn expect_strays(&self, through: Version) {
        self.strays_to.store(through, Ordering::Release);
    }

    fn share_anew(&self) -> Result<()> {
        open_files::set(self, self.share.open_files())
    }

    fn verify(
        &self,
        row: &mut dyn FnMut(RowRef<'_>) -> Result<()>,
        change: &mut dyn FnMut(Version, &[u8]) -> Result<()>,
    ) -> Result<()> {
        verify::verify(self, row, change)
    }

    fn checkpoint(&self, target: &Path) -> Result<()> {
        checkpoint::checkpoint(self, target)
    }

    fn stats(&self) -> BackendStats {
        stats::stats(self)
    }

    fn pressure(&self) -> Pressure {
        stats::pressure(self)
    }
}
