//! Giving back the space of what was pruned: only the tables of which much was deleted are rewritten.

use super::error::classify;
use super::layout::{CHANGES, VERSIONS};
use super::{RocksBackend, stats};
use crate::Result;
use parking_lot::Mutex;
use rocksdb::LiveFile;
use std::sync::atomic::{AtomicU64, Ordering};

/// One deleted row of this many is remembered: 64 M deletions are 1 M row keys.
const SAMPLE: u64 = 64;

/// Row keys that are remembered at most. What is beyond is left to RocksDB's own compactions.
const SAMPLES_MAX: usize = 1 << 20;

/// A table is rewritten if this part of its entries, one in so many, was deleted.
const DELETED_PART: u64 = 10;

/// A sample of the rows deleted since the last time that space was reclaimed, or the backend was opened.
#[derive(Debug, Default)]
pub(super) struct Reclaim {
    deleted: AtomicU64,
    sample: Mutex<Vec<Vec<u8>>>,
}

impl Reclaim {
    pub(super) fn deleted(&self, row_key: &[u8]) {
        if self.deleted.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE) {
            let mut sample = self.sample.lock();
            if sample.len() < SAMPLES_MAX {
                sample.push(row_key.to_vec());
            }
        }
    }
}

pub(super) fn reclaim(backend: &RocksBackend) -> Result<()> {
    let RocksBackend { db, path, .. } = backend;
    let mut sample = std::mem::take(&mut *backend.reclaim.sample.lock());
    if sample.is_empty() {
        return Ok(());
    }
    sample.sort_unstable();
    let files = db.live_files().map_err(|e| classify(path, &e))?;
    let bottom = files.iter().filter(|file| file.column_family_name == VERSIONS).map(|file| file.level).max();
    let mut tables: Vec<&LiveFile> =
        files.iter().filter(|file| file.column_family_name == VERSIONS && Some(file.level) == bottom).collect();
    tables.sort_unstable_by(|a, b| a.start_key.cmp(&b.start_key));
    // Neighbours are rewritten together.
    for run in tables.chunk_by(|a, b| is_hollow(a, &sample) == is_hollow(b, &sample)) {
        if let [first, ..] = run
            && is_hollow(first, &sample)
        {
            let end = run.last().and_then(|last| last.end_key.as_deref());
            db.compact_range_cf(super::family(db, VERSIONS), first.start_key.as_deref(), end);
        }
    }
    // Changes lie in the order in which they are pruned: what is rewritten is almost nothing but what goes.
    let pruned_to = backend.pruned_to.load(Ordering::Acquire);
    db.compact_range_cf(super::family(db, CHANGES), None::<&[u8]>, Some(pruned_to.saturating_add(1).to_be_bytes()));
    stats::release_old_files(backend);
    Ok(())
}

fn is_hollow(table: &LiveFile, sample: &[Vec<u8>]) -> bool {
    let from = sample.partition_point(|key| table.start_key.as_ref().is_some_and(|start| key < start));
    let to = sample.partition_point(|key| table.end_key.as_ref().is_none_or(|end| key <= end));
    let deleted = to.saturating_sub(from) as u64 * SAMPLE;
    deleted >= (table.num_entries / DELETED_PART).max(1)
}
