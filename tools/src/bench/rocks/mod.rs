//! One tuned RocksDB under measurement. It keeps no versions.

mod client;
mod options;

use super::store::{Client, Reader, Store, Writes};
use crate::args::BenchOptions;
use anyhow::bail;
use client::TransactionClient;
use rocksdb::{DB, OptimisticTransactionDB, WaitForCompactOptions, WriteBatchWithTransaction, WriteOptions};
use std::path::Path;
use std::time::Instant;

pub(super) struct Rocks {
    engine: Engine,
    configuration: Vec<(&'static str, String)>,
}

/// A plain RocksDB is not the other one without transactions: optimistic transactions keep flushed memtables, to find conflicts in them.
enum Engine {
    Plain(DB),
    Transactional(OptimisticTransactionDB),
}

impl Rocks {
    /// For blocks and reads.
    pub(super) fn plain(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let engine = Engine::Plain(DB::open(&options::options(bench), dir)?);
        Ok(Rocks { engine, configuration: options::describe(bench) })
    }

    /// For transactions: optimistic ones, as Shingle's are.
    pub(super) fn transactional(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let engine = Engine::Transactional(OptimisticTransactionDB::open(&options::options(bench), dir)?);
        let mut configuration = options::describe(bench);
        configuration.push(("transactions", "optimistic, each waited for".to_owned()));
        Ok(Rocks { engine, configuration })
    }
}

impl Store for Rocks {
    fn name(&self) -> &'static str {
        "rocksdb"
    }

    fn configuration(&self) -> Vec<(&'static str, String)> {
        self.configuration.clone()
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        match &self.engine {
            Engine::Plain(db) => db.write_opt(filled(fill), &durable())?,
            Engine::Transactional(db) => db.write_opt(filled(fill), &durable())?,
        }
        Ok(())
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        let mut options = WaitForCompactOptions::default();
        options.set_flush(true);
        match &self.engine {
            Engine::Plain(db) => db.wait_for_compact(&options)?,
            Engine::Transactional(db) => db.wait_for_compact(&options)?,
        }
        Ok(Instant::now())
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        match &self.engine {
            Engine::Plain(db) => Ok(Box::new(db)),
            Engine::Transactional(_) => bail!("reads are measured on a plain RocksDB"),
        }
    }

    fn reader_at(&self, _height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(None)
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        match &self.engine {
            Engine::Plain(_) => bail!("a plain RocksDB has no transactions"),
            Engine::Transactional(db) => Ok(Box::new(TransactionClient::new(db, durable())?)),
        }
    }
}

impl Reader for &DB {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<usize>> {
        Ok(self.get_pinned(key)?.map(|value| value.len()))
    }
}

impl<const TRANSACTION: bool> Writes for WriteBatchWithTransaction<TRANSACTION> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        WriteBatchWithTransaction::put(self, key, value);
    }
}

fn filled<const TRANSACTION: bool>(fill: &mut dyn FnMut(&mut dyn Writes)) -> WriteBatchWithTransaction<TRANSACTION> {
    let mut batch = WriteBatchWithTransaction::default();
    fill(&mut batch);
    batch
}

/// Every write is in the log and synced before it is acknowledged.
fn durable() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}
