//! The block index in memory.

use super::SealedBlock;
use shingle_shard::Version;
use std::ops::{Bound, RangeBounds};

/// Something that happened to the chain of blocks, as the file keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Sealed(SealedBlock),
    RolledBack(RolledBack),
}

/// Versions that a rollback removed: those above `keep` and below `at`, the rollback's own version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RolledBack {
    pub(crate) keep: Version,
    pub(crate) at: Version,
}

impl Entry {
    /// The version that it has in the log.
    pub(crate) fn version(self) -> Version {
        match self {
            Entry::Sealed(block) => block.version,
            Entry::RolledBack(rolled_back) => rolled_back.at,
        }
    }
}

/// All sealed blocks that were not rolled back. Heights and versions rise; timestamps never fall.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockIndex {
    blocks: Vec<SealedBlock>,
    /// The removed versions, oldest first; no two overlap.
    rollbacks: Vec<RolledBack>,
    /// What the file does not have yet, oldest first.
    news: Vec<Entry>,
    /// The version of the newest entry of the file.
    covers_through: Version,
}

impl BlockIndex {
    /// What these entries lead to; `None` unless they stand in an order in which they can have happened.
    pub(super) fn from_entries(entries: impl IntoIterator<Item = Entry>) -> Option<Self> {
        let mut index = BlockIndex::default();
        for entry in entries {
            if entry.version() <= index.covers_through {
                return None;
            }
            match entry {
                Entry::Sealed(block) if index.check(block).is_ok() => index.add(block),
                Entry::RolledBack(rolled_back) if rolled_back.keep < rolled_back.at => index.remove(rolled_back),
                Entry::Sealed(_) | Entry::RolledBack(_) => return None,
            }
            index.covers_through = entry.version();
        }
        Some(index)
    }

    fn check(&self, block: SealedBlock) -> Result<(), ()> {
        let rises = self.newest().is_none_or(|newest| {
            newest.height < block.height && newest.timestamp_ms <= block.timestamp_ms && newest.version < block.version
        });
        if rises { Ok(()) } else { Err(()) }
    }

    /// Adds a block above the newest one.
    pub(crate) fn push(&mut self, block: SealedBlock) {
        debug_assert!(self.check(block).is_ok(), "{block:?} does not rise");
        self.add(block);
        self.news.push(Entry::Sealed(block));
    }

    /// Forgets the blocks above `rolled_back.keep`, and notes the versions that are gone.
    pub(crate) fn roll_back(&mut self, rolled_back: RolledBack) {
        self.remove(rolled_back);
        self.news.push(Entry::RolledBack(rolled_back));
    }

    fn add(&mut self, block: SealedBlock) {
        self.blocks.push(block);
    }

    fn remove(&mut self, rolled_back: RolledBack) {
        self.blocks.truncate(self.blocks.partition_point(|block| block.version <= rolled_back.keep));
        // Rollbacks of versions that this one removes too lie within it.
        self.rollbacks.truncate(self.rollbacks.partition_point(|earlier| earlier.at <= rolled_back.keep));
        self.rollbacks.push(rolled_back);
    }

    /// If a rollback has removed this version, the version to which it went back.
    pub(crate) fn rolled_back(&self, version: Version) -> Option<Version> {
        let nearest = self.rollbacks.partition_point(|rolled_back| rolled_back.keep < version).checked_sub(1)?;
        Some(self.rollbacks[nearest]).filter(|rolled_back| version < rolled_back.at).map(|rolled_back| rolled_back.keep)
    }

    /// The version that the store was last rolled back to if `newest`, its newest version, is a rollback's own; else `newest`.
    pub(crate) fn rolled_back_to(&self, newest: Version) -> Version {
        let latest_first = self.rollbacks.iter().rev();
        latest_first.fold(newest, |version, rollback| if rollback.at == version { rollback.keep } else { version })
    }

    /// What the file does not have yet of the versions up to `through`, oldest first.
    pub(crate) fn news_through(&self, through: Version) -> &[Entry] {
        &self.news[..self.news.partition_point(|entry| entry.version() <= through)]
    }

    /// Notes that the file has the oldest `entries` of the news.
    pub(crate) fn persisted(&mut self, entries: usize) {
        let kept = self.news.split_off(entries);
        if let Some(newest) = std::mem::replace(&mut self.news, kept).last() {
            self.covers_through = newest.version();
        }
    }

