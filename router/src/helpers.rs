//! Threads that lend a hand where they are free, and are not waited for where they are not.

use crate::Result;
use crate::workers::{Pool, Rank};
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Work that several threads may do at once: each call does parts of it until none is left.
type Work = Arc<dyn Fn() + Send + Sync>;

/// Helpers of one thread.
///
/// Where other threads keep every core busy, a thread that is woken has to wait for one, often for milliseconds. Who waited for all of its helpers,
/// as a parallel iterator does, would wait for that, though it could have done their parts in the time; here it waits for those that have begun.
pub(crate) struct Helpers {
    pool: Pool,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    /// With the lock of `state`: the last helper has left.
    left: Condvar,
}

#[derive(Default)]
struct State {
    work: Option<Work>,
    /// Helpers that were called and have not come yet.
    called: usize,
    /// Helpers that are at work.
    inside: usize,
    panicked: bool,
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Helpers {
    pub(crate) fn new(name: &'static str, threads: usize) -> Result<Self> {
        Ok(Helpers { pool: Pool::new(name, threads, Rank::Awaited)?, desk: Arc::default() })
    }

    /// Does `work`, with the help of as many as `wanted` others, if they come before it is done. Called by one thread at a time.
    ///
    /// # Panics
    /// If `work` does, in any thread.
    pub(crate) fn help(&self, wanted: usize, work: Work) {
        let calls = {
            let mut state = self.desk.state.lock();
            state.work = Some(Arc::clone(&work));
            let calls = wanted.min(self.pool.threads()).saturating_sub(state.called);
            state.called += calls;
            calls
        };
        for _ in 0..calls {
            let desk = Arc::clone(&self.desk);
            self.pool.spawn(move || desk.come());
        }
        let done = Done(&self.desk);
        work();
        drop(work);
        drop(done);
        assert!(!self.desk.state.lock().panicked, "a helper has panicked");
    }
}

/// The work is done: whoever comes now finds none, and who is at work is waited for.
struct Done<'a>(&'a Desk);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.work = None;
        while state.inside > 0 {
            self.0.left.wait(&mut state);
        }
    }
}

impl Desk {
    fn come(&self) {
        let work = {
            let mut state = self.state.lock();
            state.called -= 1;
            let Some(work) = state.work.clone() else { return };
            state.inside += 1;
            work
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| work()));
        // Before anybody is told: what it holds must not outlive the store.
        drop(work);
        let mut state = self.state.lock();
        state.inside -= 1;
        state.panicked |= outcome.is_err();
        if state.inside == 0 {
            drop(state);
            self.left.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::channel;

    #[test]
    fn each_part_is_done_once_whoever_comes() -> Result<()> {
        let helpers = Helpers::new("helper", 3)?;
        for round in 0..2000 {
            let parts: Arc<Vec<_>> = Arc::new((0..round % 17).map(|_| AtomicUsize::new(0)).collect());
            let next = AtomicUsize::new(0);
            let theirs = Arc::clone(&parts);
            let work = move || {
                while let Some(part) = theirs.get(next.fetch_add(1, SeqCst)) {
                    part.fetch_add(1, SeqCst);
                }
            };
            helpers.help(3, Arc::new(work));
            assert!(parts.iter().all(|part| part.load(SeqCst) == 1), "{parts:?}");
            assert_eq!(Arc::strong_count(&parts), 1, "nobody holds what is done");
        }
        Ok(())
    }

    #[test]
    fn who_does_not_come_is_not_waited_for() -> Result<()> {
        let helpers = Helpers::new("helper", 1)?;
        let (free, held) = channel::<()>();
        helpers.pool.spawn(move || {
            let _freed = held.recv();
        });
        let calls = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let calls = Arc::clone(&calls);
            // Waiting for the helper would be for ever.
            let work = move || {
                calls.fetch_add(1, SeqCst);
            };
            helpers.help(1, Arc::new(work));
        }
        assert_eq!(calls.load(SeqCst), 3);
        assert_eq!(helpers.desk.state.lock().called, 1, "it is called once");
        drop(free);
        Ok(())
    }

    #[test]
    fn a_panic_of_a_helper_is_no_secret() -> Result<()> {
        let helpers = Helpers::new("helper", 1)?;
        let (came, comes) = channel();
        let waits = Mutex::new(comes);
        let work = move || match std::thread::current().name() {
            Some("helper") => {
                let _told = came.send(());
                panic!("a test");
            }
            _ => drop(waits.lock().recv()),
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| helpers.help(1, Arc::new(work))));
        assert!(outcome.is_err());
        Ok(())
    }
}
