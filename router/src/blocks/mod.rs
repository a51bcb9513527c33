//! Blocks, and the block index: which version each block sealed, in memory and in the file `blocks`.

mod file;
mod index;

pub(crate) use file::BlocksFile;
pub(crate) use index::{BlockIndex, Entry, RolledBack};

use serde::{Deserialize, Serialize};
use shingle_shard::Version;

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The block's number; it rises from block to block, by any step.
    pub height: u64,
    /// The block's time in milliseconds; it never falls from block to block.
    pub timestamp_ms: u64,
}

impl Block {
    pub(crate) fn sealed(self, version: Version) -> SealedBlock {
        SealedBlock { height: self.height, timestamp_ms: self.timestamp_ms, version }
    }
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

impl SealedBlock {
    pub(crate) fn block(self) -> Block {
        Block { height: self.height, timestamp_ms: self.timestamp_ms }
    }
}
