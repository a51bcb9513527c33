//! Readers beside rollbacks: every answer is that of one state that was, or says that it was rolled back.

use shingle::{At, Batch, Block, Database, Durability, ErrorKind, Result, Snapshot};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const KEYS: u8 = 30;

/// Every key of a block holds the block's own number.
fn commit(db: &Database, number: u64) -> Result<()> {
    let height = db.head().map_or(0, |head| head.height) + 1;
    let mut batch = Batch::new();
    for key in 0..KEYS {
        batch.put([b'k', key], number.to_be_bytes());
    }
    db.commit_block(Block { height, timestamp_ms: height }, batch).map(drop)
}

/// What a reader has found: nothing, if it was told that its state is gone.
fn unless_rolled_back<T>(outcome: Result<T>) -> Option<T> {
    match outcome {
        Ok(found) => Some(found),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::RolledBack, "{error}");
            None
        }
    }
}

fn scan(snapshot: &Snapshot) -> Option<Vec<Vec<u8>>> {
    unless_rolled_back(snapshot.prefix("k").map(|row| row.map(|(_, value)| value)).collect())
}

fn assert_whole(values: &[Vec<u8>]) {
    assert_eq!(values.len(), usize::from(KEYS));
    assert!(values.iter().all(|value| *value == values[0]), "parts of several blocks: {values:?}");
}

/// The first block, to which nobody rolls back further.
const FIRST: u64 = 1;

const READERS: [fn(&Database); 5] = [
    |db| {
        let snapshot = db.snapshot();
        if let Some(values) = scan(&snapshot) {
            assert_whole(&values);
            if let Some(again) = scan(&snapshot) {
                assert_eq!(again, values, "a snapshot has changed");
            }
        }
    },
    |db| {
        let keys: Vec<_> = (0..KEYS).map(|key| [b'k', key]).collect();
        if let Some(values) = unless_rolled_back(db.multi_get(&keys)) {
            let values: Vec<_> = values.into_iter().map(|value| value.expect("every block has it")).collect();
            assert_whole(&values);
        }
    },
    |db| {
        let value = db.get([b'k', 7]).expect("the newest state is never gone");
        assert!(value.is_some(), "every block has it");
    },
    |db| {
        let Some(feed) = unless_rolled_back(db.changes_since(FIRST)) else { return };
        let Some(mut changes) = unless_rolled_back(feed.collect::<Result<Vec<_>>>()) else { return };
        changes.retain(|change| change.key.starts_with(b"k"));
        for block in changes.chunk_by(|a, b| a.version == b.version) {
            let values: Vec<_> = block.iter().map(|change| change.value.clone().expect("a put")).collect();
            assert_whole(&values);
        }
    },
    |db| {
        let outcome = db.transact(|txn| {
            let values: Vec<_> = txn.prefix("k").map(|row| Ok(row?.1)).collect::<Result<_>>()?;
            assert_whole(&values);
            txn.put("seen", &values[0])
        });
        if let Err(error) = outcome {
            assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::RolledBack), "{error}");
        }
    },
];

#[test]
fn every_answer_is_of_one_state_or_says_that_it_is_gone() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    let db = Database::builder(path).shards(4).durability(Durability::Buffered).open()?;
    commit(&db, 0)?;
    assert_eq!(db.version(), FIRST);
    let (done, read) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let threads: Vec<_> = READERS
            .into_iter()
            .map(|reader| {
                let (db, done, read) = (&db, &done, &read);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        reader(db);
                        read.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let written = (1..120_u64).try_for_each(|number| -> Result<()> {
            commit(&db, number)?;
            if number % 7 == 0 {
                db.flush()?;
            }
            if number % 5 == 0 {
                let blocks = db.blocks(..);
                let to = blocks[blocks.len() - 1 - (number as usize / 5) % blocks.len().min(4)];
                db.rollback_to(to.height)?;
            }
            Ok(())
        });
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("every answer was right");
        }
        written
    })?;
    assert!(read.into_inner() > 100, "the readers hardly read");
    Ok(())
}

/// A block was in the index a moment before its version was visible: whoever asked for the newest block and read at its version then was told that
/// there is no such version yet.
#[test]
fn a_block_that_is_found_can_be_read_at_its_version() -> Result<()> {
    const BLOCKS: u64 = 20_000;
    let db = Database::in_memory()?;
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            while db.head().is_none_or(|head| head.height < BLOCKS) {
                let found = db.head().into_iter().chain(db.blocks(..).last().copied());
                for block in found {
                    let snapshot = db.snapshot_at(At::Version(block.version)).expect("the block is there");
                    assert_eq!(snapshot.version(), block.version);
                }
            }
        });
        for height in 1..=BLOCKS {
            db.seal_block(Block { height, timestamp_ms: height })?;
        }
        reading.join().expect("every block could be read");
        Ok(())
    })
}
