//! A thread of the store that panics while others are under way.

use super::Still;
use crate::open::OpenOptions;
use crate::{ErrorKind, Result, Snapshot};
use std::sync::Arc;

/// The apply thread panics half-way through a group while the log thread syncs the next one, which is small and would be applied at once.
#[test]
fn nothing_is_published_on_top_of_a_group_that_a_panic_cut_short() -> Result<()> {
    let still = Still::new(OpenOptions::default())?;
    let kept = still.submit(&[("key", "1")])?;
    still.settle()?;
    let cut_short = still.submit(&[("key", "2"), ("other", "2")])?;
    let group = still.group();
    still.append_and_sync(&group)?;
    // As far as it came: one of its shards.
    let topology = still.core.shards.keep();
    let shards = topology.all();
    group[0].writes().take(1).for_each(|(shard, writes)| shards[shard].apply_hashed(std::iter::once(writes)));
    let behind = still.submit(&[("behind", "3")])?;
    let group = still.group();
    still.append_and_sync(&group)?;
    still.core.abandon("a test");
    still.core.pipeline.hand_over(&still.core, group);

    assert_eq!(still.core.visible(), kept.version());
    for lost in [cut_short, behind] {
        assert_eq!(lost.wait().map_err(|error| error.kind()), Err(ErrorKind::Poisoned));
    }
    let core = Arc::new(still.core);
    let snapshot = Snapshot::newest(&core);
    assert_eq!(snapshot.get("key")?.as_deref(), Some("1".as_bytes()));
    assert_eq!(snapshot.prefix("").count(), 1);
    Ok(())
}
