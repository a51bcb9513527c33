//! How much of the processor a flush takes.

use super::Still;
use crate::Result;
use crate::flush::{Awaiting, Haste};
use crate::open::OpenOptions;
use std::thread;
use std::time::Duration;

/// Commits wait for the cores, unless they wait for the memory more.
#[test]
fn a_flush_that_nobody_waits_for_leaves_cores_to_commits_while_there_is_memory() -> Result<()> {
    let mut still = Still::new(OpenOptions::default())?;
    still.core.workers.unhurried = 1;
    let handle = still.submit(&[("key", "value")])?;
    still.settle()?;
    handle.wait()?;
    assert_eq!(still.core.flush_threads(Haste::Unhurried), 1);
    assert_eq!(still.core.flush_threads(Haste::Awaited), 2, "one for each shard");
    let other = Awaiting::begin(&still.core.flusher.awaited);
    assert_eq!(still.core.flush_threads(Haste::Unhurried), 2, "somebody waits for the next one");
    drop(other);
    assert_eq!(still.core.flush_threads(Haste::Unhurried), 1);
    still.core.options.memory_budget_bytes = still.core.memory().unflushed_bytes;
    assert_eq!(still.core.flush_threads(Haste::Unhurried), 2, "memory runs full");
    Ok(())
}

/// The more room there is, the less it takes.
#[test]
fn a_flush_takes_the_more_of_its_cores_the_fuller_memory_is() -> Result<()> {
    let mut still = Still::new(OpenOptions::default())?;
    let handle = still.submit(&[("key", "value")])?;
    still.settle()?;
    handle.wait()?;
    let unflushed = still.core.memory().unflushed_bytes;
    // It hurries from half of the budget on.
    let mut share = |buffer: u64, hurry: u64| {
        still.core.options.write_buffer_bytes = buffer;
        still.core.options.memory_budget_bytes = 2 * hurry;
        still.core.flush_share(Haste::Unhurried)
    };
    assert_eq!(share(unflushed, 2 * unflushed), 0.25, "it has just begun");
    assert_eq!(share(0, 8 * unflushed), 0.25);
    assert_eq!(share(0, 2 * unflushed), 0.5);
    assert_eq!(share(0, unflushed), 1.0);
    assert_eq!(share(unflushed, unflushed), 1.0, "no room between");
    assert_eq!(share(4 * unflushed, 2 * unflushed), 1.0, "a buffer as large as the budget");
    Ok(())
}

#[test]
fn a_flush_that_rests_goes_on_as_soon_as_somebody_waits_for_it() -> Result<()> {
    let still = Still::new(OpenOptions::default())?;
    let core = &still.core;
    let day = Duration::from_secs(86_400);
    assert!(core.flush_share(Haste::Unhurried) < 1.0);
    core.rest(day, Haste::Awaited);
    thread::scope(|scope| {
        let resting = scope.spawn(|| core.rest(day, Haste::Unhurried));
        thread::sleep(Duration::from_millis(20));
        assert!(!resting.is_finished(), "nobody waits");
        let _awaited = Awaiting::begin(&core.flusher.awaited);
        resting.join().expect("it does not panic");
    });
    Ok(())
}
