//! What may be under way at once.

use super::Still;
use crate::commit::{Commit, Completion, IN_FLIGHT_MAX};
use crate::open::OpenOptions;
use crate::{Durability, Error, Result};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The memory that commits take which are as small as can be is not mostly that of their payloads.
#[test]
fn tiny_commits_under_way_keep_the_budget() -> Result<()> {
    const BUDGET: u64 = 1 << 20;
    let mut options = OpenOptions::default();
    options.router.memory_budget_bytes = BUDGET;
    let still = Still::new(options)?;
    let payload = still.prepare(&[("k", "")], None, Durability::Sync)?.payload.len() as u64;
    // At the least: itself and its completion, each counted by two numbers; its payload; its hash; its places in two queues.
    let commit_bytes = (size_of::<Commit>() + size_of::<Completion>() + 4 * 8 + 8 + 2 * 8) as u64 + payload;
    thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            loop {
                if let Err(error) = still.submit(&[("k", "")]) {
                    return error;
                }
            }
        });
        let under_way = || still.core.sequencer.lock().in_flight.len();
        while !still.core.admission.anyone_waits() && under_way() < IN_FLIGHT_MAX {
            thread::yield_now();
        }
        let under_way = under_way() as u64;
        still.core.flusher.stop();
        still.core.sequencer.lock().lifecycle = crate::commit::Lifecycle::Closing;
        still.core.pipeline.published.notify_all();
        assert!(matches!(submitter.join(), Ok(Error::Closed)));
        assert!(under_way > 100, "only {under_way} commits are let in");
        assert!(under_way * commit_bytes <= BUDGET, "{under_way} commits of at least {commit_bytes} B are let in");
    });
    Ok(())
}

#[test]
fn no_more_versions_are_in_flight_than_may_be() -> Result<()> {
    const MORE: usize = 100;
    let mut options = OpenOptions::default();
    options.router.memory_budget_bytes = 1 << 30;
    let still = Still::new(options)?;
    let (submitted, finished) = (AtomicUsize::new(0), AtomicBool::new(false));
    let under_way = || still.core.sequencer.lock().in_flight.len();
    let outcome: Result<()> = thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            for _ in 0..IN_FLIGHT_MAX + MORE {
                let _handle = still.submit(&[("k", "")])?;
                submitted.fetch_add(1, Ordering::Relaxed);
            }
            finished.store(true, Ordering::Release);
            Ok(())
        });
        while submitted.load(Ordering::Relaxed) < IN_FLIGHT_MAX {
            thread::yield_now();
        }
        // Time in which one that does not wait goes on.
        thread::sleep(Duration::from_millis(100));
        let at_the_bound = (under_way(), finished.load(Ordering::Acquire));
        while !finished.load(Ordering::Acquire) && !submitter.is_finished() {
            still.settle()?;
        }
        assert_eq!(at_the_bound, (IN_FLIGHT_MAX, false));
        submitter.join().expect("it does not panic")
    });
    outcome
}
