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
    // Blocks may be sealed meanwhile.
    let newest = heights.keys().next_back().copied().unwrap_or(0);
    let changes = db.changes_since(floor).expect("it is readable").map(|c| c.map(|c| (c.version, c.key, c.value)));
    let changes = changes.filter(|change| change.as_ref().map_or(true, |(version, ..)| *version <= newest));
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

#[test]
fn shards_come_and_go_while_blocks_are_sealed() {
    on_both(|db| {
        (0..20).for_each(|_| seal(db));
        std::thread::scope(|scope| {
            let sealer = scope.spawn(|| (0..60).for_each(|_| seal(db)));
            for shards in [8, 4, 1, 3, 8, 4] {
                let done = db.rebalance(&spread(db, shards), finished(), &|_| {}).expect("a plan that fits");
                assert_eq!((done.shards, db.shards()), (shards, shards));
                assert!(db.slot_owners().iter().all(|&owner| owner < shards));
                check(&db.clone());
            }
            sealer.join().expect("it seals");
        });
        check(db);
    });
}

/// Directories of removed shards go, and new ones are where they were asked for.
#[test]
fn directories_come_and_go_with_their_shards() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let other = dir.path().join("other");
    let db = Database::builder(&store).shards(2).config(small()).open().expect("a new store");
    (0..9).for_each(|_| seal(&db));
    let plan = Plan { new_dirs: vec![other.clone()], ..spread(&db, 4) };
    // Somebody's file where a shard is to be: refused, and untouched.
    std::fs::create_dir_all(other.join("003")).expect("a writable directory");
    std::fs::write(other.join("003/file"), "theirs").expect("a writable directory");
    let refused = db.rebalance(&plan, finished(), &|_| {}).expect_err("it is in use");
    assert!(matches!(refused, Error::Occupied { .. }), "{refused}");
    assert!(other.join("003/file").exists() && !other.join("002").exists());
    std::fs::remove_dir_all(other.join("003")).expect("a writable directory");
    db.rebalance(&plan, finished(), &|_| {}).expect("a plan that fits");
    check(&db);
    assert!(other.join("002/CURRENT").exists() && other.join("003/CURRENT").exists());
    drop(db);
    let db = Database::builder(&store).shards(4).config(small()).open().expect("it was made so");
    check(&db);
    db.rebalance(&spread(&db, 1), finished(), &|_| {}).expect("a plan that fits");
    assert!(!other.join("002").exists() && !other.join("003").exists() && !store.join("shards/001").exists());
    drop(db);
    let refused = Database::builder(&store).shards(4).open().expect_err("it has one by now");
    assert_eq!(refused.kind(), ErrorKind::Mismatch);
    let db = Database::open(&store).expect("a sound store");
    check(&db);
    verify(&db);
}

/// What the log still has for an earlier shard of the same number went elsewhere long ago.
#[test]
fn a_new_shard_takes_nothing_that_an_earlier_one_of_its_number_was_given() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let builder = || Database::builder(dir.path().join("store")).config(small());
    let db = builder().shards(4).open().expect("a new store");
    (0..9).for_each(|_| seal(&db));
    db.rebalance(&spread(&db, 2), finished(), &|_| {}).expect("a plan that fits");
    // Nothing goes to the last one, so that it has no reason to flush.
    let plan = Plan { moves: some_slots(&db, 0, 2, 2), shards_after: 4, new_dirs: Vec::new() };
    db.rebalance(&plan, finished(), &|_| {}).expect("a plan that fits");
    db.close().expect("a sound store");
    let db = builder().open().expect("a sound store");
    check(&db);
    verify(&db);
}

/// A snapshot from before reads where the slots were; the cleaning waits for it, and says so.
#[test]
fn snapshots_from_before_stay_exact_and_the_cleaning_waits_for_them() {
    on_both(|db| {
        (0..12).for_each(|_| seal(db));
        db.flush().expect("a sound store");
        let before = db.snapshot();
        let height = db.head().expect("it has blocks").height;
        let mut scan = before.prefix("");
        let mut feed = db.changes_since(0).expect("it is readable");
        let (first, change) = (scan.next().expect("a row").expect("sound"), feed.next().expect("one").expect("sound"));
        let options = RebalanceOptions::default();
        db.rebalance(&spread(db, 6), options, &|_| {}).expect("a plan that fits");
        (0..12).for_each(|_| seal(db));
        db.flush().expect("a sound store");
        let status = db.rebalance_status().expect("it waits");
        assert!(
            status.older_readers > 0 && status.slots_done == status.slots && status.rows_removed == 0,
            "{status:?}"
        );
        let refused = db.rebalance(&spread(db, 4), options, &|_| {}).expect_err("one at a time");
        assert!(matches!(refused, Error::RebalanceUnfinished { .. }), "{refused}");
        assert!(matches!(db.abort_rebalance(), Err(Error::RebalanceHandedOver)));
        let mut rows: State = scan.collect::<shingle::Result<_>>().expect("a sound store");
        rows.extend([first]);
        assert_eq!(rows, state_at(height));
        assert_eq!(before.prefix("").collect::<shingle::Result<State>>().expect("a sound store"), state_at(height));
        let changes = 1 + feed.by_ref().inspect(|change| assert!(change.is_ok(), "{change:?}")).count();
        assert_eq!(
            changes,
            db.changes_since(0)
                .expect("readable")
                .filter(|c| c.as_ref().is_ok_and(|c| c.version <= before.version()))
                .count()
        );
        drop((before, feed, change));
        wait_until_done(db);
        check(db);
        db.rebalance(&spread(db, 4), finished(), &|_| {}).expect("a plan that fits");
        check(db);
    });
}

