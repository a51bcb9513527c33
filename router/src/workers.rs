//! The store's own threads for work that is spread over shards or keys.

use crate::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

/// About a third of what a thread of normal priority gets beside it.
const NICE: i32 = 5;

/// A pool for each kind of work, so that none waits for another: a commit not for a verification, which may take minutes. None is
/// rayon's global one: its owner may wait on all of its threads for a commit that needs one.
#[derive(Debug)]
pub(crate) struct Workers {
    /// Large groups of commits, on their way to the memtables.
    pub(crate) apply: Pool,
    /// Reads of many keys.
    pub(crate) read: Pool,
    /// What reads or writes whole shards: flushes, verifications, rollbacks, recovery.
    pub(crate) upkeep: Pool,
    /// Prunings. Where the processor is short, they yield to everything else.
    pub(crate) prune: Pool,
}

impl Workers {
    pub(crate) fn new(shards: usize) -> Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Workers {
            apply: Pool::new("shingle-applier", cores.min(shards))?,
            read: Pool::new("shingle-reader", cores)?,
            upkeep: Pool::new("shingle-upkeep", cores.min(shards))?,
            prune: Pool::patient("shingle-pruner", cores.min(shards))?,
        })
    }
}

/// Threads that share the parts of one step.
#[derive(Debug)]
pub(crate) struct Pool(ThreadPool);

impl Pool {
    fn new(name: &'static str, threads: usize) -> Result<Self> {
        Self::build(name, threads, ThreadPoolBuilder::new())
    }

    /// One whose threads take a small share of a processor that others want.
    fn patient(name: &'static str, threads: usize) -> Result<Self> {
        let patient = |_| {
            // On Linux it is the thread's own. Refused, it works on as any other.
            let _refused = rustix::process::nice(NICE);
        };
        Self::build(name, threads, ThreadPoolBuilder::new().start_handler(patient))
    }

    fn build(name: &'static str, threads: usize, builder: ThreadPoolBuilder) -> Result<Self> {
        let pool = builder.num_threads(threads).thread_name(move |_| name.to_owned()).build();
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
}
