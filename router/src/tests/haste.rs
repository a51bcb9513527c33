//! How much of the processor a flush takes.

use super::Still;
use crate::Result;
use crate::flush::{Awaiting, Haste};
use crate::open::OpenOptions;

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
