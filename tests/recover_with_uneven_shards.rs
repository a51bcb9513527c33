//! A store that was opened at the last good version of a damaged log showed parts of commits that the log had given up: one shard had flushed them, as a
//! shard may at any time, and another had not.

use shingle::{Batch, Block, Database, ErrorKind};
use std::fs;
use std::path::{Path, PathBuf};

const KEYS: u64 = 60;

fn value(height: u64) -> String {
    format!("the value of block {height};")
}

fn commit_block(db: &Database, height: u64) -> shingle::Result<()> {
    let mut batch = Batch::new();
    for key in 0..KEYS {
        batch.put(format!("key {key}"), value(height));
    }
    db.commit_block(Block { height, timestamp_ms: height }, batch).map(drop)
}

/// Every key has the value of the newest block, or the store shows part of a commit.
fn assert_whole(db: &Database, height: u64) -> shingle::Result<()> {
    assert_eq!(db.head().map(|block| block.height), Some(height));
    for key in 0..KEYS {
        let found = db.get(format!("key {key}"))?.map(|value| String::from_utf8_lossy(&value).into_owned());
        assert_eq!(found, Some(value(height)), "key {key}");
    }
    Ok(())
}

fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &to)?
        } else {
            fs::copy(entry.path(), to).map(drop)?
        }
    }
    Ok(())
}

/// Flips a bit in the log's only record of the block.
fn damage_record_of(dir: &Path, height: u64) -> std::io::Result<()> {
    for entry in fs::read_dir(dir.join("log"))? {
        let path = entry?.path();
        let mut bytes = fs::read(&path)?;
        let wanted = value(height);
        if let Some(at) = bytes.windows(wanted.len()).position(|found| found == wanted.as_bytes()) {
            bytes[at] ^= 1;
            return fs::write(&path, bytes);
        }
    }
    panic!("the log does not hold block {height}");
}

#[test]
fn what_the_log_gives_up_is_given_up_by_every_shard() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let shard = dir.path().join("shards/001");
    let behind: PathBuf = dir.path().join("behind");

    let db = Database::builder(dir.path()).shards(3).open()?;
    (1..=10).try_for_each(|height| commit_block(&db, height))?;
    db.flush()?;
    db.close()?;
    copy_dir(&shard, &behind)?;
    let db = Database::builder(dir.path()).open()?;
    (11..=20).try_for_each(|height| commit_block(&db, height))?;
    db.flush()?;
    db.close()?;

    // Shard 1 is where it would be had the process been killed before it was flushed for the second time; the log is damaged since.
    fs::remove_dir_all(&shard)?;
    fs::rename(&behind, &shard)?;
    damage_record_of(dir.path(), 15)?;
    let refused = Database::builder(dir.path()).open().map(drop);
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Damaged));

    let db = Database::builder(dir.path()).recover_to_last_good(true).open()?;
    assert_whole(&db, 14)?;
    db.close()?;
    let db = Database::builder(dir.path()).open()?;
    assert_whole(&db, 14)?;
    commit_block(&db, 15)?;
    db.flush()?;
    db.close()?;
    assert_whole(&Database::builder(dir.path()).open()?, 15)?;
    Ok(())
}
