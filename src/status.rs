//! What an operator asks first.

use crate::Database;
use serde::{Deserialize, Serialize};
use shingle_router::{Condition, Counts, Distribution, Memory, SealedBlock, SlotMap, Stats};
use std::path::{Path, PathBuf};

/// Where a store is, its newest block, and its figures: the document of `shingle status --json` and of the admin server's `/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The store's directory; `None` for a store in memory.
    pub dir: Option<PathBuf>,
    /// The newest block.
    pub head: Option<SealedBlock>,
    /// Its figures.
    #[serde(flatten)]
    pub stats: Stats,
}

/// What there is to know of an open store beside its figures.
impl Database {
    /// The store's directory; `None` for a store in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.store.path()
    }

    /// Whether the store takes commits, and if not, why.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.store.condition()
    }

    /// Which shard each slot lives on.
    #[must_use]
    pub fn slot_map(&self) -> SlotMap {
        self.store.slot_map()
    }

    /// Where slots are going to, while they are copied; `None`: none are on their way.
    #[must_use]
    pub fn next_slot_map(&self) -> Option<SlotMap> {
        self.store.next_slot_map()
    }

    /// What was counted since the store was opened, and how long commits took, in microseconds: cheap enough to be asked for every second.
    #[must_use]
    pub fn counts(&self) -> (Counts, Distribution) {
        self.store.counts()
    }

    /// What the memtables of all shards take.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.store.memory()
    }

    /// Everything that an operator asks first: where the store is, its newest block, and its figures.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { dir: self.path().map(Path::to_owned), head: self.head(), stats: self.stats() }
    }

    #[cfg(feature = "admin")]
    pub(crate) fn announce(&self, address: Option<&str>) {
        self.store.announce(address);
    }
}
