//! Statistics of slots on a store: what is counted, what is estimated, what is kept.

use super::SlotCounters;
use crate::layout::Layout;
use crate::manifest::Manifest;
use crate::open::OpenOptions;
use crate::slot::RoutingKey;
use crate::store::Store;
use crate::{Balance, Batch, RebalanceOptions, RebalanceRequest, RebalanceWait, Result, Shortfall};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::time::Duration;

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

/// As after a crash: what was counted up to a flush is kept, without a closing.
#[test]
fn what_is_known_is_kept_while_the_store_is_open() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut options = OpenOptions { shards: Some(2), ..OpenOptions::default() };
    options.router.flush_interval = Some(Duration::from_millis(1));
    let store = Store::open(dir.path(), options)?;
    let layout = Layout { dir: dir.path() };
    let (store_id, slots) = (Manifest::load(dir.path())?.store_id, store.slot_map().slots());
    let kept = || SlotCounters::load(&layout, &store_id, slots).counts();
    write(&store, "key", 500, &[7; 100])?;
    while kept().iter().map(|count| count.writes).sum::<u64>() < 500 {
        std::thread::yield_now();
    }
    assert!(kept().iter().map(|count| count.bytes).sum::<u64>() > 50_000);
    assert!(!layout.slots_new().exists());
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

/// Draws keys by Zipf's law, theta 0.99, by looking a random number up in the sums of all frequencies.
struct Zipf {
    sums: Vec<f64>,
    rng: SmallRng,
}

impl Zipf {
    fn new(keys: u32) -> Self {
        let mut sum = 0.0;
        let add = |rank: u32| {
            sum += f64::from(rank).powf(-0.99);
            sum
        };
        Zipf { sums: (1..=keys).map(add).collect(), rng: SmallRng::seed_from_u64(1) }
    }

    fn key(&mut self) -> String {
        let all = self.sums.last().copied().unwrap_or_default();
        let drawn = self.rng.random_range(0.0..all);
        format!("key {}", self.sums.partition_point(|&sum| sum < drawn))
    }

    /// Writes and reads as many, in blocks of a thousand.
    fn load(&mut self, store: &Store, blocks: u32) -> Result<()> {
        for _ in 0..blocks {
            let mut batch = Batch::new();
            for _ in 0..1000 {
                batch.put(self.key(), "value");
            }
            store.submit(None, &batch)?.wait()?;
            for _ in 0..1000 {
                store.get(self.key().as_bytes())?;
            }
        }
        Ok(())
    }
}

/// What each shard carries of a load that is only now put on the store, in shares of the mean.
fn carried(store: &Store, zipf: &mut Zipf) -> Result<Vec<f64>> {
    let before = store.slot_stats();
    zipf.load(store, 100)?;
    let after = store.slot_stats();
    let mut carried = vec![0.0; after.shards.len()];
    for (before, after) in before.slots.iter().zip(&after.slots) {
        carried[after.shard] += after.heat() as f64 - before.heat() as f64;
    }
    let mean = carried.iter().sum::<f64>() / carried.len() as f64;
    Ok(carried.into_iter().map(|heat| heat / mean).collect())
}

#[test]
fn after_a_plan_by_heat_no_shard_carries_a_quarter_more_than_the_mean_or_it_is_said_which() -> Result<()> {
    // The hottest key has a twelfth of a Zipf load: less than the share of one shard of eight, and more than that of one of sixteen.
    for (shards, too_hot) in [(8, false), (16, true)] {
        let store = Store::in_memory(&OpenOptions { shards: Some(shards), ..OpenOptions::default() })?;
        let mut zipf = Zipf::new(50_000);
        zipf.load(&store, 200)?;
        let before = carried(&store, &mut zipf)?;
        let simulation =
            store.plan_rebalance(&RebalanceRequest { by: Balance::Heat, ..RebalanceRequest::default() })?;
        let options = RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() };
        store.rebalance(&simulation.plan, options, &|_| {})?;
        let after = carried(&store, &mut zipf)?;
        let named = |shard: usize| {
            simulation.shortfalls.iter().any(|s| matches!(s, Shortfall::SlotTooHeavy { shard: on, .. } if *on == shard))
        };
        assert_eq!((0..shards).any(named), too_hot, "{:?}", simulation.shortfalls);
        for (shard, &share) in after.iter().enumerate() {
            assert!(
                share <= 1.25 || named(shard),
                "shard {shard} carries {share:.2} times the mean: {before:?} → {after:?}"
            );
        }
        assert!(before.iter().any(|&share| share > 1.25), "there was something to do: {before:?}");
    }
    Ok(())
}