    /// The version of the newest entry of the file: what the log says up to there, the index knows.
    pub(crate) fn covers_through(&self) -> Version {
        self.covers_through
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// The newest block.
    pub(crate) fn newest(&self) -> Option<SealedBlock> {
        self.blocks.last().copied()
    }

    /// The block of this height.
    pub(crate) fn at_height(&self, height: u64) -> Option<SealedBlock> {
        self.at_or_below_height(height).filter(|block| block.height == height)
    }

    /// The newest block that is not above this height.
    pub(crate) fn at_or_below_height(&self, height: u64) -> Option<SealedBlock> {
        self.last_of(|block| block.height <= height)
    }

    /// The newest block that seals a version not above this one.
    pub(crate) fn at_or_below_version(&self, version: Version) -> Option<SealedBlock> {
        self.last_of(|block| block.version <= version)
    }

    /// The newest block whose timestamp is not after this one.
    pub(crate) fn at_or_before_time(&self, timestamp_ms: u64) -> Option<SealedBlock> {
        self.last_of(|block| block.timestamp_ms <= timestamp_ms)
    }

    /// The blocks with these heights, lowest first.
    pub(crate) fn range(&self, heights: impl RangeBounds<u64>) -> &[SealedBlock] {
        let start = self.blocks.partition_point(|block| match heights.start_bound() {
            Bound::Included(&start) => block.height < start,
            Bound::Excluded(&start) => block.height <= start,
            Bound::Unbounded => false,
        });
        let end = self.blocks.partition_point(|block| match heights.end_bound() {
            Bound::Included(&end) => block.height <= end,
            Bound::Excluded(&end) => block.height < end,
            Bound::Unbounded => true,
        });
        self.blocks.get(start..end).unwrap_or_default()
    }

    /// The last of the blocks for which `holds` holds, which are the first ones.
    fn last_of(&self, holds: impl Fn(&SealedBlock) -> bool) -> Option<SealedBlock> {
        let count = self.blocks.partition_point(holds);
        count.checked_sub(1).map(|last| self.blocks[last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(height: u64, timestamp_ms: u64, version: Version) -> SealedBlock {
        SealedBlock { height, timestamp_ms, version }
    }

    /// Heights with gaps, and two blocks of one time.
    fn index() -> BlockIndex {
        let mut index = BlockIndex::default();
        for block in [block(10, 100, 5), block(11, 100, 9), block(20, 300, 10), block(21, 400, 12)] {
            index.push(block);
        }
        index
    }

    #[test]
    fn blocks_are_found_by_height_version_and_time() {
        let index = index();
        let heights = |found: Option<SealedBlock>| found.map(|block| block.height);
        assert_eq!(
            [9, 10, 12, 20, 99].map(|height| heights(index.at_height(height))),
            [None, Some(10), None, Some(20), None]
        );
        assert_eq!(
            [9, 10, 12, 20, 99].map(|height| heights(index.at_or_below_height(height))),
            [None, Some(10), Some(11), Some(20), Some(21)]
        );
        assert_eq!(
            [4, 5, 8, 9, 99].map(|version| heights(index.at_or_below_version(version))),
            [None, Some(10), Some(10), Some(11), Some(21)]
        );
        assert_eq!(
            [99, 100, 299, 300, 999].map(|time| heights(index.at_or_before_time(time))),
            [None, Some(11), Some(11), Some(20), Some(21)]
        );
    }

    #[test]
    fn ranges_of_heights_keep_their_bounds() {
        let index = index();
        let heights = |blocks: &[SealedBlock]| blocks.iter().map(|block| block.height).collect::<Vec<_>>();
        assert_eq!(heights(index.range(..)), [10, 11, 20, 21]);
        assert_eq!(heights(index.range(11..21)), [11, 20]);
        assert_eq!(heights(index.range(11..=21)), [11, 20, 21]);
        assert_eq!(heights(index.range((Bound::Excluded(11), Bound::Unbounded))), [20, 21]);
        #[expect(clippy::reversed_empty_ranges, reason = "a caller can ask for it")]
        let reversed = heights(index.range(21..10));
        assert!(reversed.is_empty());
    }

    #[test]
    fn entries_out_of_order_are_refused() {
        let sealed = |height, timestamp_ms, version| Entry::Sealed(block(height, timestamp_ms, version));
        let sound =
            [sealed(1, 10, 5), sealed(2, 10, 6), Entry::RolledBack(RolledBack { keep: 5, at: 8 }), sealed(2, 11, 9)];
        let index = BlockIndex::from_entries(sound).expect("in order");
        assert_eq!(
            (index.newest(), index.covers_through(), index.news_through(99).len()),
            (Some(block(2, 11, 9)), 9, 0)
        );
        for wrong in
            [sealed(1, 10, 10), sealed(3, 9, 10), sealed(3, 10, 9), Entry::RolledBack(RolledBack { keep: 10, at: 10 })]
        {
            assert!(BlockIndex::from_entries(sound.into_iter().chain([wrong])).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn removed_versions_are_told_from_kept_ones() {
        let mut index = index();
        index.roll_back(RolledBack { keep: 9, at: 15 });
        assert_eq!(index.newest(), Some(block(11, 100, 9)));
        assert_eq!([9, 10, 14, 15, 16].map(|version| index.rolled_back(version)), [None, Some(9), Some(9), None, None]);
        index.push(block(12, 100, 17));
        index.roll_back(RolledBack { keep: 9, at: 20 });
        assert_eq!([15, 17, 19, 20].map(|version| index.rolled_back(version)), [Some(9), Some(9), Some(9), None]);
        // Back to a version between blocks, and to one before all of them.
        index.push(block(12, 200, 22));
        index.roll_back(RolledBack { keep: 24, at: 28 });
        assert_eq!(
            [19, 20, 24, 25, 28].map(|version| index.rolled_back(version)),
            [Some(9), None, None, Some(24), None]
        );
        assert_eq!(index.newest(), Some(block(12, 200, 22)));
        index.roll_back(RolledBack { keep: 5, at: 30 });
        assert_eq!(
            [5, 6, 9, 20, 29, 30].map(|version| index.rolled_back(version)),
            [None, Some(5), Some(5), Some(5), Some(5), None]
        );
    }

    #[test]
    fn news_are_handed_over_once() {
        let mut index = index();
        assert_eq!([4, 5, 11, 12].map(|through| index.news_through(through).len()), [0, 1, 3, 4]);
        index.persisted(3);
        assert_eq!(
            (index.news_through(12), index.covers_through()),
            ([Entry::Sealed(block(21, 400, 12))].as_slice(), 10)
        );
    }
}
