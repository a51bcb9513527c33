//! One flipped bit, a missing file, a shorter one: verify finds it, and restore refuses and makes nothing.

use crate::refusal::refused;
use crate::{builder, files, restore};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Block, Checkpoint, Database, ErrorKind};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

fn commit_blocks(db: &Database, heights: std::ops::Range<u64>) {
    for height in heights {
        let mut batch = Batch::new();
        for n in 0..20_u64 {
            batch.put(format!("{height}/{n}"), vec![n as u8; 100]);
        }
        db.commit_block(Block { height, timestamp_ms: height }, batch).expect("a sound disk");
    }
}

/// A checkpoint that shares no file with a store: flips must not reach that.
fn make(dir: &Path) -> Checkpoint {
    let db = builder(&dir.join("store"), 3).open().expect("a new store");
    commit_blocks(&db, 1..60);
    let checkpoint = db.checkpoint("specimen").expect("a sound disk");
    db.close().expect("a sound disk");
    checkpoint
}

fn flip(path: &Path, offset: u64, bit: u32) {
    let file = fs::File::options().read(true).write(true).open(path).expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("within the file");
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset).expect("within the file");
}

fn is_found(checkpoint: &Checkpoint, target: &Path, what: &str) {
    match Database::verify_checkpoint(&checkpoint.path, &|_| {}) {
        Ok(report) => assert!(!report.is_sound(), "verify overlooks {what}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Damaged, "{what}: {error}"),
    }
    refused(restore(checkpoint, target), ErrorKind::Damaged, &["damaged"]);
    assert!(!target.exists(), "a refused restoration makes nothing: {what}");
}

#[test]
fn every_flipped_bit_is_found_and_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let checkpoint = make(dir.path());
    let target = dir.path().join("restored");
    let mut rng = SmallRng::seed_from_u64(1);
    let mut flips = 0;
    for path in files::walk(&checkpoint.path).into_iter().filter(|path| path.is_file()) {
        let bytes = fs::metadata(&path).expect("it was just listed").len();
        let last = bytes.checked_sub(1);
        let anywhere = (0..3).filter(|_| bytes > 0).map(|_| rng.random_range(0..bytes)).collect::<Vec<_>>();
        for offset in last.into_iter().chain([0].into_iter().filter(|_| bytes > 0)).chain(anywhere) {
            let bit = rng.random_range(0..8);
            flip(&path, offset, bit);
            is_found(&checkpoint, &target, &format!("bit {bit} of byte {offset} of {}", path.display()));
            flip(&path, offset, bit);
            flips += 1;
        }
    }
    assert!(flips > 50, "{flips} flips");
    restore(&checkpoint, &target).expect("it is as it was");
}

#[test]
fn missing_shorter_longer_and_swapped_files_are_found() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let checkpoint = make(dir.path());
    let target = dir.path().join("restored");
    let all: Vec<_> = files::walk(&checkpoint.path).into_iter().filter(|path| path.is_file()).collect();
    for path in all.iter().filter(|path| !path.ends_with("CHECKPOINT")) {
        let aside = dir.path().join("aside");
        let whole = fs::read(path).expect("it was just listed");
        // Written anew under the same name: tables are shared with the store.
        fs::rename(path, &aside).expect("it is there");
        is_found(&checkpoint, &target, &format!("that {} is missing", path.display()));
        for wrong in [[whole.as_slice(), b"!"].concat(), whole[..whole.len().saturating_sub(1)].to_vec()] {
            if wrong != whole {
                fs::write(path, wrong).expect("room on the disk");
                is_found(&checkpoint, &target, &format!("the length of {}", path.display()));
                fs::remove_file(path).expect("it is there");
            }
        }
        fs::rename(&aside, path).expect("it is there");
    }
    restore(&checkpoint, &target).expect("it is as it was");
}

/// A store goes on beside its checkpoint: it compacts and deletes, and the checkpoint keeps what it had. Damage to a table that both share is in both.
#[test]
fn a_checkpoint_outlives_its_store() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = dir.path().join("store");
    let db = builder(&store, 2).open().expect("a new store");
    commit_blocks(&db, 1..40);
    let version = db.version();
    let checkpoint = db.checkpoint("kept").expect("a sound disk");
    commit_blocks(&db, 40..200);
    db.rollback_to(10).expect("a retained block");
    db.flush().expect("room on the disk");
    db.close().expect("a sound disk");
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&checkpoint.path, &elsewhere).expect("it is there");
    fs::remove_dir_all(&store).expect("it is there");
    let checkpoint = Checkpoint { path: elsewhere, ..checkpoint };
    let target = dir.path().join("restored");
    let restored = restore(&checkpoint, &target).expect("a checkpoint can be moved");
    assert_eq!((restored.version, restored.block.map(|block| block.height)), (version, Some(39)));
    let db = builder(&target, 2).open().expect("a restored store");
    assert_eq!(db.prefix("").count(), 39 * 20);
    commit_blocks(&db, 40..50);
    assert!(db.verify(&|_| {}).expect("room on the disk").is_sound());
}

/// Parts of the restored store belong to it, and to no other: neither to the store of the checkpoint, nor to another restored from it.
#[test]
fn restored_stores_are_stores_of_their_own() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let checkpoint = make(dir.path());
    let places = ["store", "first", "second"].map(|name| dir.path().join(name));
    for place in &places[1..] {
        restore(&checkpoint, place).expect("a sound checkpoint");
    }
    for (of, foreign) in [(0, 1), (1, 0), (1, 2)] {
        for part in ["shards/001", "log", "blocks"] {
            let (mine, theirs) = (places[of].join(part), places[foreign].join(part));
            let aside = dir.path().join("aside");
            fs::rename(&mine, &aside).expect("it is there");
            fs::rename(&theirs, &mine).expect("it is there");
            let error = builder(&places[of], 3).open().expect_err("it belongs to another store");
            assert_eq!(error.kind(), ErrorKind::Mismatch, "{part}: {error}");
            fs::rename(&mine, &theirs).expect("it is there");
            fs::rename(&aside, &mine).expect("it is there");
        }
    }
    for place in &places {
        builder(place, 3).open().expect("everything is back in its place");
    }
}
