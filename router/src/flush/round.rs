//! One flush of several shards: on all threads where somebody waits for it, on some where nobody does.

use super::Haste;
use crate::core::Core;
use parking_lot::Mutex;
use shingle_shard::{Shard, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// From this part of the memory budget on, one in so many, what is not flushed makes every flush hurry.
const HURRY_PART: u64 = 2;

/// The least part of its core's time that a flush takes.
const LEAST_SHARE: f64 = 0.25;

/// How long a flush rests before it looks whether there is haste now.
const LOOK: Duration = Duration::from_millis(2);

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
            let flushed = shard.flush(self.through, self.core.epoch(), &|took| self.core.rest(took, self.haste));
            self.done.lock().push(flushed);
        }
    }
}

impl Core {
    pub(crate) fn flush_threads(&self, haste: Haste) -> usize {
        if self.flush_share(haste) < 1.0 { self.workers.unhurried } else { self.shards.now().all().len() }
    }

    /// The part of its cores' time that a flush takes: all of it if somebody waits or memory runs full, and the less the more room there is.
    pub(crate) fn flush_share(&self, haste: Haste) -> f64 {
        let waited_for = haste == Haste::Awaited
            || self.flusher.awaited.load(Ordering::Relaxed) > 0
            || self.admission.anyone_waits();
        if waited_for {
            return 1.0;
        }
        // What is not flushed is this much when a flush begins, and that much when it hurries.
        let begin = self.options.write_buffer_bytes as f64;
        let hurry = (self.options.memory_budget_bytes / HURRY_PART) as f64;
        let unflushed = self.memory().unflushed_bytes as f64;
        if unflushed >= hurry { 1.0 } else { ((unflushed - begin) / (hurry - begin)).clamp(LEAST_SHARE, 1.0) }
    }

    /// Rests after a spell of a flush's work that took so long, unless or until there is haste: a commit that comes meanwhile finds a core free.
    pub(crate) fn rest(&self, took: Duration, haste: Haste) {
        let mut rested = Duration::ZERO;
        loop {
            let left = took.mul_f64(1.0 / self.flush_share(haste) - 1.0).saturating_sub(rested);
            if left.is_zero() {
                return;
            }
            let nap = left.min(LOOK);
            thread::sleep(nap);
            rested += nap;
        }
    }
}
