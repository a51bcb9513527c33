//! A disk that is too full for a checkpoint, or for a restoration: refused, nothing is left of it, and the store goes on.

use crate::mount::Mount;
use crate::{builder, files, restore};
use shingle::{Batch, Block, Database, ErrorKind};
use std::fs;
use std::path::Path;

fn fill_but(disk: &Path, filler: &Path, kilobytes: u64) {
    let status = rustix::fs::statvfs(disk).expect("it is mounted");
    let bytes = (status.f_bavail * status.f_frsize).saturating_sub(kilobytes << 10);
    let file = fs::File::create(filler).expect("an empty file takes no room");
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes.max(1)).expect("there is as much room");
}

#[test]
fn a_checkpoint_that_does_not_fit_leaves_nothing() {
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=64m", "tmpfs"]) else { return };
    let (store, filler) = (disk.path().join("store"), disk.path().join("filler"));
    let db = builder(&store, 3).open().expect("there is room");
    for height in 1..100 {
        let mut batch = Batch::new();
        batch.put(format!("{height}"), vec![1; 3000]);
        db.commit_block(Block { height, timestamp_ms: height }, batch).expect("there is room");
    }
    db.flush().expect("there is room");
    let mut refused = 0;
    for kilobytes in [0, 8, 60, 200, 1000, 3000, 5000, 9000] {
        fill_but(disk.path(), &filler, kilobytes);
        match db.checkpoint("tight") {
            Ok(checkpoint) => {
                assert!(Database::verify_checkpoint(&checkpoint.path, &|_| {}).expect("it is there").is_sound());
                db.delete_checkpoint("tight").expect("it is there");
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{kilobytes} KiB are left: {error}");
                refused += 1;
            }
        }
        fs::remove_file(&filler).expect("it was just made");
        assert_eq!(db.checkpoints().expect("a readable directory"), []);
        let left = files::walk(&store.join("checkpoints"));
        assert!(left.is_empty(), "{kilobytes} KiB were left, and then {left:?}");
    }
    assert!((1..8).contains(&refused), "{refused} of 8 were refused");
    let checkpoint = db.checkpoint("roomy").expect("there is room");
    for kilobytes in [0, 60, 1000, 3000] {
        fill_but(disk.path(), &filler, kilobytes);
        let target = disk.path().join("restored");
        if let Err(error) = restore(&checkpoint, &target) {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{kilobytes} KiB are left: {error}");
        }
        fs::remove_file(&filler).expect("it was just made");
        if !target.join("MANIFEST").exists() {
            restore(&checkpoint, &target).expect("there is room, and what was left is in nobody's way");
        }
        fs::remove_dir_all(&target).expect("it was just made");
    }
    let mut batch = Batch::new();
    batch.put("the store", "goes on");
    db.commit(batch).expect("there is room");
    assert!(db.verify(&|_| {}).expect("there is room").is_sound());
}
