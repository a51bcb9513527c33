//! Writing groups of commits into the memtables.

use super::Group;
use crate::core::Core;
use crate::shards::Topology;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A group at least this large is applied to its shards in parallel: below it, waking a helper costs more than it saves.
const PARALLEL_APPLY_BYTES: usize = 64 << 10;

/// A group that is applied shard by shard, by several threads.
struct Spread {
    group: Group,
    topology: Arc<Topology>,
    parts: Vec<Part>,
    /// The place of the next part that nobody has taken.
    next: AtomicUsize,
}

/// What a group writes to one shard: the places of its commits in the group, and of the sections in them.
#[derive(Clone, Default)]
struct Part {
    shard: usize,
    sections: Vec<(usize, usize)>,
}

impl Spread {
    fn new(group: &Group, topology: Arc<Topology>) -> Self {
        let mut parts: Vec<_> = (0..topology.all().len()).map(|shard| Part { shard, ..Part::default() }).collect();
        for (place, commit) in group.iter().enumerate() {
            for (section, (shard, _)) in commit.writes().enumerate() {
                parts[shard].sections.push((place, section));
            }
        }
        parts.retain(|part| !part.sections.is_empty());
        Spread { group: group.clone(), topology, parts, next: AtomicUsize::new(0) }
    }

    /// Applies parts until none is left.
    fn take_parts(&self) {
        while let Some(part) = self.parts.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let writes = part.sections.iter().map(|&(place, section)| {
                let commit = &self.group[place];
                commit.body.section(section, commit.version)
            });
            self.topology.all()[part.shard].apply_hashed(writes);
        }
    }
}

impl Core {
    /// Writes a group into the memtables. The boundary is held meanwhile, so that no shard seals half a version.
    pub(super) fn apply(&self, group: &Group) {
        let mut applied = self.boundary.lock();
        if group.iter().map(|commit| commit.payload.len()).sum::<usize>() < PARALLEL_APPLY_BYTES {
            let topology = self.shards.now();
            for commit in group {
                commit.writes().for_each(|(shard, writes)| topology.all()[shard].apply_hashed(std::iter::once(writes)));
            }
        } else {
            let spread = Spread::new(group, self.shards.keep());
            self.workers.apply.help(spread.parts.len().saturating_sub(1), Arc::new(move || spread.take_parts()));
        }
        *applied = group.last().map_or(*applied, |newest| newest.version);
    }
}
