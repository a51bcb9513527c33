//! A rollback waits for the commits that came before it, and not for all those that follow.

use shingle::{Batch, Block, Database, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const WRITERS: u8 = 3;
/// Commits that a writer has under way at all times.
const UNDER_WAY: usize = 4000;
/// After so many the writer gives up.
const COMMITS_MAX: u32 = 60_000;

/// Commits without a pause until `done`. Returns how many.
fn write(db: &Database, writer: u8, done: &AtomicBool) -> Result<u32> {
    let mut under_way = VecDeque::new();
    for commit in 0..COMMITS_MAX {
        if done.load(Ordering::Relaxed) {
            return Ok(commit);
        }
        let mut batch = Batch::new();
        batch.put([writer], commit.to_be_bytes());
        under_way.push_back(db.submit(batch)?);
        if under_way.len() > UNDER_WAY {
            under_way.pop_front().map_or(Ok(0), |oldest| oldest.wait())?;
        }
    }
    Ok(COMMITS_MAX)
}

#[test]
fn commits_without_a_pause_hold_up_no_rollback() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = Database::builder(dir.path().join("store")).shards(2).open()?;
    db.seal_block(Block { height: 1, timestamp_ms: 1 })?;
    let done = AtomicBool::new(false);
    let commits = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (db, done) = (&db, &done);
                scope.spawn(move || write(db, writer, done))
            })
            .collect();
        let mut outcome = Ok(0);
        for _ in 0..3 {
            let before = db.version();
            while db.version() < before + 1000 && !writers.iter().all(|writer| writer.is_finished()) {
                thread::yield_now();
            }
            outcome = outcome.and_then(|_| db.rollback_to(1));
        }
        done.store(true, Ordering::Relaxed);
        outcome?;
        writers.into_iter().map(|writer| writer.join().expect("no assertion in it")).collect::<Result<Vec<_>>>()
    })?;
    assert!(commits.iter().all(|&commits| commits < COMMITS_MAX), "the rollbacks came after all commits: {commits:?}");
    Ok(())
}
