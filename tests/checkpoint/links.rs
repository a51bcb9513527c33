//! Symbolic links where a checkpoint has directories and files, and copies of what belongs to others: nothing that lies elsewhere is taken for a part of
//! the checkpoint, or removed with it.

use crate::refusal::refused;
use crate::{builder, restore};
use shingle::{Batch, Block, Checkpoint, Database, ErrorKind};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn commit_blocks(db: &Database) {
    for height in 1..30_u64 {
        let mut batch = Batch::new();
        batch.put(height.to_be_bytes(), vec![1; 2000]);
        db.commit_block(Block { height, timestamp_ms: height }, batch).expect("a sound disk");
    }
}

fn make(store: &Path) -> (Database, Checkpoint) {
    let db = builder(store, 2).open().expect("a new store");
    commit_blocks(&db);
    let checkpoint = db.checkpoint("one").expect("a sound disk");
    (db, checkpoint)
}

fn is_sound(checkpoint: &Path) -> bool {
    Database::verify_checkpoint(checkpoint, &|_| {}).expect("it is there").is_sound()
}

/// Moved to another place, with a link in its stead: it is read there, and not deleted from here.
#[test]
fn what_lies_behind_a_link_is_not_deleted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (store, elsewhere) = (dir.path().join("store"), dir.path().join("elsewhere"));
    let (db, checkpoint) = make(&store);
    fs::rename(&checkpoint.path, &elsewhere).expect("one file system");
    symlink(&elsewhere, &checkpoint.path).expect("a writable directory");
    assert_eq!(db.checkpoints().expect("a readable directory").len(), 1);
    refused(db.delete_checkpoint("one"), ErrorKind::InvalidArgument, &["one", "symbolic link"]);
    assert!(is_sound(&checkpoint.path));
    restore(&checkpoint, &dir.path().join("restored")).expect("a sound checkpoint");
    // What looks as if it was cut short is none of ours there.
    let theirs = dir.path().join("theirs");
    fs::create_dir_all(theirs.join("shards/000")).expect("a writable directory");
    symlink(&theirs, store.join("checkpoints/theirs")).expect("a writable directory");
    // A name that leads nowhere is taken, too.
    symlink(dir.path().join("nowhere"), store.join("checkpoints/two")).expect("a writable directory");
    refused(db.checkpoint("two"), ErrorKind::InvalidArgument, &["two"]);
    db.close().expect("a sound disk");
    refused(Database::delete_checkpoint_in(&store, "one"), ErrorKind::InvalidArgument, &["symbolic link"]);
    drop(builder(&store, 2).open().expect("a store"));
    assert!(
        is_sound(&elsewhere) && theirs.join("shards/000").is_dir() && store.join("checkpoints/theirs").is_symlink()
    );
    assert!(store.join("checkpoints/two").is_symlink());
}

fn table(checkpoint: &Path) -> PathBuf {
    let entries = fs::read_dir(checkpoint.join("shards/000")).expect("a shard's part");
    let mut paths = entries.map(|entry| entry.expect("a readable directory").path());
    paths.find(|path| path.extension().is_some_and(|kind| kind == "sst")).expect("everything is flushed")
}

/// The store would share the link, and lose what it leads to with somebody else's file.
#[test]
fn a_file_behind_a_link_is_damage() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (db, checkpoint) = make(&dir.path().join("store"));
    let (table, moved) = (table(&checkpoint.path), dir.path().join("moved"));
    fs::rename(&table, &moved).expect("one file system");
    symlink(&moved, &table).expect("a writable directory");
    let report = Database::verify_checkpoint(&checkpoint.path, &|_| {}).expect("it is there");
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert!(report.damage[0].path == table && report.damage[0].what.contains("symbolic link"), "{report:?}");
    let target = dir.path().join("restored");
    let name = table.to_str().expect("a temporary directory's name");
    refused(restore(&checkpoint, &target), ErrorKind::Damaged, &[name, "symbolic link"]);
    assert!(!target.exists());
    // A pipe without a writer would be read for ever.
    fs::remove_file(&table).expect("it is there");
    let made = Command::new("mkfifo").arg(&table).status();
    assert!(made.expect("every system has it").success());
    let report = Database::verify_checkpoint(&checkpoint.path, &|_| {}).expect("it is there");
    assert_eq!(report.damage.len(), 1, "{report:?}");
    drop(db);
}

/// Whoever brings a checkpoint of another store by hand, and deletes it again, has not deleted the other store's.
#[test]
fn a_copy_of_another_store_s_leaves_that_whole() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (disk, theirs, ours) = (dir.path().join("disk"), dir.path().join("theirs"), dir.path().join("ours"));
    let other = builder(&theirs, 2).shard_dirs([disk]).open().expect("a new store");
    commit_blocks(&other);
    let original = other.checkpoint("one").expect("a sound disk");
    let mut db = Some(builder(&ours, 2).open().expect("a new store"));
    fs::create_dir(ours.join("checkpoints")).expect("a writable directory");
    for how in ["open", "closed"] {
        let copied = Command::new("cp").arg("-r").arg(&original.path).arg(ours.join("checkpoints")).status();
        assert!(copied.expect("every system has it").success());
        match db.take() {
            Some(db) => db.delete_checkpoint("one").expect("it is there"),
            None => Database::delete_checkpoint_in(&ours, "one").expect("it is there"),
        }
        assert!(!ours.join("checkpoints/one").exists());
        assert!(is_sound(&original.path), "{how}: the other store's checkpoint is gone, too");
    }
}
