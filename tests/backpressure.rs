//! Commits that find no room in memory wait until a flush has made some, and for nothing else.

use shingle::{Batch, Config, Database, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Long enough for any disk; a commit that waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(240);

/// Waits for threads that commit, and fails if they hang. They are joined, handles and all: RocksDB may not be closed while the process ends.
fn in_time(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    let (done, joined) = channel();
    let waiting = thread::spawn({
        let threads: Vec<_> = threads.into_iter().collect();
        move || {
            let outcome = threads.into_iter().try_for_each(JoinHandle::join);
            done.send(()).expect("the test waits");
            outcome
        }
    });
    joined.recv_timeout(PATIENCE).expect("a commit waits for memory that nobody frees");
    waiting.join().and_then(|outcome| outcome).expect("see the panic above");
}

/// A budget of 128 KiB, and neither a clock nor blocks that would flush.
fn small(dir: &std::path::Path) -> Result<Database> {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 64 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.flush.interval_secs = 0;
    config.flush.blocks_per_flush = 0;
    Database::builder(dir.join("store")).shards(16).config(config).open()
}

/// The active memtables hold too little to be flushed for their own sake, and too much for the batch that comes.
#[test]
fn a_batch_that_does_not_fit_beside_what_is_there_gets_its_room() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = small(dir.path()).expect("an empty directory takes a store");
    in_time([thread::spawn(move || {
        for round in 0..10_u8 {
            for bytes in [40_000, 100_000, 1000, 120_000, 300_000] {
                let mut batch = Batch::new();
                batch.put([round], vec![round; bytes]);
                db.commit(batch).expect("a sound batch");
            }
        }
        assert_eq!(db.get([9]).expect("a sound store").map(|value| value.len()), Some(300_000));
    })]);
}

/// Several threads at once, each with batches of all sizes up to more than the whole budget.
#[test]
fn many_threads_get_their_room_in_turn() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = small(dir.path()).expect("an empty directory takes a store");
    in_time((0..4_u8).map(|thread| {
        let db = db.clone();
        thread::spawn(move || {
            for round in 0..25_usize {
                let mut batch = Batch::new();
                batch.put([thread, 0], vec![thread; (round * 7919 + usize::from(thread) * 1013) % 150_000]);
                batch.put([thread, 1], round.to_string());
                db.commit(batch).expect("a sound batch");
            }
        })
    }));
    for thread in 0..4_u8 {
        assert_eq!(db.get([thread, 1]).expect("a sound store"), Some(b"24".to_vec()));
    }
}

/// A batch above the budget needs memory for itself alone: small commits that keep coming must not keep it out.
#[test]
fn a_large_batch_is_not_passed_by_small_ones_for_ever() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = small(dir.path()).expect("an empty directory takes a store");
    let stop = Arc::new(AtomicBool::new(false));
    let small: Vec<_> = (0..4_u8)
        .map(|thread| {
            let (db, stop) = (db.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut batch = Batch::new();
                    batch.put([thread], vec![thread; 5000]);
                    drop(db.submit(batch).expect("a sound batch"));
                }
            })
        })
        .collect();
    in_time([thread::spawn(move || {
        for round in 0..8 {
            let mut batch = Batch::new();
            batch.put(b"large", vec![round; 200_000]);
            db.commit(batch).expect("a sound batch");
        }
    })]);
    stop.store(true, Ordering::Relaxed);
    for thread in small {
        thread.join().expect("it only commits");
    }
}
