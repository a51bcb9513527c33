//! A store could not be opened any more after a rollback to a block that lies before the log's first segment: the rollback lowered the shards' marks to the
//! block, and recovery then looked for log segments that had been released when what it took back was flushed.

use shingle::{At, Batch, Block, Database};
use std::path::Path;

fn commit_block(db: &Database, height: u64) -> shingle::Result<()> {
    let mut batch = Batch::new();
    for key in 0..50_u64 {
        batch.put(format!("key {key}"), format!("value of block {height}"));
    }
    db.commit_block(Block { height, timestamp_ms: height }, batch).map(drop)
}

fn assert_state_is_of_block(db: &Database, height: u64) -> shingle::Result<()> {
    let expected = format!("value of block {height}");
    for key in 0..50_u64 {
        assert_eq!(db.get(format!("key {key}"))?.as_deref(), Some(expected.as_bytes()));
    }
    Ok(())
}

/// Every opening begins a new log segment, and the flush releases all before it.
fn store_whose_log_begins_after_block_1(dir: &Path) -> shingle::Result<Database> {
    for height in 1..=4 {
        let db = Database::builder(dir).shards(3).open()?;
        commit_block(&db, height)?;
        db.close()?;
    }
    let db = Database::builder(dir).open()?;
    db.flush()?;
    db.close()?;
    Database::builder(dir).open()
}

#[test]
fn a_store_opens_after_a_rollback_below_its_log() -> shingle::Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let db = store_whose_log_begins_after_block_1(dir.path())?;
    db.rollback_to(1)?;
    assert_state_is_of_block(&db, 1)?;
    db.close()?;

    let db = Database::builder(dir.path()).open()?;
    assert_state_is_of_block(&db, 1)?;
    assert_eq!(db.head().map(|block| block.height), Some(1));
    commit_block(&db, 2)?;
    db.flush()?;
    db.close()?;

    let db = Database::builder(dir.path()).open()?;
    assert_state_is_of_block(&db, 2)?;
    let then = db.snapshot_at(At::Height(1))?;
    assert_eq!(then.get("key 0")?.as_deref(), Some(b"value of block 1".as_slice()));
    assert!(db.verify(&|_| ())?.is_sound());
    db.close()
}

/// What was not flushed when the rollback came must still be replayed, although the marks do not go back.
#[test]
fn what_is_kept_and_not_flushed_survives_a_rollback() -> shingle::Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let db = Database::builder(dir.path()).shards(3).open()?;
    commit_block(&db, 1)?;
    db.flush()?;
    commit_block(&db, 2)?;
    commit_block(&db, 3)?;
    db.rollback_to(2)?;
    db.close()?;

    let db = Database::builder(dir.path()).open()?;
    assert_state_is_of_block(&db, 2)?;
    db.close()
}
