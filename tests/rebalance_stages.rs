//! Whatever a store is asked for while a rebalancing stands at one of its steps: it is done, waits for the step, or is refused by name, and everything readable stays what
//! it was.

#[path = "support/chain.rs"]
mod chain;

use chain::{KEYS, State, seal, state_at, writes};
use shingle::{
    At, Batch, Config, Database, Error, ErrorKind, Move, Plan, PruneHold, RebalanceOptions, RebalanceWait,
    RestoreOptions, Retention,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const BLOCKS: u64 = 12;

/// Failpoints are the process's: whoever sets one holds this.
static FAILPOINTS: Mutex<()> = Mutex::new(());

/// Copying, until slots are handed over: it can be given up.
const BEFORE: &[&str] = &[
    "move::after_barrier",
    "move::before_bringing_in",
    "move::after_changes",
    "move::after_page",
    "move::after_run",
    "move::before_hand_over",
];
/// The new shards answer, or are about to.
const AFTER: &[&str] = &["move::before_cleaning", "move::after_cleaned_rows", "move::after_cleaned_changes"];
/// Emptied shards go.
const REMOVING: &[&str] = &["move::after_forgetting_shards", "move::before_removing", "move::after_removing"];

fn key(number: u16) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn seal_more(db: &Database, count: u64) {
    for _ in 0..count {
        seal(db);
    }
}

fn rows(found: impl Iterator<Item = shingle::Result<(Vec<u8>, Vec<u8>)>>) -> State {
    let rows: Vec<_> = found.collect::<shingle::Result<_>>().expect("a sound store");
    assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "a row twice");
    rows.into_iter().collect()
}

fn check(db: &Database) {
    let floor = db.floor();
    let blocks: Vec<_> = db.blocks(..).into_iter().filter(|block| block.version >= floor).collect();
    for block in &blocks {
        let then = db.snapshot_at(At::Height(block.height)).expect("it is retained");
        let expected = state_at(block.height);
        assert_eq!(rows(then.prefix("")), expected, "{block:?}");
        for key in (0..KEYS).map(key) {
            assert_eq!(then.get(&key).expect("a sound store").as_ref(), expected.get(&key), "{key:?} at {block:?}");
        }
    }
    let expected: Vec<_> = blocks
        .iter()
        .filter(|block| block.version > floor)
        .flat_map(|block| writes(block.height).into_iter().map(move |(key, value)| (block.version, key, value)))
        .collect();
    let changes = db.changes_since(floor).expect("it is retained").map(|c| c.map(|c| (c.version, c.key, c.value)));
    assert_eq!(changes.collect::<shingle::Result<Vec<_>>>().expect("a sound store"), expected);
    let (first, last) = (blocks[0].height, blocks[blocks.len() - 1].height);
    let found = db.diff(first, last).expect("retained").map(|d| d.map(|d| (d.key, (d.before, d.after))));
    let found: BTreeMap<_, _> = found.collect::<shingle::Result<_>>().expect("a sound store");
    let (before, after) = (state_at(first), state_at(last));
    let differing = (0..KEYS).map(key).filter(|key| before.get(key) != after.get(key));
    let expected: BTreeMap<_, _> =
        differing.map(|key| (key.clone(), (before.get(&key).cloned(), after.get(&key).cloned()))).collect();
    assert_eq!(found, expected, "from {first} to {last}");
}

fn verify(db: &Database) {
    let report = db.verify(&|_| {}).expect("room on the disk");
    assert!(report.is_sound(), "{report:?}");
}

fn open(dir: &Path) -> Database {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 256 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.prune.reorg_window_blocks = 2;
    let builder = Database::builder(dir).slots(64).config(config);
    let builder = if dir.join("MANIFEST").exists() { builder } else { builder.shards(3) };
    builder.open().expect("a sound store")
}

fn spread(db: &Database, shards: usize) -> Plan {
    let moves = (0..).zip(db.slot_owners()).filter(|&(slot, from)| slot as usize % shards != from);
    let moves = moves.map(|(slot, from)| Move { slot, from, to: slot as usize % shards }).collect();
    Plan { moves, shards_after: shards, new_dirs: Vec::new() }
}

