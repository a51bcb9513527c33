//! The store's own threads for work that is spread over shards or keys.

use crate::helpers::Helpers;
use crate::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

/// A pool for each kind of work, so that none waits for another: a commit not for a verification, which may take minutes. None is
/// rayon's global one: its owner may wait on all of its threads for a commit that needs one.
#[derive(Debug)]
pub(crate) struct Workers {
    /// Large groups of commits, on their way to the memtables.
    pub(crate) apply: Helpers,
    /// Reads of many keys.
    pub(crate) read: Pool,
    /// Pages of long scans.
    pub(crate) scan: Pool,
    /// What reads or writes whole shards: flushes, verifications, rollbacks, recovery.
    pub(crate) upkeep: Pool,
    /// How many threads of `upkeep` leave enough of the processor to commits.
    pub(crate) unhurried: usize,
    /// Prunings. Where the processor is short, they yield to everything else.
    pub(crate) prune: Pool,
    /// Slices of a rebalancing. In the background, beside commits that keep every core busy, it would not end, while its history grows; a rate holds it back.
    pub(crate) moving: Pool,
}

impl Workers {
    /// However many shards there are: more may come.
    pub(crate) fn new() -> Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Workers {
            // Beside the thread that has the group.
            apply: Helpers::new("shingle-applier", (cores - 1).max(1))?,
            read: Pool::new("shingle-reader", cores, Rank::Awaited)?,
            scan: Pool::new("shingle-scanner", cores, Rank::Awaited)?,
            upkeep: Pool::new("shingle-upkeep", cores, Rank::Background)?,
            unhurried: (cores / 2).max(1),
            prune: Pool::new("shingle-pruner", (cores / 2).max(1), Rank::Background)?,
            moving: Pool::new("shingle-mover", (cores / 2).max(1), Rank::Awaited)?,
        })
    }
}

/// The niceness of background work beside that of the process: about a third of the processor time of a thread that somebody waits for, while there
/// is one. More would let memory run full for want of a flush where readers keep every core busy.
#[cfg(target_os = "linux")]
const BACKGROUND_NICE: i32 = 5;

/// Who goes first where there are fewer cores than threads with something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    Awaited,
    /// Can wait, as long as there is memory.
    Background,
}

impl Rank {
    /// Gives the calling thread this rank. Where the system does not allow it, it goes on as before.
    fn take(self) {
        // Elsewhere it would be the whole process.
        #[cfg(target_os = "linux")]
        if self == Rank::Background {
            let _allowed = rustix::process::getpriority_process(None)
                .and_then(|nice| rustix::process::setpriority_process(None, nice + BACKGROUND_NICE));
        }
    }
}

/// Threads that share the parts of one step.
#[derive(Debug)]
pub(crate) struct Pool(ThreadPool);

impl Pool {
    pub(crate) fn new(name: &'static str, threads: usize, rank: Rank) -> Result<Self> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(move |_| name.to_owned());
        let pool = pool.start_handler(move |_| rank.take()).build();
        pool.map(Pool).map_err(|error| Error::Thread { name, cause: Arc::new(std::io::Error::other(error)) })
    }

    /// Whether [`Pool::run`] takes a thread of its own: the caller's belongs to another pool.
    pub(crate) fn takes_a_thread(&self) -> bool {
        rayon::current_thread_index().is_some() && self.0.current_thread_index().is_none()
    }

    /// Runs `step` on the pool, where its parallel iterators are at home, and waits for it.
    ///
    /// A thread of another pool, one of the caller's for instance, would not just wait: rayon has it do other work of its own pool meanwhile,
    /// which may want the very lock that is held around this step. So a thread that belongs to no pool waits in its place.
    ///
    /// # Panics
    /// If `step` does; if the system refuses that thread.
    pub(crate) fn run<R: Send>(&self, step: impl FnOnce() -> R + Send) -> R {
        if !self.takes_a_thread() {
            return self.0.install(step);
        }
        let outcome = thread::scope(|scope| scope.spawn(|| self.0.install(step)).join());
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Has a thread of the pool do it once one is free.
    pub(crate) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        self.0.spawn(work);
    }

    pub(crate) fn threads(&self) -> usize {
        self.0.current_num_threads()
    }
}
