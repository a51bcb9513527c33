//! Statistics of slots on a store: what is counted, what is estimated, what is kept.

use crate::open::OpenOptions;
use crate::slot::RoutingKey;
use crate::store::Store;
use crate::{Balance, Batch, RebalanceRequest, Result};
use std::path::Path;

fn open(dir: &Path) -> Result<Store> {
    Store::open(
        dir,
        OpenOptions {
            shards: Some(4),
            slots: Some(64),
            routing_key: Some(RoutingKey::Prefix(4)),
            ..OpenOptions::default()
        },
    )
}

/// Writes `keys` keys of one slot.
fn write(store: &Store, prefix: &str, keys: u32, value: &[u8]) -> Result<()> {
    let mut batch = Batch::new();
    for key in 0..keys {
        batch.put(format!("{prefix}{key:08}"), value);
    }
    store.submit(None, &batch)?.wait().map(drop)
}

#[test]
fn bytes_follow_what_was_written_and_are_as_many_as_the_engine_has() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path())?;
    // One account with most of everything, among many small ones.
    for account in 0..60 {
        write(&store, &format!("{account:04}"), 10, &[7; 100])?;
    }
    write(&store, "huge", 20_000, &[7; 100])?;
    store.flush()?;
    let known = store.slot_stats();
    let huge = known.slots.iter().max_by_key(|slot| slot.bytes).expect("there are slots");
    assert!(huge.keys > 15_000 && huge.writes >= 20_000, "{huge:?}");
    let engine: u64 = store.stats().shards.iter().map(|shard| shard.live_bytes + shard.unflushed_bytes).sum();
    let known_bytes: u64 = known.slots.iter().map(|slot| slot.bytes).sum();
    assert!(known_bytes <= engine && known_bytes + 64 >= engine, "{known_bytes} of {engine}");
    assert_eq!(known.measured_at, None);
    let measured = store.measure_slots(&|_| {})?;
    assert_eq!(measured.measured_at, Some(store.version()));
    assert_eq!(measured.slots.iter().map(|slot| slot.keys).sum::<u64>(), 20_600);
    assert_eq!(measured.shards.iter().map(|shard| shard.keys).sum::<u64>(), 20_600);
    // By bytes, the huge one is left alone with its shard, and the plan says why.
    let simulation = store.plan_rebalance(&RebalanceRequest { by: Balance::Bytes, ..RebalanceRequest::default() })?;
    assert!(simulation.plan.moves.iter().all(|step| step.slot != huge.slot));
    assert!(!simulation.shortfalls.is_empty());
    // What is known outlives a closing.
    drop(store);
    let again = open(dir.path())?.slot_stats();
    assert_eq!(again.measured_at, measured.measured_at);
    for (before, after) in measured.slots.iter().zip(&again.slots) {
        assert_eq!((before.keys, before.writes), (after.keys, after.writes));
    }
    Ok(())
}

#[test]
fn reads_of_every_kind_of_point_read_are_counted() -> Result<()> {
    let store = Store::in_memory(&OpenOptions::default())?;
    write(&store, "key", 1, b"value")?;
    let counted = || store.slot_stats().slots.iter().map(|slot| slot.reads).sum::<u64>();
    let mut before = 0;
    let kinds: [&dyn Fn() -> Result<()>; 3] =
        [&|| store.get(b"key00000000").map(drop), &|| store.snapshot_newest().get("key00000000").map(drop), &|| {
            store.begin(crate::Isolation::Serializable).get("key00000000").map(drop)
        }];
    for read in kinds {
        for _ in 0..20_000 {
            read()?;
        }
        let now = counted();
        // A deviation of about five per cent; the gaps of this thread are the same in every run.
        assert!((17_000..23_000).contains(&(now - before)), "{}", now - before);
        before = now;
    }
    assert_eq!(store.slot_stats().slots.iter().filter(|slot| slot.reads > 0).count(), 1, "all of them of one slot");
    Ok(())
}
