//! A version that anybody was ever told is never given again, whether its commit came to the log or not.

use super::Still;
use crate::open::OpenOptions;
use crate::{Result, Version};
use std::fs;

#[test]
fn a_version_that_was_told_before_the_first_append_is_not_told_again() -> Result<()> {
    let mut still = Still::new(OpenOptions::default())?;
    let mut told = 0;
    for round in 0..3 {
        let handle = still.submit(&[("key", "value")])?;
        assert!(handle.version() > told, "round {round}: version {} comes twice", handle.version());
        told = handle.version();
        still = still.kill()?;
    }
    Ok(())
}

/// Nothing comes to the log, for so long that what it has reserved is used up, and it cannot reserve more.
#[test]
fn no_version_is_told_beyond_what_is_reserved() -> Result<()> {
    const MORE_THAN_RESERVED: u64 = 3 << 20;
    let still = Still::new(OpenOptions::default())?;
    let _handle = still.submit(&[("key", "value")])?;
    still.settle()?;
    let log = super::path(&still.dir).join("log");
    let elsewhere = still.dir.path().join("not there");
    fs::rename(&log, &elsewhere).expect("its own directory");

    let mut told: Version = 0;
    let refused = (0..MORE_THAN_RESERVED).find_map(|_| {
        let outcome = still.submit(&[("key", "value")]).map(|handle| told = handle.version());
        let group = still.group();
        let failed = still.core.sequencer.lock().take_back(group, None);
        still.core.leave(&failed);
        outcome.err()
    });
    let refused = refused.map(|error| error.to_string()).expect("versions are told that a crash will have told again");
    assert!(refused.contains("log"), "{refused}");
    let next = still.core.sequencer.lock().next_version();
    assert_eq!(next, told + 1, "a version is given to a commit that is refused");

    fs::rename(&elsewhere, &log).expect("its own directory");
    let handle = still.submit(&[("key", "value")])?;
    assert_eq!(handle.version(), next, "the log can reserve again");
    let told = handle.version();
    let still = still.kill()?;
    assert!(still.submit(&[("key", "value")])?.version() > told, "a version comes twice");
    Ok(())
}

/// What is refused because the store is closed must not open the log again.
#[test]
fn nothing_is_reserved_behind_the_end() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    let store = crate::Store::open(&path, OpenOptions::default())?;
    let mut batch = crate::Batch::new();
    batch.put("key", "value");
    store.close()?;
    assert!(store.submit(None, &batch).is_err());
    drop(store);
    let store = crate::Store::open(&path, OpenOptions::default())?;
    assert!(store.stats().recovery.clean);
    Ok(())
}
