//! The end of a store in the midst of a checkpoint: who made it learns that, and nothing is left of it.

use crate::refusal::refused;
use crate::{builder, files, restore};
use shingle::{Batch, Block, Database, ErrorKind};
use std::sync::mpsc;
use std::thread;

fn commit_blocks(db: &Database, heights: std::ops::Range<u64>) {
    for height in heights {
        let mut batch = Batch::new();
        for key in 0..20_u64 {
            batch.put(key.to_be_bytes(), vec![height as u8; 500]);
        }
        db.commit_block(Block { height, timestamp_ms: height }, batch).expect("a sound disk");
    }
}

#[test]
fn a_checkpoint_that_the_end_of_the_store_meets_is_given_up_at_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (store, disk) = (dir.path().join("store"), dir.path().join("disk"));
    let open = || builder(&store, 3).shard_dirs([disk.clone()]).open().expect("a store");
    let db = open();
    commit_blocks(&db, 1..60);
    db.checkpoint("whole").expect("a sound disk");
    commit_blocks(&db, 60..120);
    let before = files::walk(&store.join("checkpoints"));
    let (hashing, begun) = mpsc::channel();
    thread::scope(|scope| {
        let making = scope.spawn(|| {
            db.checkpoint_with("cut", &|_| {
                hashing.send(()).ok();
                while db.condition().writable {
                    thread::yield_now();
                }
            })
        });
        // Those that wait for their turn learn it as well.
        let waiting = scope.spawn(|| db.checkpoint("later"));
        begun.recv().expect("a file is hashed");
        assert!(store.join("checkpoints/cut").exists() || store.join("checkpoints/later").exists());
        db.clone().close().expect("a sound disk");
        refused(making.join().expect("no panic in it"), ErrorKind::Closed, &["closed"]);
        match waiting.join().expect("no panic in it") {
            Ok(checkpoint) => db.delete_checkpoint(&checkpoint.name).expect("it was made before the other began"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error}"),
        }
    });
    assert_eq!(files::walk(&store.join("checkpoints")), before, "nothing is left of it before the next opening");
    assert!(!files::walk(&disk).iter().any(|path| path.ends_with("cut") || path.ends_with("later")));
    let stats = db.stats().checkpoints;
    assert_eq!((stats.failed, stats.last_failure), (0, None), "it has not failed");
    refused(db.checkpoint("after"), ErrorKind::Closed, &["closed"]);
    drop(db);
    let db = open();
    let checkpoint = db.checkpoint("cut").expect("the name is free");
    restore(&checkpoint, &dir.path().join("restored")).expect("a sound checkpoint");
}
