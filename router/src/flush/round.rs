//! One flush of several shards: on all threads where somebody waits for it, on some where nobody does.

use super::Haste;
use crate::core::Core;
use parking_lot::Mutex;
use shingle_shard::{Shard, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// From this part of the memory budget on, one in so many, what is not flushed makes every flush hurry.
const HURRY_PART: u64 = 2;

/// The shards that are flushed together.
pub(super) struct Round<'a> {
    core: &'a Core,
    shards: &'a [&'a Arc<Shard>],
    through: Version,
    haste: Haste,
    /// The place of the next shard that nobody has taken.
    next: AtomicUsize,
    /// Tasks that take shards.
    tasks: AtomicUsize,
    done: Mutex<Vec<shingle_shard::Result<shingle_shard::Flushed>>>,
}

impl<'a> Round<'a> {
    pub(super) fn new(core: &'a Core, shards: &'a [&'a Arc<Shard>], through: Version, haste: Haste) -> Self {
        let (next, tasks) = (AtomicUsize::new(0), AtomicUsize::new(1));
        Round { core, shards, through, haste, next, tasks, done: Mutex::default() }
    }

    pub(super) fn run(self) -> Vec<shingle_shard::Result<shingle_shard::Flushed>> {
        self.core.workers.upkeep.run(|| rayon::scope(|scope| self.take_shards(scope)));
        self.done.into_inner()
    }

    /// Flushes one shard after the other. Others help as soon as there is haste, which may come up meanwhile.
    fn take_shards<'s>(&'s self, scope: &rayon::Scope<'s>) {
        while let Some(shard) = self.shards.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let wanted = self.core.flush_threads(self.haste);
            let before = self.tasks.fetch_max(wanted, Ordering::Relaxed);
            (before..wanted).for_each(|_| scope.spawn(|scope| self.take_shards(scope)));
            let flushed = shard.flush(self.through, self.core.epoch());
            self.done.lock().push(flushed);
        }
    }
}

impl Core {
    pub(crate) fn flush_threads(&self, haste: Haste) -> usize {
        let hurries = haste == Haste::Awaited
            || self.flusher.awaited.load(Ordering::Relaxed) > 0
            || self.admission.anyone_waits()
            || self.memory().unflushed_bytes > self.options.memory_budget_bytes / HURRY_PART;
        if hurries { self.shards.now().all().len() } else { self.workers.unhurried }
    }
}
