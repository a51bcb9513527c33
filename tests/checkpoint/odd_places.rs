//! Places that somebody may give by mistake: in a store, in a checkpoint, behind links, on a disk that takes no writes.

use crate::mount::Mount;
use crate::refusal::refused;
use crate::{builder, files, restore};
use shingle::{Batch, Block, Checkpoint, Database, ErrorKind, RestoreOptions};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A store of a few blocks, and a checkpoint of it.
fn make(store: &Path) -> (Database, Checkpoint) {
    let db = builder(store, 2).open().expect("a new store");
    for height in 1..30_u64 {
        let mut batch = Batch::new();
        batch.put(height.to_be_bytes(), vec![1; 2000]);
        db.commit_block(Block { height, timestamp_ms: height }, batch).expect("a sound disk");
    }
    let checkpoint = db.checkpoint("one").expect("a sound disk");
    (db, checkpoint)
}

#[test]
fn nothing_is_restored_into_a_store_or_a_checkpoint() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let (db, checkpoint) = make(&store);
    let elsewhere = dir.path().join("link");
    symlink(&store, &elsewhere).expect("a writable directory");
    let before = files::walk(&store);
    for target in ["checkpoints/two", "restored", "shards/007", "log/x/y", "checkpoints/one/x", "."] {
        for above in [&store, &elsewhere] {
            refused(restore(&checkpoint, &above.join(target)), ErrorKind::InvalidArgument, &["store"]);
        }
        let outside = dir.path().join("outside");
        for options in [
            RestoreOptions { shard_dirs: vec![store.join(target)], ..RestoreOptions::default() },
            RestoreOptions { log_dir: Some(elsewhere.join(target)), ..RestoreOptions::default() },
        ] {
            let outcome = Database::restore(&checkpoint.path, &outside, &options, &|_| {});
            refused(outcome, ErrorKind::InvalidArgument, &["store"]);
        }
        assert!(!outside.exists());
    }
    assert_eq!(files::walk(&store), before);
    db.close().expect("a sound disk");
}

/// What lies among the checkpoints and is none of ours is nobody's to remove: another store, for instance.
#[test]
fn what_somebody_put_among_the_checkpoints_stays() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let (db, _) = make(&store);
    let nested = store.join("checkpoints/nested");
    drop(builder(&nested, 2).open().expect("a new store"));
    fs::create_dir(store.join("checkpoints/notes")).expect("a writable directory");
    fs::write(store.join("checkpoints/notes/why"), "theirs").expect("a writable directory");
    fs::create_dir(store.join("checkpoints/empty")).expect("a writable directory");
    db.checkpoint("two").expect("a sound disk");
    db.close().expect("a sound disk");
    let db = builder(&store, 2).open().expect("a store");
    assert!(!store.join("checkpoints/empty").exists(), "as one that was cut short before its marker");
    assert!(store.join("checkpoints/notes/why").exists());
    drop(builder(&nested, 2).open().expect("it is whole"));
    assert_eq!(db.checkpoints().expect("a readable directory").len(), 2);
    refused(db.checkpoint("notes"), ErrorKind::InvalidArgument, &["notes"]);
    refused(db.delete_checkpoint("nested"), ErrorKind::InvalidArgument, &["no checkpoint"]);
}

#[test]
fn a_checkpoint_on_a_disk_that_takes_no_writes_is_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let (db, checkpoint) = make(&store);
    let version = db.version();
    db.close().expect("a sound disk");
    let bound = store.to_str().expect("a temporary directory's name");
    let Some(read_only) = Mount::new(&["--bind", "-o", "ro", bound]) else { return };
    let there = read_only.path().join("checkpoints/one");
    assert!(Database::verify_checkpoint(&there, &|_| {}).expect("it is there").is_sound());
    assert_eq!(Database::checkpoints_in(read_only.path()).expect("it is readable").len(), 1);
    let target = dir.path().join("restored");
    let restored = restore(&Checkpoint { path: there, ..checkpoint.clone() }, &target).expect("it is only read");
    assert_eq!((restored.version, restored.bytes_linked), (version, 0), "no link leads across a mount");
    assert_eq!(builder(&target, 2).open().expect("a restored store").version(), version);
    let said = ["Read-only"];
    refused(Database::delete_checkpoint_in(read_only.path(), "one"), ErrorKind::Io, &said);
    refused(restore(&checkpoint, &read_only.path().join("x")), ErrorKind::InvalidArgument, &["store"]);
    refused(Database::repair(read_only.path(), &|_| {}), ErrorKind::Io, &said);
}

/// The directory of checkpoints may be on another disk, behind a link.
#[test]
fn checkpoints_behind_a_link_on_another_disk() {
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=64m", "tmpfs"]) else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    drop(builder(&store, 2).open().expect("a new store"));
    symlink(disk.path(), store.join("checkpoints")).expect("a writable directory");
    let (db, checkpoint) = make(&store);
    assert!(disk.path().join("one/CHECKPOINT").exists());
    let restored = restore(&checkpoint, &dir.path().join("restored")).expect("a sound checkpoint");
    assert_eq!(restored.version, db.version());
    db.delete_checkpoint("one").expect("it is there");
    assert!(!disk.path().join("one").exists());
}
