//! Rebalancing under transactions, reads, scans, feeds and flushes: whatever slots do, nobody notices.
//!
//! Accounts hold a fixed sum between them; counters only rise, by transactions that read them first.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Config, Database, Durability, Move, Plan, RebalanceOptions, RebalanceWait, Snapshot, Version};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ACCOUNTS: u64 = 200;
const EACH: u64 = 1000;
const COUNTERS: u64 = 16;

fn account(number: u64) -> Vec<u8> {
    format!("account {number}").into_bytes()
}

fn counter(number: u64) -> Vec<u8> {
    format!("counter {number}").into_bytes()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}

fn small() -> Config {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 1 << 20;
    config.rocksdb.max_write_buffer_number = 2;
    config.flush.keep_recent_versions = 20;
    config
}

fn fill(db: &Database) {
    let mut batch = Batch::new();
    for n in 0..ACCOUNTS {
        batch.put(account(n), EACH.to_be_bytes());
    }
    for n in 0..COUNTERS {
        batch.put(counter(n), 0_u64.to_be_bytes());
    }
    db.commit(batch).expect("a sound store");
}

/// Moves money between two accounts.
fn transfer(db: &Database, rng: &mut SmallRng) {
    let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
    let done = db.transact(|txn| {
        txn.set_durability(Durability::Buffered);
        let has = number(&txn.get(account(from))?.expect("accounts are never deleted"));
        let amount = has.min(7);
        txn.put(account(from), (has - amount).to_be_bytes())?;
        let has = number(&txn.get(account(to))?.expect("accounts are never deleted"));
        txn.put(account(to), (has + amount).to_be_bytes())
    });
    done.expect("a sound store");
}

fn check_sum(snapshot: &Snapshot) {
    let rows: Vec<_> = snapshot.prefix("account ").collect::<shingle::Result<_>>().expect("a sound store");
    assert_eq!(rows.len() as u64, ACCOUNTS, "each account once");
    let sum: u64 = rows.iter().map(|(_, value)| number(value)).sum();
    assert_eq!(sum, ACCOUNTS * EACH, "part of a commit at {}", snapshot.version());
    let keys: Vec<_> = (0..ACCOUNTS).map(account).collect();
    let found = snapshot.multi_get(&keys).expect("a sound store");
    let sum: u64 = found.iter().map(|value| number(value.as_deref().expect("a false absence"))).sum();
    assert_eq!(sum, ACCOUNTS * EACH, "part of a commit at {}, by point reads", snapshot.version());
}

