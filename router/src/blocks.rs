//! The block index: which version each block sealed, in memory and in the file `blocks`.

use crate::Result;
use serde::{Deserialize, Serialize};
use shingle_shard::Version;
use std::path::Path;

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The block's number; it rises from block to block, by any step.
    pub height: u64,
    /// The block's time in milliseconds; it never falls from block to block.
    pub timestamp_ms: u64,
}

/// A block and the version that it sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBlock {
    /// The block's number.
    pub height: u64,
    /// The block's time in milliseconds.
    pub timestamp_ms: u64,
    /// The newest version that belongs to the block.
    pub version: Version,
}

/// All sealed blocks, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockIndex {}

impl BlockIndex {
    /// Refuses a block that may not follow the newest one.
    pub(crate) fn check(&self, _block: Block) -> Result<()> {
        unimplemented!()
    }
    /// Adds a block that [`BlockIndex::check`] let pass; its version is not below the newest block's.
    pub(crate) fn push(&mut self, _block: SealedBlock) {
        unimplemented!()
    }
    pub(crate) fn newest(&self) -> Option<SealedBlock> {
        unimplemented!()
    }
    pub(crate) fn at_height(&self, _height: u64) -> Option<SealedBlock> {
        unimplemented!()
    }
    pub(crate) fn at_or_below_height(&self, _height: u64) -> Option<SealedBlock> {
        unimplemented!()
    }
    pub(crate) fn at_or_below_version(&self, _version: Version) -> Option<SealedBlock> {
        unimplemented!()
    }
    pub(crate) fn at_or_before_time(&self, _timestamp_ms: u64) -> Option<SealedBlock> {
        unimplemented!()
    }
    pub(crate) fn range(&self, _heights: impl std::ops::RangeBounds<u64>) -> &[SealedBlock] {
        unimplemented!()
    }
    pub(crate) fn as_slice(&self) -> &[SealedBlock] {
        unimplemented!()
    }
    /// Forgets every block above `height`.
    pub(crate) fn truncate_to_height(&mut self, _height: u64) {
        unimplemented!()
    }
    /// Forgets every block that sealed a version above `version`.
    pub(crate) fn truncate_to_version(&mut self, _version: Version) {
        unimplemented!()
    }
}

/// The file `blocks`: apart from the index so that a sync holds up no reader.
#[derive(Debug)]
pub(crate) struct BlocksFile {}

impl BlocksFile {
    pub(crate) fn create(_dir: &Path, _store_id: [u8; 16]) -> Result<BlocksFile> {
        unimplemented!()
    }
    pub(crate) fn open(_dir: &Path, _store_id: [u8; 16]) -> Result<(BlocksFile, BlockIndex)> {
        unimplemented!()
    }
    /// How many of the oldest blocks are on disk.
    pub(crate) fn persisted(&self) -> usize {
        unimplemented!()
    }
    /// Makes the blocks that follow the persisted ones durable: `&index.as_slice()[file.persisted()..]`.
    pub(crate) fn persist(&mut self, _blocks: &[SealedBlock]) -> Result<()> {
        unimplemented!()
    }
    /// Durably forgets all but the oldest `blocks` blocks (no effect if no more are persisted).
    pub(crate) fn truncate(&mut self, _blocks: usize) -> Result<()> {
        unimplemented!()
    }
}
