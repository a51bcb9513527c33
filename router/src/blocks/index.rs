//! The block index in memory.

use super::{Block, SealedBlock};
use crate::{Error, Result};
use shingle_shard::Version;
use std::ops::{Bound, RangeBounds};

/// All sealed blocks. Heights rise; timestamps and versions never fall.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockIndex {
    blocks: Vec<SealedBlock>,
}

impl BlockIndex {
    /// `None` unless the blocks stand in the order that [`BlockIndex::check`] asks for.
    pub(super) fn from_blocks(blocks: Vec<SealedBlock>) -> Option<Self> {
        let follows = |pair: &[SealedBlock]| {
            pair[0].height < pair[1].height
                && pair[0].timestamp_ms <= pair[1].timestamp_ms
                && pair[0].version <= pair[1].version
        };
        blocks.windows(2).all(follows).then_some(BlockIndex { blocks })
    }

    /// Refuses a block that may not follow the newest one.
    pub(crate) fn check(&self, block: Block) -> Result<()> {
        match self.newest() {
            Some(newest) if block.height <= newest.height => {
                Err(Error::HeightNotRising { given: block.height, newest: newest.height })
            }
            Some(newest) if block.timestamp_ms < newest.timestamp_ms => {
                Err(Error::TimestampFalls { given: block.timestamp_ms, newest: newest.timestamp_ms })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Adds a block that [`BlockIndex::check`] let pass; its version is not below the newest block's.
    pub(crate) fn push(&mut self, block: SealedBlock) {
        debug_assert!(self.newest().is_none_or(|newest| newest.version <= block.version), "versions fall: {block:?}");
        self.blocks.push(block);
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

    /// All blocks, lowest first.
    pub(crate) fn as_slice(&self) -> &[SealedBlock] {
        &self.blocks
    }

    /// Forgets every block above `height`.
    pub(crate) fn truncate_to_height(&mut self, height: u64) {
        self.blocks.truncate(self.blocks.partition_point(|block| block.height <= height));
    }

    /// Forgets every block that sealed a version above `version`.
    pub(crate) fn truncate_to_version(&mut self, version: Version) {
        self.blocks.truncate(self.blocks.partition_point(|block| block.version <= version));
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

    /// Heights with gaps, two blocks of one time, and an empty block that seals the version before it again.
    fn index() -> BlockIndex {
        let blocks = vec![block(10, 100, 5), block(11, 100, 9), block(20, 300, 9), block(21, 400, 12)];
        BlockIndex::from_blocks(blocks).expect("in order")
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
            [None, Some(10), Some(10), Some(20), Some(21)]
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
    fn a_block_must_rise_and_its_time_must_not_fall() {
        let index = index();
        let check = |height, timestamp_ms| index.check(Block { height, timestamp_ms });
        assert!(matches!(check(21, 500), Err(Error::HeightNotRising { given: 21, newest: 21 })));
        assert!(matches!(check(22, 399), Err(Error::TimestampFalls { given: 399, newest: 400 })));
        assert!(check(22, 400).is_ok() && check(1000, 401).is_ok());
        assert!(BlockIndex::default().check(Block { height: 0, timestamp_ms: 0 }).is_ok());
    }

    #[test]
    fn cutting_by_height_and_by_version_differ_where_a_block_is_empty() {
        let (mut by_height, mut by_version) = (index(), index());
        by_height.truncate_to_height(11);
        by_version.truncate_to_version(9);
        assert_eq!(by_height.newest(), Some(block(11, 100, 9)));
        assert_eq!(by_version.newest(), Some(block(20, 300, 9)));
    }
}