/// What the feed says since `after`, laid over `state`, is what a snapshot shows.
fn follow(db: &Database, after: Version, state: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Version {
    let snapshot = db.snapshot();
    for change in db.changes_since(after).expect("nothing is pruned") {
        let change = change.expect("a sound store");
        if change.version <= snapshot.version() {
            state.insert(change.key, change.value.expect("nothing is deleted"));
        }
    }
    let rows: BTreeMap<_, _> = snapshot.prefix("").collect::<shingle::Result<_>>().expect("a sound store");
    assert_eq!(*state, rows, "the feed from {after} to {}", snapshot.version());
    snapshot.version()
}

fn spread(db: &Database, shards: usize, rng: &mut SmallRng) -> Plan {
    let mut moves = Vec::new();
    for (slot, from) in (0..).zip(db.slot_owners()) {
        let to = rng.random_range(0..shards);
        if to != from {
            moves.push(Move { slot, from, to });
        }
    }
    Plan { moves, shards_after: shards, new_dirs: Vec::new() }
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Whatever happens, the threads end.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn load(db: &Database, rebalances: u64) {
    fill(db);
    let (stop, raised) = (&AtomicBool::new(false), &AtomicU64::new(0));
    let going = || !stop.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for seed in 0..2 {
            scope.spawn(move || {
                let mut rng = SmallRng::seed_from_u64(seed);
                while going() {
                    transfer(db, &mut rng);
                    let raise = counter(rng.random_range(0..COUNTERS));
                    db.transact(|txn| {
                        txn.set_durability(Durability::Buffered);
                        let value = number(&txn.get(&raise)?.expect("counters are never deleted"));
                        txn.put(&raise, (value + 1).to_be_bytes())
                    })
                    .expect("a sound store");
                    raised.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // The newest values never fall, and are never missing.
        scope.spawn(move || {
            let mut seen = [0; COUNTERS as usize];
            while going() {
                for (n, seen) in (0..).zip(&mut seen) {
                    let value = number(&db.get(counter(n)).expect("a sound store").expect("a false absence"));
                    assert!(value >= *seen, "counter {n} fell from {seen} to {value}");
                    *seen = value;
                }
            }
        });
        scope.spawn(move || {
            let mut kept: Vec<(Snapshot, Rows)> = Vec::new();
            let mut rng = SmallRng::seed_from_u64(9);
            while going() {
                let now = db.snapshot();
                check_sum(&now);
                if kept.len() == 3 {
                    kept.remove(0);
                }
                let rows = now.prefix("").collect::<shingle::Result<Rows>>().expect("a sound store");
                kept.push((now, rows));
                let (then, rows) = &kept[rng.random_range(0..kept.len())];
                let again: Vec<_> = then.prefix("").rev().collect::<shingle::Result<_>>().expect("a sound store");
                assert!(again.iter().rev().eq(rows), "the snapshot of {} has changed", then.version());
            }
        });
        scope.spawn(move || {
            let (mut state, mut after) = (BTreeMap::new(), 0);
            while going() {
                after = follow(db, after, &mut state);
            }
        });
        let _stop = StopAtEnd(stop);
        let mut rng = SmallRng::seed_from_u64(7);
        for round in 0..rebalances {
            let shards = [8, 4, 3, 6, 1, 4][round as usize % 6];
            let plan = spread(db, shards, &mut rng);
            let options = RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() };
            let done = db.rebalance(&plan, options, &|_| {}).expect("a plan that fits");
            assert_eq!((done.shards, done.slots), (shards, plan.moves.len() as u64));
            if round % 3 == 0 {
                db.flush().expect("a sound store");
            }
        }
    });
    let sum: u64 = (0..COUNTERS).map(|n| number(&db.get(counter(n)).expect("sound").expect("present"))).sum();
    assert_eq!(sum, raised.load(Ordering::Relaxed), "a rise was lost, or counted twice");
    check_sum(&db.snapshot());
    let report = db.verify(&|_| {}).expect("room on the disk");
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn nobody_notices_on_disk() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = Database::builder(dir.path().join("store")).shards(4).config(small()).open().expect("a new store");
    load(&db, 6);
    drop(db);
    let db = Database::open(dir.path().join("store")).expect("a sound store");
    check_sum(&db.snapshot());
    assert!(db.verify(&|_| {}).expect("room on the disk").is_sound());
}

#[test]
fn nobody_notices_in_memory() {
    load(&Database::builder("").shards(4).config(small()).in_memory().expect("no disk"), 24);
}

/// A reader that never ends holds up the cleaning alone: commits, reads, flushes and checkpoints go on, and the store closes.
#[test]
fn a_reader_that_stays_holds_up_nothing_but_the_cleaning() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = Database::builder(dir.path().join("store")).shards(4).config(small()).open().expect("a new store");
    fill(&db);
    let reader = db.snapshot();
    let mut rng = SmallRng::seed_from_u64(3);
    db.rebalance(&spread(&db, 6, &mut rng), RebalanceOptions::default(), &|_| {}).expect("a plan that fits");
    (0..50).for_each(|_| transfer(&db, &mut rng));
    db.flush().expect("a sound store");
    db.checkpoint("meanwhile").expect("room on the disk");
    check_sum(&reader);
    check_sum(&db.snapshot());
    let closing = Instant::now();
    db.close().expect("a sound store");
    assert!(closing.elapsed() < Duration::from_secs(30), "it waits for the reader");
    check_sum(&reader);
    drop(reader);
    let db = Database::open(dir.path().join("store")).expect("a sound store");
    let began = Instant::now();
    while db.rebalance_status().is_some() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end");
        thread::sleep(Duration::from_millis(2));
    }
    check_sum(&db.snapshot());
    assert!(db.verify(&|_| {}).expect("room on the disk").is_sound());
}
