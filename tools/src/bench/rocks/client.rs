//! Transactions on RocksDB.

use crate::bench::store::{Client, Committed};
use rocksdb::{ErrorKind, OptimisticTransactionDB, OptimisticTransactionOptions, WriteOptions};
use std::time::Instant;

pub(super) struct TransactionClient<'a> {
    db: &'a OptimisticTransactionDB,
    durable: WriteOptions,
    done: Committed,
}

impl<'a> TransactionClient<'a> {
    pub(super) fn new(db: &'a OptimisticTransactionDB, durable: WriteOptions) -> anyhow::Result<Self> {
        Ok(TransactionClient { db, durable, done: Committed::new()? })
    }

    /// Reading for update makes the commit fail if the key was written in between: serializable for keys.
    fn try_transfer(&self, keys: [&[u8]; 2], value: &[u8]) -> Result<(), rocksdb::Error> {
        let txn = self.db.transaction_opt(&self.durable, &OptimisticTransactionOptions::default());
        for key in keys {
            txn.get_pinned_for_update(key, true)?;
        }
        for key in keys {
            txn.put(key, value)?;
        }
        txn.commit()
    }
}

impl Client for TransactionClient<'_> {
    fn transfer(&mut self, keys: [&[u8]; 2], value: &[u8]) -> anyhow::Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.try_transfer(keys, value) {
            if !matches!(error.kind(), ErrorKind::Busy | ErrorKind::TryAgain) {
                return Err(error.into());
            }
            self.done.conflicts += 1;
        }
        self.done.latency.record(begun.elapsed());
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<Committed> {
        Ok(self.done)
    }
}
