//! One tuned RocksDB under measurement: plain, with transactions, or with versions in its keys.

mod options;
mod plain;
mod stalls;
mod transactional;
mod versioned;

pub(super) use plain::Plain;
pub(super) use transactional::Transactional;
pub(super) use versioned::Versioned;

use super::store::Writes;
use crate::args::{BenchOptions, DurabilityArg};
use rocksdb::{DBAccess, DBRawIteratorWithThreadMode, WaitForCompactOptions, WriteBatchWithTransaction, WriteOptions};

impl<const TRANSACTION: bool> Writes for WriteBatchWithTransaction<TRANSACTION> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        WriteBatchWithTransaction::put(self, key, value);
    }
}

/// Every write is in the log before it is acknowledged, and synced if it is to be.
fn durable(bench: &BenchOptions) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(bench.durability == DurabilityArg::Sync);
    options
}

/// Flush, then wait for all compaction.
fn settle() -> WaitForCompactOptions {
    let mut options = WaitForCompactOptions::default();
    options.set_flush(true);
    options
}

/// Up to `limit` rows from `from` on.
fn scan<D: DBAccess>(
    mut rows: DBRawIteratorWithThreadMode<'_, D>,
    from: &[u8],
    limit: usize,
    each: &mut dyn FnMut(&[u8], &[u8]),
) -> anyhow::Result<()> {
    rows.seek(from);
    let mut seen = 0;
    while seen < limit
        && let Some((key, value)) = rows.item()
    {
        each(key, value);
        seen += 1;
        if seen < limit {
            rows.next();
        }
    }
    Ok(rows.status()?)
}
