//! What a rebalancing is to do.

use std::path::PathBuf;

/// One slot that changes its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Move {
    /// The slot.
    pub slot: u32,
    /// The shard that it lives on.
    pub from: usize,
    /// The shard that it goes to.
    pub to: usize,
}

/// Slots that change their shards, and how many shards there are then.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// What moves, each slot at most once.
    pub moves: Vec<Move>,
    /// How many shards there are in the end: those from this number on are removed.
    pub shards_after: usize,
    /// Directories over which new shards are spread in turn; empty: below the store's own.
    pub new_dirs: Vec<PathBuf>,
}
