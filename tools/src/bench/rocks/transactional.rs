//! RocksDB for transactions: optimistic ones, as Shingle's are.

use super::{durable, options, scan, settle, stalls};
use crate::args::BenchOptions;
use crate::bench::recorder::Recorder;
use crate::bench::store::{Client, Found, Reader, Store, Writes, added};
use rocksdb::{
    ErrorKind, OptimisticTransactionDB, OptimisticTransactionOptions, WriteBatchWithTransaction, WriteOptions,
};
use std::path::Path;
use std::time::{Duration, Instant};

pub(in crate::bench) struct Transactional {
    db: OptimisticTransactionDB,
    bench: BenchOptions,
    configuration: Vec<(&'static str, String)>,
}

impl Transactional {
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let mut configuration = options::describe(bench);
        configuration.push(("transactions", "optimistic, each waited for".to_owned()));
        Ok(Transactional {
            db: OptimisticTransactionDB::open(&options::options(bench, options::Filter::WholeKeys), dir)?,
            bench: bench.clone(),
            configuration,
        })
    }
}

impl Store for Transactional {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        self.configuration.clone()
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        let mut batch = WriteBatchWithTransaction::<true>::default();
        fill(&mut batch);
        Ok(self.db.write_opt(batch, &durable(&self.bench))?)
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        self.db.wait_for_compact(&settle())?;
        Ok(Instant::now())
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(Box::new(&self.db))
    }

    fn reader_at(&self, _height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(None)
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(TransactionClient { db: &self.db, durable: durable(&self.bench) }))
    }

    fn stalled(&self) -> Option<Duration> {
        stalls::stalled(self.db.property_value("rocksdb.dbstats").ok()??.as_str())
    }
}

impl Reader for &OptimisticTransactionDB {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        Ok(self.get_pinned(key)?.map(|value| Found::of(&value)))
    }

    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        scan(self.raw_iterator(), from, limit, each)
    }
}

struct TransactionClient<'a> {
    db: &'a OptimisticTransactionDB,
    durable: WriteOptions,
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
