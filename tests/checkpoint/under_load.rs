//! Commits, flushes and rollbacks go on while checkpoints are made; each restores to exactly its version.

use crate::history::History;
use crate::{builder, restore};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use shingle::{Checkpoint, Database};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Makes `count` checkpoints of a store that is written to; returns what was written.
fn make_under_load(db: &Database, count: usize, seed: u64) -> (History, Vec<Checkpoint>) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut history, mut rng) = (History::default(), SmallRng::seed_from_u64(seed));
            while !stop.load(Ordering::Relaxed) {
                history.go_on(db, &mut rng, true);
            }
            history
        });
        let flusher = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                db.flush().expect("room on the disk");
            }
        });
        let made = (0..count)
            .map(|number| {
                let before = db.version();
                while db.version() < before + 20 {
                    thread::yield_now();
                }
                let acknowledged = db.version();
                let checkpoint = db.checkpoint(&format!("number-{number}")).expect("a sound disk");
                // A rollback may take the version back while it is looked at, and not the checkpoint.
                assert!(checkpoint.version + 20_000 > acknowledged, "{checkpoint:?} is from before the call");
                checkpoint
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        flusher.join().expect("no panic in it");
        (writer.join().expect("no panic in it"), made)
    })
}

fn check(shards: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = builder(&dir.path().join("store"), shards).open().expect("a new store");
    let (history, made) = make_under_load(&db, 5, shards as u64);
    assert_eq!(db.checkpoints().expect("a readable directory"), made, "listed as they were made, oldest first");
    for (number, checkpoint) in made.iter().enumerate() {
        let target = dir.path().join(format!("restored {number}"));
        let restored = restore(checkpoint, &target).expect("a sound checkpoint");
        assert_eq!((restored.version, restored.block), (checkpoint.version, checkpoint.block));
        assert!(restored.bytes_linked > 0, "tables are shared with the checkpoint");
        history.check(&builder(&target, shards).open().expect("a restored store"), checkpoint.version);
    }
    // A restored store shares files with checkpoint and store, and goes its own way.
    let target = dir.path().join("restored 0");
    let restored = builder(&target, shards).open().expect("a restored store");
    let mut own = History::default();
    for seed in 0..40 {
        own.go_on(&restored, &mut SmallRng::seed_from_u64(seed), false);
    }
    restored.flush().expect("room on the disk");
    history.check(&db, history.version());
    db.close().expect("a sound disk");
    for checkpoint in &made {
        let report = Database::verify_checkpoint(&checkpoint.path, &|_| {}).expect("it is there");
        assert!(report.is_sound(), "{report:?}");
    }
}

#[test]
fn one_shard_restores_exactly() {
    check(1);
}

#[test]
fn four_shards_restore_exactly() {
    check(4);
}

#[test]
fn sixteen_shards_restore_exactly() {
    check(16);
}
