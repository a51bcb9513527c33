//! The floor at which no key has more than so many versions.
//!
//! If a key's oldest version goes, reads at it would be answered wrongly, so the floor must be at the version above it. The lowest floor at which no key has
//! more than `n` versions is therefore the highest of all keys' n-th newest versions, among the keys that have more.

use crate::Result;
use crate::core::Core;
use rayon::prelude::*;
use shingle_shard::{Shard, Version, key_hash};
use std::collections::HashMap;
use std::ops::ControlFlow;

impl Core {
    /// Everything must be flushed. Goes through the changes above the floor, from the newest back to the floor that it finds, and holds a hash and a number for
    /// each key that they name.
    pub(super) fn floor_by_versions(&self, most: u64) -> Result<Version> {
        let topology = self.shards.keep();
        let floors = || topology.all().par_iter().map(|shard| self.floor_of_shard(shard, most)).collect();
        let floors: Result<Vec<Version>> = self.workers.prune.run(floors);
        Ok(floors?.into_iter().max().unwrap_or(0))
    }

    fn floor_of_shard(&self, shard: &Shard, most: u64) -> Result<Version> {
        let floor = self.snapshots.floor();
        let mut counts: HashMap<u64, u64> = HashMap::new();
        let mut found = Ok(0);
        shard.backend().newest_changes(floor, &mut |version, key| {
            let count = counts.entry(key_hash(key)).or_default();
            *count += 1;
            if *count != most {
                return ControlFlow::Continue(());
            }
            // Another one is below it, be it one that no change names any more.
            match version.checked_sub(1).map(|below| shard.backend().get(key, below)) {
                None | Some(Ok(None)) => ControlFlow::Continue(()),
                Some(Ok(Some(_))) => {
                    found = Ok(version);
                    ControlFlow::Break(())
                }
                Some(Err(error)) => {
                    found = Err(error.into());
                    ControlFlow::Break(())
                }
            }
        })?;
        found
    }
}
