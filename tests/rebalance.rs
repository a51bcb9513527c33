//! Slots move between shards, and shards come and go; what the store holds stays what it was.

use shingle::{
    At, Batch, Block, Config, Database, Error, ErrorKind, Move, Plan, PruneHold, RebalanceOptions, RebalanceWait,
    Retention,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const KEYS: u64 = 300;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// What the block of this height makes of a key, if it writes it.
fn written(number: u64, height: u64) -> Option<Option<Vec<u8>>> {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(height as u32 % 63) >> 7;
    match mixed % 5 {
        0 => Some(Some(height.to_be_bytes().repeat(1 + number as usize % 9))),
        1 if height.is_multiple_of(2) => Some(None),
        _ => None,
    }
}

fn seal(db: &Database) {
    let height = db.head().map_or(0, |head| head.height) + 1;
    let mut batch = Batch::new();
    for number in 0..KEYS {
        match written(number, height) {
            Some(Some(value)) => drop(batch.put(key(number), value)),
            Some(None) => drop(batch.delete(key(number))),
            None => {}
        }
    }
    db.commit_block(Block { height, timestamp_ms: height * 100 }, batch).expect("a sound store");
}

fn state_at(height: u64) -> State {
    let mut state = State::new();
    for (number, write) in (1..=height).flat_map(|h| (0..KEYS).filter_map(move |n| Some((n, written(n, h)?)))) {
        match write {
            Some(value) => state.insert(key(number), value),
            None => state.remove(&key(number)),
        };
    }
    state
}

/// Every readable height by scan and by point reads, all changes, and the disk's own checks.
fn check(db: &Database) {
    for block in db.blocks(..).into_iter().filter(|block| block.version >= db.floor()) {
        let then = db.snapshot_at(At::Height(block.height)).expect("it is readable");
        let expected = state_at(block.height);
        let rows: Vec<_> = then.prefix("").collect::<shingle::Result<_>>().expect("a sound store");
        assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "no row twice at {}", block.height);
        assert_eq!(rows.into_iter().collect::<State>(), expected, "height {}", block.height);
        let back: State = then.prefix("").rev().collect::<shingle::Result<_>>().expect("a sound store");
        assert_eq!(back, expected, "height {}, backwards", block.height);
        for number in 0..KEYS {
            let found = then.get(key(number)).expect("a sound store");
            assert_eq!(found.as_ref(), expected.get(&key(number)), "key {number} at {}", block.height);
        }
    }
    let floor = db.floor();
    let heights: BTreeMap<_, _> = db.blocks(..).into_iter().map(|block| (block.version, block.height)).collect();
    let expected: Vec<_> = heights
        .iter()
        .filter(|(version, _)| **version > floor)
        .flat_map(|(&v, &h)| (0..KEYS).filter_map(move |n| Some((v, key(n), written(n, h)?))))
        .collect();
    let changes = db.changes_since(floor).expect("it is readable").map(|c| c.map(|c| (c.version, c.key, c.value)));
    assert_eq!(changes.collect::<shingle::Result<Vec<_>>>().expect("a sound store"), expected);
}

fn verify(db: &Database) {
    let report = db.verify(&|_| {}).expect("room on the disk");
    assert!(report.is_sound(), "{report:?}");
}

fn small() -> Config {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 256 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.prune.reorg_window_blocks = 2;
    config
}

/// Every `of`-th slot that lives on `from` goes to `to`.
fn some_slots(db: &Database, from: usize, to: usize, of: u32) -> Vec<Move> {
    let owners = (0..).zip(db.slot_owners());
    owners.filter(|&(slot, owner)| owner == from && slot % of == 0).map(|(slot, _)| Move { slot, from, to }).collect()
}

/// Spreads all slots over `shards` shards.
fn spread(db: &Database, shards: usize) -> Plan {
    let moves = (0..).zip(db.slot_owners()).filter(|&(slot, from)| slot as usize % shards != from);
    let moves = moves.map(|(slot, from)| Move { slot, from, to: slot as usize % shards }).collect();
    Plan { moves, shards_after: shards, new_dirs: Vec::new() }
}

fn finished() -> RebalanceOptions {
    RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() }
}

fn begun() -> RebalanceOptions {
    RebalanceOptions { wait: RebalanceWait::Begun, bytes_per_sec: Some(1) }
}

fn wait_until_done(db: &Database) {
    let began = Instant::now();
    while let Some(status) = db.rebalance_status() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end: {status:?}");
        assert_eq!(status.failure, None);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The same on disk and in memory.
fn on_both(test: fn(&Database)) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let builder = || Database::builder(dir.path().join("store")).config(small());
    let db = builder().shards(4).open().expect("a new store");
    test(&db);
    verify(&db);
    db.close().expect("a sound store");
    let db = builder().open().expect("a sound store");
    wait_until_done(&db);
    check(&db);
    verify(&db);
    test(&Database::builder("").config(small()).in_memory().expect("no disk"));
}

#[test]
fn slots_move_there_and_back_while_blocks_are_sealed() {
    on_both(|db| {
        (0..20).for_each(|_| seal(db));
        db.flush().expect("a sound store");
        (0..10).for_each(|_| seal(db));
        std::thread::scope(|scope| {
            let sealer = scope.spawn(|| (0..60).for_each(|_| seal(db)));
            for (from, to, of) in [(0, 1, 2), (1, 0, 3), (0, 1, 1), (1, 2, 5), (2, 3, 1), (3, 0, 1)] {
                let plan = Plan { moves: some_slots(db, from, to, of), shards_after: 4, new_dirs: Vec::new() };
                assert!(!plan.moves.is_empty());
                let done = db.rebalance(&plan, finished(), &|_| {}).expect("a plan that fits");
                assert_eq!(done.slots, plan.moves.len() as u64);
                assert!(plan.moves.iter().all(|m| db.slot_owners()[m.slot as usize] == m.to));
                check(&db.clone());
            }
            sealer.join().expect("it seals");
        });
        check(db);
    });
}
