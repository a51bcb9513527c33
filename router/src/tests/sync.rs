//! When buffered commits are synced.

use super::Still;
use crate::open::OpenOptions;
use crate::{Durability, Result};
use std::thread;
use std::time::Duration;

/// A log thread that always finds a next group has no pause in which to sync.
#[test]
fn buffered_commits_are_synced_between_groups_that_never_end() -> Result<()> {
    let mut options = OpenOptions::default();
    options.router.buffered_sync = Duration::from_millis(2);
    let still = Still::new(options)?;
    let syncs = || still.core.log.as_ref().map_or(0, |log| log.lock().stats().syncs);
    let append = || {
        let _handle = still.core.submit(still.prepare(&[("key", "value")], None, Durability::Buffered)?, None)?;
        still.append_and_sync(&still.group())
    };
    append()?;
    let before = syncs();
    for round in 1..=5 {
        thread::sleep(Duration::from_millis(3));
        append()?;
        assert_eq!(syncs(), before + round, "what was due is not synced");
        append()?;
    }
    Ok(())
}
