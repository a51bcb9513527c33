//! Who reads a checkpoint keeps it: it is deleted afterwards, by hand or because there are too many.

use crate::refusal::refused;
use crate::{builder, restore};
use shingle::{Batch, Block, Checkpoint, Database, ErrorKind, RestoreOptions};
use std::fs;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn commit_blocks(db: &Database, heights: std::ops::RangeInclusive<u64>) {
    for height in heights {
        let mut batch = Batch::new();
        batch.put(height.to_be_bytes(), vec![1; 2000]);
        db.commit_block(Block { height, timestamp_ms: height }, batch).expect("a sound disk");
    }
}

fn open_automatic(store: &Path) -> Database {
    builder(store, 2).with_snapshot_interval(5_u64).with_keep_recent(1_u64).open().expect("a new store")
}

fn wait_for(db: &Database, made: u64) {
    let patience = Instant::now() + Duration::from_secs(60);
    while db.stats().checkpoints.made < made {
        assert!(Instant::now() < patience, "{:?}", db.stats().checkpoints);
        thread::sleep(Duration::from_millis(2));
    }
}

fn automatic(store: &Path) -> Vec<Checkpoint> {
    Database::checkpoints_in(store).expect("a readable directory")
}

#[test]
fn what_is_verified_or_restored_is_not_deleted_meanwhile() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let db = builder(&store, 2).open().expect("a new store");
    commit_blocks(&db, 1..=20);
    let checkpoint = db.checkpoint("one").expect("a sound disk");
    let tried = AtomicU64::new(0);
    let delete = |_| {
        refused(db.delete_checkpoint("one"), ErrorKind::Locked, &["one", "verified"]);
        tried.fetch_add(1, Ordering::Relaxed);
    };
    assert!(Database::verify_checkpoint(&checkpoint.path, &delete).expect("it is there").is_sound());
    let verified = tried.load(Ordering::Relaxed);
    let target = dir.path().join("restored");
    Database::restore(&checkpoint.path, &target, &RestoreOptions::default(), &delete).expect("it is sound");
    assert!(verified > 0 && tried.load(Ordering::Relaxed) > verified, "nobody tried to delete it");
    // Two that read it are in nobody's way.
    let twice = |_| drop(Database::verify_checkpoint(&checkpoint.path, &|_| {}).expect("it is there"));
    assert!(Database::verify_checkpoint(&checkpoint.path, &twice).expect("it is there").is_sound());
    db.delete_checkpoint("one").expect("nobody reads it any more");
    refused(restore(&checkpoint, &dir.path().join("late")), ErrorKind::InvalidArgument, &["no checkpoint"]);
}

/// Of those that are too many, one that is read stays until there are too many again.
#[test]
fn retention_comes_back_for_what_is_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let db = open_automatic(&store);
    commit_blocks(&db, 1..=5);
    wait_for(&db, 1);
    let first = automatic(&store).pop().expect("it was just made");
    let meanwhile = Once::new();
    let report = Database::verify_checkpoint(&first.path, &|_| {
        meanwhile.call_once(|| {
            // Two: what the first one finds too many is deleted before the second one is made.
            commit_blocks(&db, 6..=10);
            wait_for(&db, 2);
            commit_blocks(&db, 11..=15);
            wait_for(&db, 3);
        });
    });
    assert!(report.expect("it is there").is_sound());
    assert_eq!(db.stats().checkpoints.last_failure, None);
    commit_blocks(&db, 16..=20);
    wait_for(&db, 4);
    // The closing waits for what is being deleted.
    drop(db);
    let left = automatic(&store);
    assert!(left.len() == 1 && left[0].block.is_some_and(|block| block.height >= 20), "{left:?}");
}

/// One that cannot be deleted is said to be, and keeps none of the others.
#[test]
fn retention_goes_on_after_what_cannot_be_deleted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let db = open_automatic(&store);
    commit_blocks(&db, 1..=5);
    wait_for(&db, 1);
    let first = automatic(&store).pop().expect("it was just made");
    // Where the marker goes that says what to remove.
    fs::create_dir(first.path.join("CREATING")).expect("a writable directory");
    for round in 2..=4 {
        commit_blocks(&db, 5 * round - 4..=5 * round);
        wait_for(&db, round);
    }
    let patience = Instant::now() + Duration::from_secs(60);
    while db.stats().checkpoints.last_failure.is_none() {
        assert!(Instant::now() < patience, "nothing is said of it");
        thread::sleep(Duration::from_millis(2));
    }
    drop(db);
    let names: Vec<_> = automatic(&store).into_iter().map(|checkpoint| checkpoint.name).collect();
    assert!(names.len() == 2 && names[0] == first.name, "{names:?}");
}
