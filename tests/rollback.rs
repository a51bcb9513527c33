//! Rollbacks behind what is flushed, and behind what the log still holds.

use shingle::{Batch, Block, Config, Database, ErrorKind, Result};
use std::path::Path;

fn open(path: &Path) -> Result<Database> {
    let mut config = Config::default();
    config.log.segment_bytes = 1 << 20;
    config.flush.blocks_per_flush = 0;
    config.flush.interval_secs = 0;
    Database::builder(path).shards(3).config(config).open()
}

fn block(height: u64) -> Block {
    Block { height, timestamp_ms: height * 10 }
}

/// Every key of a block holds its height.
fn commit(db: &Database, height: u64) -> Result<u64> {
    let mut batch = Batch::new();
    for key in 0..12_u8 {
        let mut value = vec![0; 30_000];
        value[..8].copy_from_slice(&height.to_be_bytes());
        batch.put([b'k', key], value);
    }
    batch.put(format!("only in {height}"), "");
    db.commit_block(block(height), batch)
}

fn assert_stands_at(db: &Database, height: u64) -> Result<()> {
    assert_eq!(db.head().map(|head| head.height), Some(height));
    for key in 0..12_u8 {
        let value = db.get([b'k', key])?.expect("every block writes it");
        assert_eq!(value[..8], height.to_be_bytes(), "key {key}");
    }
    assert_eq!(db.prefix("only in ").count() as u64, height);
    Ok(())
}

/// The log segments that hold the rolled-back versions are gone with the flush: the store must open without them.
#[test]
fn a_rollback_behind_the_log_survives_reopening() -> Result<()> {
    for (flush_after, reopen_before) in [(false, false), (true, false), (false, true), (true, true)] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("store");
        let mut db = open(&path)?;
        for height in 1..=20 {
            commit(&db, height)?;
        }
        db.flush()?;
        for height in 21..=30 {
            commit(&db, height)?;
        }
        if reopen_before {
            db.close()?;
            db = open(&path)?;
        }
        db.rollback_to(3)?;
        assert_stands_at(&db, 3)?;
        if flush_after {
            db.flush()?;
        }
        db.close()?;
        let db = open(&path)?;
        assert_stands_at(&db, 3)?;
        for height in 4..=6 {
            commit(&db, height)?;
        }
        db.close()?;
        let db = open(&path)?;
        assert_stands_at(&db, 6)?;
        db.rollback_to(5)?;
        drop(db);
        let db = open(&path)?;
        assert_stands_at(&db, 5)?;
        let report = db.verify(&|_| {})?;
        assert!(report.is_sound(), "{report:?}");
    }
    Ok(())
}

/// Back and forth many times: versions only rise, and each state is the one of its block.
#[test]
fn versions_rise_over_many_rollbacks() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    let mut db = open(&path)?;
    let mut newest = 0;
    for height in 1..=5 {
        newest = commit(&db, height)?;
    }
    for round in 0..12_u64 {
        let to = 5 - round % 4;
        let at = db.rollback_to(to)?;
        assert!(at > newest || (to == 5 && at == newest), "round {round}: version {at} after {newest}");
        newest = newest.max(at);
        if round % 3 == 0 {
            db.flush()?;
        }
        if round % 4 == 1 {
            db.close()?;
            db = open(&path)?;
        }
        assert_stands_at(&db, to)?;
        for height in to + 1..=5 {
            let version = commit(&db, height)?;
            assert!(version > newest, "round {round}: version {version} after {newest}");
            newest = version;
        }
        assert_stands_at(&db, 5)?;
    }
    Ok(())
}

/// What a transaction has written itself is not returned without the stored rows between.
#[test]
fn a_transactions_scan_is_over_after_an_error() -> Result<()> {
    let db = Database::in_memory()?;
    db.seal_block(block(1))?;
    let mut batch = Batch::new();
    for key in 0..200_u8 {
        batch.put([key], "stored");
    }
    db.commit_block(block(2), batch)?;
    let mut txn = db.begin();
    txn.put([250], "own")?;
    let mut scan = txn.prefix("");
    assert!(scan.next().is_some_and(|row| row.is_ok()));
    db.rollback_to(1)?;
    let refused = scan.by_ref().find_map(Result::err).expect("the snapshot was rolled back");
    assert_eq!(refused.kind(), ErrorKind::RolledBack);
    assert!(scan.next().is_none() && scan.next_back().is_none());
    Ok(())
}
