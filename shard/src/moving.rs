//! Rows that come from another shard, and rows that have gone to one.

use crate::backend::{Applied, MovingCursor, StagedRows};
use crate::{Result, Shard, Version};
use std::sync::atomic::Ordering::{AcqRel, Acquire};

impl Shard {
    /// Odd if rows may be here that belong to another shard. A page is free of them if this was even before it was asked for, and is the same afterwards.
    #[inline]
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays.load(Acquire)
    }

    /// Says, before the first of them comes, that rows will be here that belong to another shard.
    pub fn expect_strays(&self) {
        self.backend.expect_strays(Version::MAX);
        if self.strays().is_multiple_of(2) {
            self.strays.fetch_add(1, AcqRel);
        }
    }

    /// Says, after the last of them has gone, that every row here is the shard's own.
    pub fn no_more_strays(&self) {
        self.backend.expect_strays(0);
        if !self.strays().is_multiple_of(2) {
            self.strays.fetch_add(1, AcqRel);
        }
    }

    /// Writes changes that another shard has flushed, none above `through`, to the backend, before their rows. They may be read from here on once
    /// [`Shard::settle`] has been called.
    pub fn bring_in_changes(&self, changes: &[(Version, Vec<u8>)], through: Version, epoch: u64) -> Result<u64> {
        let _flushing = self.flushing.lock();
        self.backend.bring_in_changes(changes, through, epoch)
    }

    /// Room for rows that another shard has flushed, until [`Shard::bring_in`].
    pub fn stage_rows(&self) -> Result<Box<dyn StagedRows + '_>> {
        self.backend.stage_rows()
    }

    /// Lets rows be read that [`Shard::stage_rows`] has made room for, once their changes are here.
    pub fn bring_in(&self, staged: Box<dyn StagedRows + '_>, epoch: u64) -> Result<Applied> {
        let _flushing = self.flushing.lock();
        staged.bring_in(epoch)
    }

    /// Removes the changes of the keys that `pick` takes from the backend; their rows must be gone.
    pub fn forget_changes(&self, cursor: &mut MovingCursor, pick: &dyn Fn(&[u8]) -> bool, epoch: u64) -> Result<u64> {
        let _flushing = self.flushing.lock();
        self.backend.forget_changes(cursor, pick, epoch)
    }

    /// Makes memory answer for no version up to `through`, all of which must be flushed: the backend does, to which others may bring rows.
    ///
    /// Whatever is concluded from the absence of a row in memory, or from where memory begins, is so made right again: a row of a key that memory holds is
    /// newer than all that came in; facts of the row cache are extended only over versions that memory has; changes are read where they are.
    pub fn settle(&self, through: Version) {
        debug_assert!(self.flushed_through() >= through, "what memory lets go must be in the backend");
        self.memtable.evict(through, u64::MAX);
        self.memtable.begin_after(through);
    }
}