fn wait_until_done(db: &Database) {
    let began = Instant::now();
    while let Some(status) = db.rebalance_status() {
        assert!(began.elapsed() < Duration::from_secs(120), "it does not end: {status:?}");
        assert_eq!(status.failure, None);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Stops whoever comes to a named point, once.
struct Gate {
    point: &'static str,
    state: Arc<(Mutex<Passage>, Condvar)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passage {
    Shut,
    Reached,
    Open,
}

impl Gate {
    fn at(point: &'static str) -> Self {
        Self::behind(point, 0)
    }

    /// The first `most` that come may pass.
    fn behind(point: &'static str, most: usize) -> Self {
        let state = Arc::new((Mutex::new(Passage::Shut), Condvar::new()));
        let theirs = Arc::clone(&state);
        let passed = AtomicUsize::new(0);
        let stop = move || {
            if passed.fetch_add(1, Ordering::Relaxed) < most {
                return;
            }
            let (passage, changed) = &*theirs;
            let mut passage = passage.lock().expect("nobody panics");
            if *passage == Passage::Shut {
                *passage = Passage::Reached;
                changed.notify_all();
            }
            drop(changed.wait_while(passage, |passage| *passage != Passage::Open).expect("nobody panics"));
        };
        fail::cfg_callback(point, stop).expect("the build has failpoints");
        Gate { point, state }
    }

    fn wait_until_reached(&self) {
        let (passage, changed) = &*self.state;
        let passage = passage.lock().expect("nobody panics");
        let patience = Duration::from_secs(60);
        let (passage, _) =
            changed.wait_timeout_while(passage, patience, |passage| *passage == Passage::Shut).expect("nobody panics");
        assert!(*passage == Passage::Reached, "nobody came to {}", self.point);
    }

    fn open(&self) {
        fail::remove(self.point);
        *self.state.0.lock().expect("nobody panics") = Passage::Open;
        self.state.1.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

/// What is asked of the store meanwhile. `open` lets the rebalancing go on.
type Deed = fn(&Database, point: &'static str, open: &dyn Fn());

/// Does what may have to wait for the step.
fn while_it_goes_on<R: Send>(open: &dyn Fn(), deed: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let doing = scope.spawn(deed);
        thread::sleep(Duration::from_millis(20));
        open();
        doing.join().expect("it is done")
    })
}

fn roll_back(db: &Database, _: &'static str, open: &dyn Fn()) {
    let head = db.head().expect("it has blocks").height;
    // More than was sealed since the barrier: what a run has gathered and not brought in yet is among it.
    while_it_goes_on(open, || db.rollback_to(head - 4).expect("within the window"));
    assert_eq!(db.head().map(|block| block.height), Some(head - 4));
    check(db);
    seal_more(db, 3);
}

fn prune(db: &Database, _: &'static str, open: &dyn Fn()) {
    let floor = db.floor();
    let pruned = while_it_goes_on(open, || db.prune(&Retention::blocks(3)).expect("a sound store"));
    assert!(pruned.floor > floor || pruned.held_back == Some(PruneHold::Rebalance), "{pruned:?}");
    check(db);
    wait_until_done(db);
    assert!(db.prune(&Retention::blocks(3)).expect("a sound store").floor > floor);
}

/// The checkpoint is a store of its own, which ends the rebalancing by itself.
fn restore_a_checkpoint(db: &Database, _: &'static str, open_gate: &dyn Fn()) {
    let head = db.head();
    let checkpoint = while_it_goes_on(open_gate, || db.checkpoint("meanwhile").expect("room on the disk"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let restored = dir.path().join("restored");
    Database::restore(&checkpoint.path, &restored, &RestoreOptions::default(), &|_| {}).expect("a sound checkpoint");
    let other = open(&restored);
    assert_eq!(other.head(), head);
    check(&other);
    seal(&other);
    wait_until_done(&other);
    check(&other);
    verify(&other);
    let dirs = std::fs::read_dir(restored.join("shards")).expect("it has shards").count();
    assert_eq!(dirs, other.shards(), "no directory of a shard is left behind");
}

fn give_up(db: &Database, point: &'static str, open: &dyn Fn()) {
    let owners = db.slot_owners();
    match while_it_goes_on(open, || db.abort_rebalance()) {
        Ok(()) => {
            assert!(BEFORE.contains(&point), "{point}");
            assert_eq!(db.slot_owners(), owners);
        }
        Err(Error::RebalanceHandedOver | Error::NoRebalance) => {
            assert!(!BEFORE.contains(&point) || point == "move::before_hand_over", "{point}");
        }
        Err(error) => panic!("{point}: {error}"),
    }
    check(db);
    seal(db);
    wait_until_done(db);
    // And again, to where it was going.
    let options = RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() };
    for shards in [5, 2] {
        db.rebalance(&spread(db, shards), options, &|_| {}).expect("a plan that fits");
        check(db);
    }
}

fn begin_another(db: &Database, point: &'static str, open: &dyn Fn()) {
    if point == "move::after_barrier" {
        // It would wait for the first to have begun.
        return;
    }
    let refused = db.rebalance(&spread(db, 4), RebalanceOptions::default(), &|_| {}).expect_err("one at a time");
    assert!(matches!(refused, Error::RebalanceUnfinished { .. }), "{point}: {refused}");
    check(db);
    seal(db);
    open();
}

/// What a transaction has seen before the step is validated after it.
fn commit_transactions(db: &Database, point: &'static str, open: &dyn Fn()) {
    let begin = || {
        let mut txn = db.begin();
        let half: Vec<_> = txn.range(key(0)..key(KEYS / 2)).collect::<shingle::Result<_>>().expect("a sound store");
        assert!(!half.is_empty());
        assert_eq!(txn.get("of nobody").expect("a sound store"), None);
        txn
    };
    let mut phantom = begin();
    let mut untouched = begin();
    let mut overtaken = begin();
    untouched.put("untouched", "1").expect("a key within bounds");
    untouched.commit().expect("nobody has written there");
    phantom.put("phantom", "1").expect("a key within bounds");
    overtaken.put("overtaken", "1").expect("a key within bounds");
    // Neither key is any block's.
    let within = [key(3), b"!".to_vec()].concat();
    for key in [within.as_slice(), b"of nobody"] {
        let mut batch = Batch::new();
        batch.put(key, "it is now");
        db.commit(batch).expect("a sound store");
    }
    let refused = phantom.commit().expect_err("the range has another key");
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{point}");
    open();
    wait_until_nobody_waits(db);
    let refused = overtaken.commit().expect_err("the range has another key");
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{point}");
    let mut batch = Batch::new();
    for key in [within.as_slice(), b"of nobody", b"untouched"] {
        assert!(db.get(key).expect("a sound store").is_some(), "{point}");
        batch.delete(key);
    }
    db.commit(batch).expect("a sound store");
    // What is checked afterwards are blocks and what they wrote.
    let head = db.head().expect("it has blocks").height;
    db.rollback_to(head).expect("within the window");
}

/// A transaction that is open keeps the cleaning waiting.
fn wait_until_nobody_waits(db: &Database) {
    let began = Instant::now();
    while db.rebalance_status().is_some_and(|status| status.slots_done == 0) {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", db.rebalance_status());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads that began before the step end after it.
fn go_on_reading(db: &Database, _: &'static str, open: &dyn Fn()) {
    let head = db.head().expect("it has blocks");
    let then = db.snapshot();
    let (mut scan, mut feed) = (then.prefix(""), db.changes_since(0).expect("nothing is pruned"));
    let mut diff = db.diff(1, head.height).expect("nothing is pruned");
    let mut first: State = scan.by_ref().take(3).collect::<shingle::Result<_>>().expect("a sound store");
    first.extend(scan.by_ref().rev().take(3).map(|row| row.expect("a sound store")));
    let fed = feed.by_ref().take(3).count();
    let differed = diff.by_ref().take(1).count();
    open();
    wait_until_nobody_waits(db);
    seal_more(db, 3);
    db.flush().expect("a sound store");
    let mut all = rows(scan);
    all.extend(first);
    assert_eq!(all, state_at(head.height));
    let written: usize = (1..=head.height).map(|height| writes(height).len()).sum();
    assert_eq!(fed + feed.inspect(|change| assert!(change.is_ok(), "{change:?}")).count(), written);
    let (before, after) = (state_at(1), state_at(head.height));
    let differing = (0..KEYS).map(key).filter(|key| before.get(key) != after.get(key)).count();
    assert_eq!(differed + diff.inspect(|one| assert!(one.is_ok(), "{one:?}")).count(), differing);
    assert_eq!(rows(then.prefix("")), state_at(head.height));
    drop(then);
}

fn flush_and_verify(db: &Database, _: &'static str, open: &dyn Fn()) {
    seal(db);
    while_it_goes_on(open, || {
        db.flush().expect("a sound store");
        check(db);
        verify(db);
    });
    let measured = db.measure_slots(&|_| {}).expect("a sound store");
    let keys: u64 = measured.slots.iter().map(|slot| slot.keys).sum();
    assert_eq!(keys, state_at(db.head().expect("it has blocks").height).len() as u64, "every key is counted once");
}

fn at_each(points: &[&'static str], shards: usize, deed: Deed) {
    for &point in points {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = dir.path().join("store");
        let db = open(&store);
        seal_more(&db, BLOCKS);
        db.flush().expect("a sound store");
        seal_more(&db, 3);
        let gate = Gate::at(point);
        let options = RebalanceOptions { wait: RebalanceWait::Begun, ..RebalanceOptions::default() };
        let plan = spread(&db, shards);
        thread::scope(|scope| {
            // It may be the beginning that is stopped.
            let beginning = scope.spawn(|| db.rebalance(&plan, options, &|_| {}));
            gate.wait_until_reached();
            check(&db);
            seal_more(&db, 2);
            check(&db);
            deed(&db, point, &|| gate.open());
            gate.open();
            match beginning.join().expect("it answers") {
                Ok(_) | Err(Error::RebalanceGivenUp) => {}
                Err(error) => panic!("a plan that fits: {error}"),
            }
        });
        check(&db);
        wait_until_done(&db);
        check(&db);
        verify(&db);
        let shards = db.shards();
        db.close().expect("a sound store");
        let db = open(&store);
        assert_eq!((db.shards(), db.rebalance_status()), (shards, None), "{point}");
        check(&db);
        verify(&db);
    }
}

#[test]
fn whatever_is_asked_for_at_any_step_is_right() {
    let _alone = FAILPOINTS.lock();
    let deeds: [(&str, Deed); 8] = [
        ("roll back", roll_back),
        ("prune", prune),
        ("restore a checkpoint", restore_a_checkpoint),
        ("give up", give_up),
        ("begin another", begin_another),
        ("commit transactions", commit_transactions),
        ("go on reading", go_on_reading),
        ("flush and verify", flush_and_verify),
    ];
    for (name, deed) in deeds {
        eprintln!("{name}, while shards are added");
        at_each(&[BEFORE, AFTER].concat(), 5, deed);
        eprintln!("{name}, while shards are removed");
        at_each(&[BEFORE, REMOVING].concat(), 2, deed);
    }
    close_at_each_step();
}

fn begin(db: &Database, shards: usize) {
    let options = RebalanceOptions { wait: RebalanceWait::Begun, ..RebalanceOptions::default() };
    db.rebalance(&spread(db, shards), options, &|_| {}).expect("a plan that fits");
}

/// Such a block is written to the old shards alone, and is applied when copying might long have read them.
#[test]
fn what_was_numbered_before_the_barrier_is_copied() {
    let _alone = FAILPOINTS.lock();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = open(&dir.path().join("store"));
    seal_more(&db, BLOCKS);
    let gate = Gate::at("commit::before_append");
    thread::scope(|scope| {
        let numbered = scope.spawn(|| seal(&db));
        gate.wait_until_reached();
        begin(&db, 5);
        // Time in which it would be handed over.
        thread::sleep(Duration::from_millis(100));
        gate.open();
        numbered.join().expect("it is committed");
    });
    wait_until_done(&db);
    check(&db);
    verify(&db);
}

/// Else the same rows are pruned where they come from while they are brought to where nothing is left to prune them.
#[test]
fn a_pruning_that_failed_is_completed_before_rows_are_read() {
    let _alone = FAILPOINTS.lock();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = open(&dir.path().join("store"));
    seal_more(&db, BLOCKS);
    db.flush().expect("a sound store");
    // Every shard fails.
    fail::cfg("prune::before_versions", "return").expect("the build has failpoints");
    db.prune(&Retention::blocks(3)).expect_err("it is stopped");
    fail::remove("prune::before_versions");
    assert!(db.floor() > 0);
    // All that moves is on one shard, and goes to one: its changes come in first, then its rows.
    let moves = (0..).zip(db.slot_owners()).filter(|&(_, from)| from == 0);
    let moves = moves.map(|(slot, from)| Move { slot, from, to: 1 }).collect();
    let gate = Gate::behind("move::before_bringing_in", 1);
    let options = RebalanceOptions { wait: RebalanceWait::Begun, ..RebalanceOptions::default() };
    db.rebalance(&Plan { moves, shards_after: 3, new_dirs: Vec::new() }, options, &|_| {}).expect("a plan that fits");
    gate.wait_until_reached();
    db.prune(&Retention::blocks(3)).expect("a sound store");
    gate.open();
    wait_until_done(&db);
    check(&db);
    verify(&db);
}

/// Closing waits for the step; the next opening goes on.
fn close_at_each_step() {
    for (&point, shards) in BEFORE.iter().chain(AFTER).zip(std::iter::repeat(5)).chain(REMOVING.iter().zip([2; 3])) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = dir.path().join("store");
        let db = open(&store);
        seal_more(&db, BLOCKS);
        db.flush().expect("a sound store");
        let gate = Gate::at(point);
        thread::scope(|scope| {
            let options = RebalanceOptions { wait: RebalanceWait::Begun, ..RebalanceOptions::default() };
            let other = db.clone();
            let beginning = scope.spawn(move || drop(other.rebalance(&spread(&other, shards), options, &|_| {})));
            gate.wait_until_reached();
            seal_more(&db, 2);
            let closing = scope.spawn(move || db.close().expect("a sound store"));
            thread::sleep(Duration::from_millis(5));
            gate.open();
            closing.join().expect("it closes");
            beginning.join().expect("it ends");
        });
        let db = open(&store);
        check(&db);
        wait_until_done(&db);
        check(&db);
        verify(&db);
        assert_eq!(db.shards(), shards, "{point}");
    }
}
