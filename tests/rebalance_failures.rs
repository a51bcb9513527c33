//! What fails in the midst of a rebalancing costs nothing: the store goes on, and the rebalancing is resumed or given up.

use shingle::{Batch, Database, Error, Move, Plan, RebalanceOptions, RebalanceWait};
use std::time::{Duration, Instant};

const KEYS: u32 = 500;

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

/// In turn: failpoints are the process's.
#[test]
fn a_failed_step_is_resumed_or_given_up() {
    let finished = RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() };
    let mut round = 0;
    for give_up in [false, true] {
        for point in ["move::after_changes", "move::after_rows", "prune::before_versions", "move::after_forgetting"] {
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
            let copying = ["move::after_changes", "move::after_rows"].contains(&point);
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
    let db = Database::builder("").shards(2).in_memory().expect("no disk");
    write(&db, 1);
    assert!(matches!(db.resume_rebalance(RebalanceOptions::default(), &|_| {}), Err(Error::NoRebalance)));
    let slow = RebalanceOptions { wait: RebalanceWait::Begun, bytes_per_sec: Some(1) };
    db.rebalance(&spread(&db, 3), slow, &|_| {}).expect("a plan that fits");
    write(&db, 2);
    check(&db, 2);
    assert!(db.rebalance_status().is_some_and(|status| status.bytes_per_sec_max == Some(1)));
    // It would take hours; the new rate counts at once.
    db.set_rebalance_rate(None);
    wait_until_done(&db);
    check(&db, 2);
    assert_eq!(db.shards(), 3);
}
