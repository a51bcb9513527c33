//! What fails in the midst of a rebalancing costs nothing: the store goes on, and the rebalancing is resumed or given up.

use shingle::{Batch, Database, Error, Move, Plan, RebalanceOptions, RebalanceWait};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const KEYS: u32 = 500;

/// Failpoints are the process's: whoever sets one holds this.
static FAILPOINTS: Mutex<()> = Mutex::new(());

fn write(db: &Database, round: u32) {
    let mut batch = Batch::new();
    for key in 0..KEYS {
        batch.put(key.to_be_bytes(), round.to_be_bytes());
    }
    db.commit(batch).expect("a sound store");
}

fn check(db: &Database, round: u32) {
    let rows: Vec<_> = db.prefix("").collect::<shingle::Result<_>>().expect("a sound store");
    assert_eq!(rows.len(), KEYS as usize);
    assert!(rows.iter().all(|(_, value)| *value == round.to_be_bytes()));
}

fn spread(db: &Database, shards: usize) -> Plan {
    let moves = (0..).zip(db.slot_owners()).filter(|&(slot, from)| slot as usize % shards != from);
    let moves = moves.map(|(slot, from)| Move { slot, from, to: slot as usize % shards }).collect();
    Plan { moves, shards_after: shards, new_dirs: Vec::new() }
}

fn wait_until_done(db: &Database) {
    let began = Instant::now();
    while db.rebalance_status().is_some() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end: {:?}", db.rebalance_status());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_failed_step_is_resumed_or_given_up() {
    let _alone = FAILPOINTS.lock();
    let finished = RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() };
    let mut round = 0;
    for give_up in [false, true] {
        let before = ["move::before_changes", "move::after_changes", "move::after_rows"];
        for point in before.into_iter().chain(["prune::before_versions", "move::after_forgetting"]) {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let db = Database::builder(dir.path().join("store")).shards(2).open().expect("a new store");
            write(&db, round);
            fail::cfg(point, "1*return").expect("a known action");
            let failed = db.rebalance(&spread(&db, 4), finished, &|_| {}).expect_err("a step of it fails");
            assert!(matches!(failed, Error::Shard(_)), "{point}: {failed}");
            let status = db.rebalance_status().expect("it is unfinished");
            assert!(status.failure.is_some_and(|why| why.contains(point)), "{point}");
            check(&db, round);
            round += 1;
            write(&db, round);
            check(&db, round);
            let copying = before.contains(&point);
            let given_up = give_up && copying;
            if give_up && !copying {
                assert!(matches!(db.abort_rebalance(), Err(Error::RebalanceHandedOver)), "{point}");
            }
            if given_up {
                db.abort_rebalance().expect("it has not handed over");
            } else {
                db.resume_rebalance(finished, &|_| {}).expect("the failure is over");
            }
            wait_until_done(&db);
            check(&db, round);
            assert!(db.verify(&|_| {}).expect("room on the disk").is_sound(), "{point}");
            assert_eq!(db.shards(), if given_up { 2 } else { 4 }, "{point}");
        }
    }
}

#[test]
fn what_failed_goes_on_where_it_was() {
    let _alone = FAILPOINTS.lock();
    let db = Database::builder("").shards(2).in_memory().expect("no disk");
    write(&db, 1);
    assert!(matches!(db.resume_rebalance(RebalanceOptions::default(), &|_| {}), Err(Error::NoRebalance)));
    let slow = RebalanceOptions { wait: RebalanceWait::Begun, bytes_per_sec: Some(1) };
    db.rebalance(&spread(&db, 3), slow, &|_| {}).expect("a plan that fits");
    write(&db, 2);
    check(&db, 2);
    assert!(db.rebalance_status().is_some_and(|status| status.bytes_per_sec_max == Some(1)));
    // It would take hours; the new rate counts at once.
    db.set_rebalance_rate(None).expect("no disk");
    wait_until_done(&db);
    check(&db, 2);
    assert_eq!(db.shards(), 3);
}

/// Copies all of a directory, with what lies in directories inside it.
fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room on the disk");
    for entry in fs::read_dir(from).expect("a directory").map(|entry| entry.expect("it can be read").path()) {
        let target = to.join(entry.file_name().expect("an entry has a name"));
        if entry.is_dir() {
            copy_dir(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("room on the disk");
        }
    }
}

