//! Names, collisions, several at once, and those that the number of blocks makes.

use crate::refusal::refused;
use crate::{builder, files, restore};
use shingle::{Batch, Block, Database, ErrorKind, RestoreOptions};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

fn commit_block(db: &Database, height: u64) {
    let mut batch = Batch::new();
    batch.put(height.to_be_bytes(), "value");
    db.commit_block(Block { height, timestamp_ms: height }, batch).expect("a sound disk");
}

#[test]
fn a_name_is_used_once_and_stays_within_its_directory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let db = builder(&store, 2).open().expect("a new store");
    for name in ["", "..", "a/b", "/tmp/x", "with space", &"x".repeat(101)] {
        refused(db.checkpoint(name), ErrorKind::InvalidArgument, &["name"]);
        assert!(Database::checkpoint_path(&store, name).is_err());
    }
    assert!(!store.join("checkpoints").exists(), "a refusal makes nothing");
    db.checkpoint("first").expect("a sound disk");
    refused(db.checkpoint("first"), ErrorKind::InvalidArgument, &["first", "already"]);
    refused(db.delete_checkpoint("second"), ErrorKind::InvalidArgument, &["second"]);
    refused(Database::delete_checkpoint_in(&store, "first"), ErrorKind::Locked, &["open"]);
    db.delete_checkpoint("first").expect("it is there");
    assert_eq!(db.checkpoints().expect("a readable directory"), []);
    db.checkpoint("first").expect("the name is free again");
    drop(db);
    Database::delete_checkpoint_in(&store, "first").expect("nobody has it open");
    assert_eq!(Database::checkpoints_in(&store).expect("a readable directory"), []);
    let memory = Database::in_memory().expect("room in memory");
    refused(memory.checkpoint("first"), ErrorKind::InvalidArgument, &["memory"]);
}

#[test]
fn of_several_at_once_each_is_whole_and_a_name_goes_to_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = builder(&dir.path().join("store"), 4).open().expect("a new store");
    (1..100).for_each(|height| commit_block(&db, height));
    let outcomes: Vec<_> = thread::scope(|scope| {
        let tries: Vec<_> = ["a", "b", "same", "same", "same"]
            .map(|name| {
                let db = &db;
                scope.spawn(move || db.checkpoint(name))
            })
            .into_iter()
            .collect();
        tries.into_iter().map(|attempt| attempt.join().expect("no panic in it")).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3, "{outcomes:?}");
    let listed = db.checkpoints().expect("a readable directory");
    assert_eq!(listed.len(), 3);
    for checkpoint in listed {
        restore(&checkpoint, &dir.path().join(&checkpoint.name)).expect("a sound checkpoint");
    }
}

#[test]
fn a_target_that_holds_anything_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = builder(&dir.path().join("store"), 2).open().expect("a new store");
    commit_block(&db, 1);
    let checkpoint = db.checkpoint("one").expect("a sound disk");
    let (theirs, file) = (dir.path().join("theirs"), dir.path().join("theirs/file"));
    fs::create_dir(&theirs).expect("a writable directory");
    fs::write(&file, "theirs").expect("a writable directory");
    let before = files::contents(&theirs);
    refused(restore(&checkpoint, &theirs), ErrorKind::InvalidArgument, &["theirs", "file"]);
    assert_eq!(files::contents(&theirs), before);
    refused(restore(&checkpoint, &dir.path().join("store")), ErrorKind::InvalidArgument, &["store"]);
    let elsewhere = RestoreOptions { shard_dirs: vec![dir.path().join("disk")], ..RestoreOptions::default() };
    fs::create_dir_all(dir.path().join("disk/001")).expect("a writable directory");
    fs::write(dir.path().join("disk/001/file"), "theirs").expect("a writable directory");
    let target = dir.path().join("restored");
    let outcome = Database::restore(&checkpoint.path, &target, &elsewhere, &|_| {});
    refused(outcome, ErrorKind::InvalidArgument, &["disk/001", "not empty"]);
    assert!(!target.exists());
    let nothing = Database::restore(dir.path().join("nothing"), &target, &RestoreOptions::default(), &|_| {});
    refused(nothing, ErrorKind::InvalidArgument, &["no checkpoint"]);
    fs::create_dir(&target).expect("a writable directory");
    restore(&checkpoint, &target).expect("an empty directory is as good as none");
}

