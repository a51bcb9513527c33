//! A group that is in memory before it is durable, and never becomes so.

use super::Still;
use crate::open::OpenOptions;
use crate::{Error, ErrorKind, Result, Snapshot};
use std::sync::Arc;

#[test]
fn what_was_applied_and_not_synced_is_never_seen() -> Result<()> {
    let still = Still::new(OpenOptions::default())?;
    let kept = still.submit_block(1, &[("key", "1")])?;
    still.settle()?;
    let lost = still.submit_block(2, &[("key", "2"), ("other", "2")])?;
    let group = still.group();
    still.core.append(&group)?;
    let cause = Error::io("sync", &still.dir.path().join("log"), std::io::Error::other("a test"));
    let poisoned = still.core.health.poison(&cause);
    still.core.pipeline.note_durable(lost.version(), Err(poisoned));
    still.core.apply_and_publish(&group);

    let written = |key: &str| {
        let topology = still.core.shards.keep();
        let route = topology.route(key.as_bytes());
        route.shard.written_after(key.as_bytes(), route.key_hash, kept.version())
    };
    assert!(written("key")? && written("other")?, "it was not applied: this tests nothing");
    assert_eq!(lost.wait().map_err(|error| error.kind()), Err(ErrorKind::Poisoned));
    assert_eq!(still.core.visible(), kept.version());
    assert_eq!(still.core.newest_block().map(|block| block.height), Some(1));
    assert_eq!(still.core.flush_all().map_err(|error| error.kind()), Err(ErrorKind::Poisoned));
    let core = Arc::new(still.core);
    let snapshot = Snapshot::newest(&core);
    assert_eq!(snapshot.get("key")?.as_deref(), Some("1".as_bytes()));
    assert_eq!(snapshot.prefix("").count(), 1);
    Ok(())
}