#[test]
fn a_rebalancing_that_is_given_up_leaves_everything_where_it_was() {
    on_both(|db| {
        (0..12).for_each(|_| seal(db));
        let owners = db.slot_owners();
        for shards in [7, 2, 4] {
            db.rebalance(&spread(db, shards), begun(), &|_| {}).expect("a plan that fits");
            (0..3).for_each(|_| seal(db));
            check(db);
            match db.abort_rebalance() {
                Ok(()) => {}
                // So little is copied in one go that it may be through.
                Err(error) => assert!(matches!(error, Error::RebalanceHandedOver | Error::NoRebalance), "{error}"),
            }
            seal(db);
            check(db);
            wait_until_done(db);
            check(db);
            if db.slot_owners() != owners {
                db.rebalance(&spread_by(db, &owners), finished(), &|_| {}).expect("a plan that fits");
            }
            assert_eq!((db.slot_owners(), db.shards()), (owners.clone(), 4));
        }
        assert!(matches!(db.abort_rebalance(), Err(Error::NoRebalance)));
    });
}

/// Back to where slots were.
fn spread_by(db: &Database, owners: &[usize]) -> Plan {
    let moves = (0..).zip(db.slot_owners().into_iter().zip(owners)).filter(|(_, (from, to))| from != *to);
    let moves = moves.map(|(slot, (from, &to))| Move { slot, from, to }).collect();
    Plan { moves, shards_after: 4, new_dirs: Vec::new() }
}

#[test]
fn the_floor_stays_while_slots_are_on_their_way_and_the_reason_is_named() {
    on_both(|db| {
        (0..12).for_each(|_| seal(db));
        db.prune(&Retention::blocks(8)).expect("a sound store");
        let floor = db.floor();
        let reader = db.snapshot();
        db.rebalance(&spread(db, 5), RebalanceOptions::default(), &|_| {}).expect("a plan that fits");
        (0..6).for_each(|_| seal(db));
        let pruned = db.prune(&Retention::blocks(3)).expect("a sound store");
        assert_eq!((pruned.floor, pruned.held_back), (floor, Some(PruneHold::Rebalance)));
        check(db);
        drop(reader);
        wait_until_done(db);
        let pruned = db.prune(&Retention::blocks(3)).expect("a sound store");
        assert!(pruned.floor > floor && pruned.versions > 0, "{pruned:?}");
        check(db);
        db.rebalance(&spread(db, 4), finished(), &|_| {}).expect("a plan that fits");
        check(db);
    });
}

/// What a shard remembers of keys that it had once must not answer for them when they come back.
#[test]
fn what_a_shard_knew_of_slots_that_left_and_came_back_is_forgotten() {
    on_both(|db| {
        for _ in 0..4 {
            for (from, to) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
                (0..3).for_each(|_| seal(db));
                // The row cache learns from reads of what memory no longer has.
                db.flush().expect("a sound store");
                check(db);
                let plan = Plan { moves: some_slots(db, from, to, 1), shards_after: 4, new_dirs: Vec::new() };
                db.rebalance(&plan, finished(), &|_| {}).expect("a plan that fits");
                check(db);
                seal(db);
                check(db);
            }
        }
    });
}

#[test]
fn plans_that_do_not_fit_are_refused() {
    let db = Database::builder("").shards(4).in_memory().expect("no disk");
    let owners = db.slot_owners();
    let plan = |moves: &[Move], shards_after| Plan { moves: moves.to_vec(), shards_after, new_dirs: Vec::new() };
    let right = Move { slot: 0, from: owners[0], to: 3 };
    for wrong in [
        plan(&[right], 0),
        plan(&[right], 3),
        plan(&[], 3),
        plan(&[], 5000),
        plan(&[right, right], 4),
        plan(&[Move { from: 2, ..right }], 4),
        plan(&[Move { to: 4, ..right }], 4),
        plan(&[Move { to: owners[0], ..right }], 4),
        plan(&[Move { slot: owners.len() as u32, ..right }], 4),
    ] {
        let refused = db.rebalance(&wrong, finished(), &|_| {}).expect_err("it does not fit");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{wrong:?}");
    }
    assert_eq!(db.slot_owners(), owners);
    assert!(db.rebalance_status().is_none());
    db.rebalance(&plan(&[], 4), finished(), &|_| {}).expect("nothing is no error");
    db.rebalance(&plan(&[right], 4), finished(), &|_| {}).expect("it fits");
}
