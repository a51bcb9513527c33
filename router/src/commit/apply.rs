//! Writing groups of commits into the memtables.

use super::Group;
use crate::core::Core;

/// A group at least this large is applied to its shards in parallel: below it, waking the pool costs more than it saves.
const PARALLEL_APPLY_BYTES: usize = 64 << 10;

impl Core {
    /// Writes a group into the memtables. The boundary is held meanwhile, so that no shard seals half a version.
    pub(super) fn apply(&self, group: &Group) {
        let mut applied = self.boundary.lock();
        let topology = self.shards.now();
        let shards = topology.all();
        if group.iter().map(|commit| commit.payload.len()).sum::<usize>() < PARALLEL_APPLY_BYTES {
            for commit in group {
                commit.writes().for_each(|(shard, writes)| shards[shard].apply_hashed(std::iter::once(writes)));
            }
        } else {
            let mut by_shard: Vec<_> = shards.iter().map(|shard| (shard, Vec::new())).collect();
            for commit in group {
                commit.writes().for_each(|(shard, writes)| by_shard[shard].1.push(writes));
            }
            by_shard.retain(|(_, writes)| !writes.is_empty());
            self.workers.apply.share(&by_shard, |(shard, writes)| shard.apply_hashed(writes.iter().copied()));
        }
        *applied = group.last().map_or(*applied, |newest| newest.version);
    }
}