/// Until the figures say so; an error in the figures ends it.
fn wait_for(db: &Database, made: u64) {
    let patience = Instant::now() + Duration::from_secs(60);
    while db.stats().checkpoints.made < made {
        assert_eq!(db.stats().checkpoints.last_failure, None);
        assert!(Instant::now() < patience, "{:?}", db.stats().checkpoints);
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn checkpoints_are_made_by_the_number_of_blocks_and_the_newest_are_kept() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let open = || builder(&store, 2).with_snapshot_interval(10_u64).with_keep_recent(3_u64).open().expect("a store");
    let db = open();
    db.checkpoint("by-hand").expect("a sound disk");
    let mut height = 0;
    for round in 1..=5 {
        for _ in 0..10 {
            height += 1;
            commit_block(&db, height);
        }
        wait_for(&db, 1 + round);
    }
    // Those that are too many go after the newest is made, and the closing waits for it.
    (height + 1..height + 8).for_each(|height| commit_block(&db, height));
    drop(db);
    let listed = Database::checkpoints_in(&store).expect("a readable directory");
    let heights: Vec<_> = listed.iter().map(|c| (c.automatic, c.block.map_or(0, |block| block.height))).collect();
    assert_eq!(heights.iter().filter(|(automatic, _)| *automatic).count(), 3, "{heights:?}");
    assert_eq!(heights[0], (false, 0), "what was made by hand stays");
    assert!(heights[1..].is_sorted() && heights[3].1 >= 50, "{heights:?}");
    // Seven blocks were sealed since; three more are due after the opening.
    let db = open();
    (height + 8..height + 11).for_each(|height| commit_block(&db, height));
    wait_for(&db, 1);
    drop(db);
    let newest = Database::checkpoints_in(&store).expect("a readable directory").pop().expect("there are four");
    restore(&newest, &dir.path().join("restored")).expect("a sound checkpoint");
}

/// What the number of blocks makes is named by what it holds, and told apart by what it is, whatever names others have.
#[test]
fn names_like_those_that_the_store_gives_neither_stop_it_nor_go() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (store, disk) = (dir.path().join("store"), dir.path().join("disk"));
    let open = builder(&store, 2).shard_dirs([disk.clone()]).with_snapshot_interval(5_u64).with_keep_recent(2_u64);
    let db = open.open().expect("a new store");
    // Each block has the version of its height here: the name that the store gives next is known.
    for name in ["height-0-version-0", "height-5-version-5", "height-5-version-5-2", "height-99-version-99"] {
        db.checkpoint(name).expect("a sound disk");
    }
    for round in 1..=4 {
        (5 * round - 4..=5 * round).for_each(|height| commit_block(&db, height));
        wait_for(&db, 4 + round);
    }
    // Those that are too many go after the newest is made, and the closing waits for it.
    drop(db);
    let listed = Database::checkpoints_in(&store).expect("a readable directory");
    let names = |automatic| listed.iter().filter(move |one| one.automatic == automatic).map(|one| one.name.as_str());
    assert_eq!(names(true).collect::<Vec<_>>(), ["height-15-version-15", "height-20-version-20"]);
    assert_eq!(names(false).count(), 4, "what was made by hand stays: {listed:?}");
    for checkpoint in &listed {
        assert_eq!(checkpoint.path.file_name(), Some(checkpoint.name.as_ref()));
        let (height, version) = (checkpoint.block.map_or(0, |block| block.height), checkpoint.version);
        assert!(!checkpoint.automatic || checkpoint.name == format!("height-{height}-version-{version}"));
    }
}

/// Whoever copies or renames a checkpoint by hand finds it by its new name, and deleting the copy leaves the other one whole.
#[test]
fn a_copy_is_another_checkpoint() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (store, disk) = (dir.path().join("store"), dir.path().join("disk"));
    let db = builder(&store, 2).shard_dirs([disk.clone()]).open().expect("a new store");
    commit_block(&db, 1);
    let first = db.checkpoint("first").expect("a sound disk");
    let copy = first.path.with_file_name("copy");
    let copied = std::process::Command::new("cp").arg("-r").args([&first.path, &copy]).status();
    assert!(copied.expect("every system has it").success());
    let names = || db.checkpoints().expect("a readable directory").into_iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(names(), ["copy", "first"]);
    db.delete_checkpoint("copy").expect("it is there");
    assert_eq!(names(), ["first"]);
    assert!(Database::verify_checkpoint(&first.path, &|_| {}).expect("it is there").is_sound());
    fs::rename(&first.path, &copy).expect("one file system");
    assert_eq!(names(), ["copy"]);
    db.delete_checkpoint("copy").expect("it is there");
    assert!(!files::walk(&disk).iter().any(|path| path.ends_with("first")), "its parts are gone, too");
    assert_eq!(names(), Vec::<String>::new());
}

/// What was cut short is no checkpoint, and goes when the store is opened; what somebody else put there stays.
#[test]
fn unfinished_ones_are_not_listed_and_go_with_the_next_opening() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let db = builder(&store, 2).open().expect("a new store");
    commit_block(&db, 1);
    let whole = db.checkpoint("whole").expect("a sound disk");
    let cut = db.checkpoint("cut").expect("a sound disk");
    drop(db);
    fs::remove_file(cut.path.join("CHECKPOINT")).expect("it is there");
    fs::create_dir_all(store.join("checkpoints/not a checkpoint")).expect("a writable directory");
    fs::write(store.join("checkpoints/file"), "theirs").expect("a writable directory");
    let listed = Database::checkpoints_in(&store).expect("a readable directory");
    assert_eq!(listed.iter().map(|one| &one.path).collect::<Vec<_>>(), [&whole.path]);
    let db = builder(&store, 2).open().expect("a store");
    assert!(!cut.path.exists() && whole.path.exists());
    assert!(store.join("checkpoints/file").exists() && store.join("checkpoints/not a checkpoint").exists());
    db.checkpoint("cut").expect("the name is free again");
}
