//! Repair of stores that are in the midst of something: slots on their way, pruned, written to after their last flush. Only what is damaged is said to be.

#[path = "support/files.rs"]
mod files;

use shingle::{
    Batch, Block, Config, Database, Move, Plan, RebalanceOptions, RebalanceWait, RepairReport, Retention, ShardRepair,
};
use std::fs;
use std::path::{Path, PathBuf};

const KEYS: u64 = 400;

fn open(store: &Path) -> Database {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 256 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.prune.reorg_window_blocks = 2;
    let builder = Database::builder(store).config(config);
    // However many it has by now.
    let builder = if store.join("MANIFEST").exists() { builder } else { builder.shards(3) };
    builder.open().expect("a store")
}

fn seal(db: &Database, count: u64) {
    for _ in 0..count {
        let height = db.head().map_or(0, |head| head.height) + 1;
        let mut batch = Batch::new();
        for key in (0..KEYS).filter(|key| (key + height).is_multiple_of(3)) {
            if (key + height).is_multiple_of(7) {
                batch.delete(key.to_be_bytes());
            } else {
                batch.put(key.to_be_bytes(), [height as u8; 100]);
            }
        }
        db.commit_block(Block { height, timestamp_ms: height }, batch).expect("a sound disk");
    }
}

fn repair(store: &Path) -> RepairReport {
    Database::repair(store, &|_| {}).expect("nobody has it open")
}

/// Sound, and nothing was written to it or is left beside it.
fn is_sound(store: &Path) {
    let before = files::contents(store);
    let report = repair(store);
    assert!(report.is_sound() && report.checkpoint.is_none(), "{report:?}");
    let after = files::contents(store);
    let names = |files: &std::collections::BTreeMap<PathBuf, _>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    assert!(before.iter().all(|(path, bytes)| path.ends_with("LOCK") || after[path] == *bytes));
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).expect("it is there");
    fs::write(path, bytes).expect("room on the disk");
}

fn tables(shard: &Path) -> Vec<PathBuf> {
    let is_table = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sst");
    files::walk(shard).into_iter().filter(is_table).collect()
}

/// Half of all slots on their way to a fourth shard, which has a part of them.
fn move_half(db: &Database, options: RebalanceOptions) {
    let moves = (0..).zip(db.slot_owners()).filter(|(slot, _)| slot % 2 == 0);
    let moves = moves.map(|(slot, from)| Move { slot, from, to: 3 }).collect();
    let plan = Plan { moves, shards_after: 4, new_dirs: Vec::new() };
    db.rebalance(&plan, options, &|_| {}).expect("nothing else is under way");
}

#[test]
fn slots_on_their_way_are_no_damage_and_do_not_hide_any() {
    for wait in [RebalanceWait::Begun, RebalanceWait::HandedOver] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = dir.path().join("store");
        let db = open(&store);
        seal(&db, 30);
        db.prune(&Retention::blocks(10)).expect("a sound disk");
        seal(&db, 10);
        let bytes_per_sec = matches!(wait, RebalanceWait::Begun).then_some(1);
        move_half(&db, RebalanceOptions { wait, bytes_per_sec });
        seal(&db, 5);
        db.close().expect("a sound disk");
        is_sound(&store);
        // What is on its way there is judged where it is read from; what can be read of a shard's files must still be whole.
        let shards = files::walk(&store.join("shards"));
        let source = shards.iter().find(|path| path.ends_with("001")).expect("a shard");
        let victims = tables(source);
        assert!(!victims.is_empty(), "pruning has flushed it");
        victims.iter().for_each(|table| flip(table));
        let report = repair(&store);
        for shard in &report.shards {
            assert_eq!(shard.damage.is_some(), shard.number == 1, "{shard:?}");
        }
        assert!(matches!(report.shards[1].repair, Some(ShardRepair::Failed { .. })), "{:?}", report.shards[1]);
        victims.iter().for_each(|table| flip(table));
        is_sound(&store);
        let db = open(&store);
        db.set_rebalance_rate(None).expect("room on the disk");
        while db.rebalance_status().is_some() {
            std::thread::yield_now();
        }
        assert!(db.verify(&|_| {}).expect("room on the disk").is_sound());
        db.close().expect("a sound disk");
        is_sound(&store);
    }
}

/// A row that a pruning keeps below the floor has no change that names it, and is none too many.
#[test]
fn rows_below_the_floor_are_no_damage() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let db = open(&store);
    seal(&db, 40);
    drop(db);
    for retention in [Retention::blocks(20), Retention::versions_per_key(4), Retention::blocks(1)] {
        let db = open(&store);
        seal(&db, 3);
        db.prune(&retention).expect("a sound disk");
        assert!(db.floor() > 0);
        seal(&db, 2);
        // What is not flushed is in the log.
        db.close().expect("a sound disk");
        is_sound(&store);
    }
}

/// A rollback that lies above what was flushed, and one below.
#[test]
fn rolled_back_versions_are_no_damage() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let db = open(&store);
    seal(&db, 20);
    db.flush().expect("a sound disk");
    seal(&db, 10);
    db.rollback_to(15).expect("a retained block");
    db.close().expect("a sound disk");
    is_sound(&store);
    let db = open(&store);
    seal(&db, 3);
    db.flush().expect("a sound disk");
    db.rollback_to(17).expect("a retained block");
    seal(&db, 1);
    db.flush().expect("a sound disk");
    db.close().expect("a sound disk");
    is_sound(&store);
}
