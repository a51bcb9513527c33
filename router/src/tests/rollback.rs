//! Rollbacks that fail half-way, and rollbacks of nothing.

use super::Still;
use crate::open::OpenOptions;
use crate::{At, ErrorKind, Result, Snapshot, Store};
use std::sync::Arc;

/// One shard has removed the rows, the other has not, and a commit that is numbered behind the rollback is in the log already.
#[test]
fn nothing_is_shown_above_a_rollback_that_failed_half_way() -> Result<()> {
    let keys: Vec<String> = (0..32).map(|n| format!("key {n}")).collect();
    let all = |value| keys.iter().map(|key| (key.as_str(), value)).collect::<Vec<_>>();
    let still = Still::new(OpenOptions::default())?;
    let core = &still.core;
    let kept = still.submit_block(1, &all("1"))?;
    let _handle = still.submit_block(2, &all("2"))?;
    still.settle()?;
    core.flush_all()?;
    // The second shard refuses what comes with an older number.
    core.shards.now().all()[1].rollback(core.visible(), core.epoch() + 1)?;

    let rollback = {
        let mut sequencer = core.sequencer.lock();
        let block = core.blocks.read().at_height(1).expect("it was sealed");
        sequencer.number_rollback(block)?
    };
    let behind = still.submit(&[("behind", "3")])?;
    let groups = [still.group(), still.group()];
    for group in &groups {
        still.append_and_sync(group)?;
    }
    for group in &groups {
        core.apply_and_publish(group);
    }
    for handle in [rollback, behind] {
        assert_eq!(handle.wait().map_err(|error| error.kind()), Err(ErrorKind::Poisoned));
    }
    assert_eq!(core.visible(), kept.version());
    for key in &keys {
        assert_eq!(core.get_newest(key.as_bytes())?.as_deref(), Some("1".as_bytes()), "{key}");
    }
    assert_eq!(core.get_newest(b"behind")?, None);

    let still = still.kill()?;
    let Still { core, dir: _dir } = still;
    let core = Arc::new(core);
    let snapshot = Snapshot::newest(&core);
    assert_eq!(snapshot.get("behind")?.as_deref(), Some("3".as_bytes()), "it is in the log behind the rollback");
    for key in &keys {
        assert_eq!(snapshot.get(key)?.as_deref(), Some("1".as_bytes()), "{key}");
    }
    Ok(())
}

#[test]
fn a_rollback_of_nothing_takes_no_version() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut store = Store::open(dir.path(), OpenOptions::default())?;
    let commit = |store: &Store, height: u64| {
        let mut batch = crate::Batch::new();
        batch.put("key", height.to_string());
        store.submit(Some(crate::Block { height, timestamp_ms: height }), &batch)?.wait()
    };
    for height in 1..=4 {
        commit(&store, height)?;
    }
    assert_eq!(store.roll_back_to(4)?, 4, "nothing was ever above it");
    for (height, version) in [(3, 5), (2, 6)] {
        for _ in 0..3 {
            assert_eq!(store.roll_back_to(height)?, version);
            assert_eq!(store.version(), version);
        }
    }
    assert_eq!(store.roll_back_to(3).map_err(|error| error.kind()), Err(ErrorKind::InvalidArgument));
    store.close()?;
    drop(store);
    store = Store::open(dir.path(), OpenOptions::default())?;
    assert_eq!(store.roll_back_to(2)?, 6, "after opening, too");
    assert_eq!(commit(&store, 3)?, 7);
    assert_eq!(store.roll_back_to(2)?, 8, "something was above it again");
    assert_eq!(store.snapshot(At::Newest)?.get("key")?.as_deref(), Some("2".as_bytes()));
    // A commit that seals no block, and even one that writes nothing, is above the block.
    store.submit(None, &crate::Batch::new())?.wait()?;
    assert_eq!(store.roll_back_to(2)?, 10);
    assert_eq!(store.roll_back_to(2)?, 10);
    Ok(())
}
