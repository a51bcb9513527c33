//! A disk that runs full beneath shards in the making: the rebalancing stops with what is wrong, the store goes on, and the rebalancing is resumed or given up.

#[path = "support/mount.rs"]
mod mount;

use mount::Mount;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Config, Database, Error, ErrorKind, Move, Plan, RebalanceOptions, RebalanceWait, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// What goes to the new disk is about a third of it.
const KEYS: u32 = 3000;
const VALUE_BYTES: usize = 8 << 10;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn commit(db: &Database, keys: std::ops::Range<u32>, seed: u64, state: &mut State) -> Result<()> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut batch = Batch::new();
    let mut written = Vec::new();
    for key in keys {
        // Nothing that compression could make room from.
        let mut value = vec![0; VALUE_BYTES];
        rng.fill(value.as_mut_slice());
        batch.put(key.to_be_bytes(), &value);
        written.push((key.to_be_bytes().to_vec(), value));
    }
    db.commit(batch)?;
    state.extend(written);
    Ok(())
}

fn check(db: &Database, state: &State) {
    let found: State = db.prefix("").collect::<Result<_>>().expect("reads go on");
    assert!(found == *state, "{} keys were acknowledged, {} are there", state.len(), found.len());
}

fn spread(db: &Database, shards: usize, new_dirs: Vec<PathBuf>) -> Plan {
    let moves = (0..).zip(db.slot_owners()).filter(|&(slot, from)| slot as usize % shards != from);
    let moves = moves.map(|(slot, from)| Move { slot, from, to: slot as usize % shards }).collect();
    Plan { moves, shards_after: shards, new_dirs }
}

/// Commits until what is not flushed of the new shards would have to be: from then on commits are refused for want of memory, or go on.
fn commit_on(db: &Database, state: &mut State) {
    for seed in 0..20 {
        match commit(db, seed as u32 * 10..seed as u32 * 10 + 10, 1000 + seed, state) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}"),
        }
    }
}

#[test]
fn a_target_that_runs_full_costs_nothing() {
    let finished = RebalanceOptions { wait: RebalanceWait::Finished, ..RebalanceOptions::default() };
    for give_up in [false, true] {
        let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=32m", "tmpfs"]) else { return };
        let filler = disk.path().join("filler");
        fs::write(&filler, vec![1; 28 << 20]).expect("there is room");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = dir.path().join("store");
        let mut config = Config::default();
        config.rocksdb.write_buffer_size = 8 << 20;
        let open = || Database::builder(&store).config(config.clone()).open();
        let db = Database::builder(&store).shards(2).config(config.clone()).open().expect("a new store");
        let mut state = State::new();
        for part in 0..30 {
            commit(&db, part * KEYS / 30..(part + 1) * KEYS / 30, part.into(), &mut state).expect("there is room");
        }
        let dirs = vec![disk.path().join("shards")];
        let failed = db.rebalance(&spread(&db, 3, dirs.clone()), finished, &|_| {}).expect_err("8 MiB in 4");
        assert_eq!(failed.kind(), ErrorKind::NoSpace, "{failed}");
        let status = db.rebalance_status().expect("it is unfinished");
        assert!(status.failure.is_some_and(|why| why.contains("no space left")));
        check(&db, &state);
        commit_on(&db, &mut state);
        check(&db, &state);
        // It fails again as long as nothing has changed.
        let failed = db.resume_rebalance(finished, &|_| {}).expect_err("no room yet");
        assert_eq!(failed.kind(), ErrorKind::NoSpace, "{failed}");
        check(&db, &state);
        if give_up {
            // On the full disk: nothing that is needed for it has to be written there for long.
            db.abort_rebalance().expect("it has not handed over");
            check(&db, &state);
            fs::remove_file(&filler).expect("it was just written");
            // What began before there was room may fail at any moment from now on, and once.
            let began = Instant::now();
            while let Some(status) = db.rebalance_status() {
                assert!(began.elapsed() < Duration::from_secs(120), "it does not end: {status:?}");
                if status.failure.is_some() {
                    match db.resume_rebalance(finished, &|_| {}) {
                        Ok(_) | Err(Error::NoRebalance) => {}
                        Err(error) => panic!("there is room: {error}"),
                    }
                }
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(db.shards(), 2);
            assert!(!disk.path().join("shards/002").exists(), "it is removed");
            check(&db, &state);
            db.rebalance(&spread(&db, 3, dirs), finished, &|_| {}).expect("there is room");
        } else {
            fs::remove_file(&filler).expect("it was just written");
            db.resume_rebalance(finished, &|_| {}).expect("there is room");
        }
        assert_eq!(db.shards(), 3);
        commit(&db, 0..10, 7, &mut state).expect("there is room");
        check(&db, &state);
        assert!(db.verify(&|_| {}).expect("there is room").is_sound());
        db.close().expect("a sound store");
        let db = open().expect("a sound store");
        assert_eq!((db.shards(), db.rebalance_status()), (3, None));
        check(&db, &state);
        drop(db);
    }
}

/// There is not even room for the new shard: nothing was begun.
#[test]
fn a_shard_that_cannot_be_made_is_not_begun() {
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) else { return };
    fs::write(disk.path().join("filler"), vec![1; (1 << 20) - 4096]).expect("there is room");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = Database::builder(dir.path().join("store")).shards(2).open().expect("a new store");
    let mut state = State::new();
    commit(&db, 0..50, 1, &mut state).expect("there is room");
    let options = RebalanceOptions::default();
    let plan = spread(&db, 4, vec![disk.path().join("shards")]);
    let failed = db.rebalance(&plan, options, &|_| {}).expect_err("no room");
    assert_eq!(failed.kind(), ErrorKind::NoSpace, "{failed}");
    assert_eq!((db.rebalance_status(), db.shards()), (None, 2));
    assert!(!disk.path().join("shards/002").exists() && !disk.path().join("shards/003").exists());
    check(&db, &state);
    let elsewhere = spread(&db, 4, Vec::new());
    db.rebalance(&elsewhere, options, &|_| {}).expect("there is room");
    check(&db, &state);
}