/// What lies in the place of an emptied shard when its directory is to go.
#[test]
fn only_the_emptied_shard_itself_is_removed() {
    let _alone = FAILPOINTS.lock();
    type Put = fn(&Path, &Path);
    let cases: [(&str, &str, Put); 5] = [
        ("another store's shard", "it belongs to store", |place, root| {
            fs::remove_dir_all(place).expect("it is closed");
            let other = root.join("other");
            Database::builder(&other).shards(4).open().expect("a new store").close().expect("a sound store");
            copy_dir(&other.join("shards/003"), place);
        }),
        ("another shard of this store", "it is shard 0, not shard 3", |place, _| {
            fs::remove_dir_all(place).expect("it is closed");
            copy_dir(&place.with_file_name("000"), place);
        }),
        ("a file", "it is not a directory", |place, _| {
            fs::remove_dir_all(place).expect("it is closed");
            fs::write(place, "kept").expect("room on the disk");
        }),
        ("a directory of somebody", "letter.txt", |place, _| {
            fs::remove_dir_all(place).expect("it is closed");
            fs::create_dir(place).expect("room on the disk");
            fs::write(place.join("letter.txt"), "kept").expect("room on the disk");
        }),
        ("a file in the shard", "letter.txt", |place, _| {
            fs::write(place.join("letter.txt"), "kept").expect("room on the disk");
        }),
    ];
    let finished = RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() };
    for (case, told, put) in cases {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("store");
        let db = Database::builder(&path).shards(4).open().expect("a new store");
        write(&db, 1);
        // Its directory is still there, and the store is closed before it goes.
        fail::cfg("remove::before_looking", "return").expect("a known action");
        db.rebalance(&spread(&db, 3), finished, &|_| {}).expect_err("the removal fails");
        db.close().expect("a sound store");
        let place = path.join("shards/003");
        put(&place, dir.path());
        let names = |place: &Path| -> Vec<_> {
            let entries = fs::read_dir(place).into_iter().flatten().map(|entry| entry.expect("it can be read").path());
            // RocksDB begins a new log of its own, whoever looks.
            entries
                .filter(|path| !path.to_string_lossy().contains("LOG"))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        let before = names(&place);
        fail::remove("remove::before_looking");
        let db = Database::open(&path).expect("a sound store");
        let failed = db.resume_rebalance(finished, &|_| {}).expect_err(case).to_string();
        assert!(failed.contains(told) && failed.contains("003"), "{case}: {failed}");
        assert_eq!(names(&place), before, "{case}");
        check(&db, 1);
        // Out of the way, and it goes on; what was the shard's own goes then.
        if case == "a file in the shard" {
            fs::rename(place.join("letter.txt"), dir.path().join("letter.txt")).expect("the same file system");
        } else {
            fs::rename(&place, dir.path().join("aside")).expect("the same file system");
        }
        db.resume_rebalance(finished, &|_| {}).expect("nothing is in the way");
        assert!(!place.exists(), "{case}");
        assert_eq!(db.rebalance_status(), None, "{case}");
        check(&db, 1);
    }
}

/// A removal that was cut short has nothing left that says whose the shard was, but for the file that was written for that.
#[test]
fn a_removal_that_was_cut_short_goes_on() {
    let _alone = FAILPOINTS.lock();
    let finished = RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() };
    for point in ["remove::after_the_mark", "remove::before_the_mark_goes"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("store");
        let db = Database::builder(&path).shards(4).open().expect("a new store");
        write(&db, 1);
        fail::cfg(point, "1*return").expect("a known action");
        db.rebalance(&spread(&db, 3), finished, &|_| {}).expect_err("the removal fails");
        db.close().expect("a sound store");
        let place = path.join("shards/003");
        assert!(place.exists() && !place.join("CURRENT").exists(), "{point}");
        let db = Database::open(&path).expect("a sound store");
        wait_until_done(&db);
        assert!(!place.exists(), "{point}");
        check(&db, 1);
        assert_eq!(db.shards(), 3);
    }
}
