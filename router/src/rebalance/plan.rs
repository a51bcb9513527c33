//! What a rebalancing is to do.

use std::path::PathBuf;

/// One slot's way from the shard that it lives on to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Move {
    /// The slot.
    pub slot: u32,
    /// The shard that it lives on.
    pub from: usize,
    /// The shard that it goes to.
    pub to: usize,
}

/// What a rebalancing is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// The slots that move, each once.
    pub moves: Vec<Move>,
    /// How many shards there are afterwards. New ones have the numbers behind those of the others; those with the highest numbers go, when they are empty.
    pub shards_after: usize,
    /// Directories over which new shards are spread in turn; empty: all below the store's own.
    pub new_dirs: Vec<PathBuf>,
}
