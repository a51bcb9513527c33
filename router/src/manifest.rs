//! The manifest: what a store is, in the file `MANIFEST`.

use crate::Result;
use crate::slot::{RoutingKey, SlotMap};
use shingle_shard::Version;
use std::path::{Path, PathBuf};

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) store_id: [u8; 16],
    pub(crate) routing_key: RoutingKey,
    /// Each shard's directory; relative to the store's where it lies inside.
    pub(crate) shards: Vec<PathBuf>,
    pub(crate) log_dir: PathBuf,
    pub(crate) slot_map: SlotMap,
    /// Snapshots below it are refused.
    pub(crate) floor: Version,
}

impl Manifest {
    /// Reads the manifest of the store in `dir`; `NotAStore` if there is none.
    pub(crate) fn load(_dir: &Path) -> Result<Manifest> {
        unimplemented!()
    }
    /// Replaces the manifest durably.
    pub(crate) fn store(&self, _dir: &Path) -> Result<()> {
        unimplemented!()
    }
    pub(crate) fn shard_dir(&self, dir: &Path, shard: usize) -> PathBuf {
        dir.join(&self.shards[shard])
    }
    pub(crate) fn log_dir(&self, dir: &Path) -> PathBuf {
        dir.join(&self.log_dir)
    }
}
