//! Writing groups of commits into the memtables.

use super::Group;
use crate::core::Core;
use crate::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A group at least this large is applied to its shards in parallel: below it, waking the helpers costs more than it saves.
const PARALLEL_APPLY_BYTES: usize = 64 << 10;

/// The threads that help to apply large groups. They do nothing else: a commit that waits behind a flush would be the slowest of all.
#[derive(Debug)]
pub(crate) struct Appliers {
    /// `None` where there is one core or one shard: the thread that applies is enough.
    helpers: Option<ThreadPool>,
}

impl Appliers {
    pub(crate) fn new(shards: usize) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.min(shards) - 1;
        if threads == 0 {
            return Ok(Appliers { helpers: None });
        }
        let name = "shingle-helper";
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(move |_| name.to_owned()).build();
        let pool = pool.map_err(|error| Error::Thread { name, source: Arc::new(std::io::Error::other(error)) })?;
        Ok(Appliers { helpers: Some(pool) })
    }

    /// Does each of `tasks` once, here and on the helpers that are free.
    fn share<T: Sync>(&self, tasks: &[T], work: impl Fn(&T) + Sync) {
        let next = AtomicUsize::new(0);
        let take = || {
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(task);
            }
        };
        match &self.helpers {
            None => take(),
            Some(helpers) => helpers.in_place_scope(|scope| {
                (0..helpers.current_num_threads()).for_each(|_| scope.spawn(|_| take()));
                take();
            }),
        }
    }
}

impl Core {
    /// Writes a group into the memtables. The boundary is held meanwhile, so that no shard seals half a version.
    pub(super) fn apply(&self, group: &Group) {
        let mut applied = self.boundary.lock();
        let shards = self.shards.all();
        if group.iter().map(|commit| commit.payload.len()).sum::<usize>() < PARALLEL_APPLY_BYTES {
            for commit in group {
                commit.writes().for_each(|(shard, writes)| shards[shard].apply_hashed(std::iter::once(writes)));
            }
        } else {
            let mut by_shard: Vec<_> = shards.iter().map(|shard| (shard, Vec::new())).collect();
            for commit in group {
                commit.writes().for_each(|(shard, writes)| by_shard[shard].1.push(writes));
            }
            self.appliers.share(&by_shard, |(shard, writes)| shard.apply_hashed(writes.iter().copied()));
        }
        *applied = group.last().map_or(*applied, |newest| newest.version);
    }
}
