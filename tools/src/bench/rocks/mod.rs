//! One tuned RocksDB under measurement. It keeps no versions.

mod options;
mod plain;
mod transactional;

pub(super) use plain::Plain;
pub(super) use transactional::Transactional;

use super::store::Writes;
use rocksdb::{WaitForCompactOptions, WriteBatchWithTransaction, WriteOptions};

impl<const TRANSACTION: bool> Writes for WriteBatchWithTransaction<TRANSACTION> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        WriteBatchWithTransaction::put(self, key, value);
    }
}

/// Every write is in the log and synced before it is acknowledged.
fn durable() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Flush, then wait for all compaction.
fn settle() -> WaitForCompactOptions {
    let mut options = WaitForCompactOptions::default();
    options.set_flush(true);
    options
}
