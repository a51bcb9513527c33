//! The end of background work, for stores that do not announce it.

use std::path::Path;
use std::time::{Duration, Instant};

/// How often a store is looked at, and how long it must have been at rest.
const POLL: Duration = Duration::from_millis(5);
const QUIET: Duration = Duration::from_millis(200);

/// Waits until `state` has stayed the same for a while, and tells since when.
pub(super) fn wait<S: PartialEq>(mut state: impl FnMut() -> anyhow::Result<S>) -> anyhow::Result<Instant> {
    let (mut since, mut seen) = (Instant::now(), state()?);
    while since.elapsed() < QUIET {
        std::thread::sleep(POLL);
        let now = state()?;
        if now != seen {
            (since, seen) = (Instant::now(), now);
        }
    }
    Ok(since)
}

/// The number of files below `dir` and the sum of their sizes.
pub(super) fn files(dir: &Path) -> anyhow::Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                let (inner_count, inner_bytes) = files(&entry.path())?;
                count += inner_count;
                bytes += inner_bytes;
            }
            Ok(metadata) => {
                count += 1;
                bytes += metadata.len();
            }
            // Replaced by a compaction between the two calls.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => count += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((count, bytes))
}
