//! RocksDB for transactions: optimistic ones, as Shingle's are.

use super::{durable, options, settle};
use crate::args::BenchOptions;
use crate::bench::store::{Client, Committed, Reader, Store, Writes};
use anyhow::bail;
use rocksdb::{
    ErrorKind, OptimisticTransactionDB, OptimisticTransactionOptions, WriteBatchWithTransaction, WriteOptions,
};
use std::path::Path;
use std::time::Instant;

pub(in crate::bench) struct Transactional {
    db: OptimisticTransactionDB,
    configuration: Vec<(&'static str, String)>,
}

impl Transactional {
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let mut configuration = options::describe(bench);
        configuration.push(("transactions", "optimistic, each waited for".to_owned()));
        Ok(Transactional { db: OptimisticTransactionDB::open(&options::options(bench), dir)?, configuration })
    }
}

impl Store for Transactional {
    fn name(&self) -> &'static str {
        "rocksdb"
    }

    fn configuration(&self) -> Vec<(&'static str, String)> {
        self.configuration.clone()
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        let mut batch = WriteBatchWithTransaction::<true>::default();
        fill(&mut batch);
        Ok(self.db.write_opt(batch, &durable())?)
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        self.db.wait_for_compact(&settle())?;
        Ok(Instant::now())
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        bail!("reads are measured on a plain RocksDB")
    }

    fn reader_at(&self, _height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(None)
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(TransactionClient { db: &self.db, durable: durable(), done: Committed::new()? }))
    }
}

struct TransactionClient<'a> {
    db: &'a OptimisticTransactionDB,
    durable: WriteOptions,
    done: Committed,
}

impl TransactionClient<'_> {
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
