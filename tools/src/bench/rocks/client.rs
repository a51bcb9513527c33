//! Clients of RocksDB.

use crate::bench::recorder::Recorder;
use crate::bench::store::{Client, added};
use anyhow::bail;
use rocksdb::{DB, ErrorKind, OptimisticTransactionDB, OptimisticTransactionOptions, WriteOptions};
use std::time::Instant;

pub(super) struct PlainClient<'a> {
    pub(super) db: &'a DB,
    pub(super) durable: WriteOptions,
}

impl Client for PlainClient<'_> {
    fn add(
        &mut self,
        _keys: &[&[u8]],
        _amounts: &[u64],
        _due: Instant,
        _recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        bail!("a plain RocksDB has no transactions")
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.db.put_opt(key, value, &self.durable)?;
        recorder.done(due, 0);
        Ok(())
    }
}

pub(super) struct TransactionClient<'a> {
    pub(super) db: &'a OptimisticTransactionDB,
    pub(super) durable: WriteOptions,
}

impl TransactionClient<'_> {
    /// Reading for update makes the commit fail if the key was written in between: serializable for keys.
    fn try_add(&self, keys: &[&[u8]], amounts: &[u64]) -> anyhow::Result<Result<(), rocksdb::Error>> {
        let txn = self.db.transaction_opt(&self.durable, &OptimisticTransactionOptions::default());
        for (key, amount) in keys.iter().zip(amounts) {
            let value = added(txn.get_pinned_for_update(key, true)?.as_deref(), *amount)?;
            txn.put(key, value)?;
        }
        Ok(txn.commit())
    }
}

impl Client for TransactionClient<'_> {
    fn add(
        &mut self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        while let Err(error) = self.try_add(keys, amounts)? {
            if !matches!(error.kind(), ErrorKind::Busy | ErrorKind::TryAgain) {
                return Err(error.into());
            }
            recorder.conflict();
        }
        recorder.done(due, 0);
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.db.put_opt(key, value, &self.durable)?;
        recorder.done(due, 0);
        Ok(())
    }
}
