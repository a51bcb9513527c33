//! One tuned RocksDB under measurement: plain, with transactions, or with versions in its keys.

mod client;
mod options;
mod stalls;
mod versioned;

pub(super) use versioned::Versioned;

use super::store::{Client, Found, Reader, Store, Writes};
use crate::args::{BenchOptions, DurabilityArg};
use client::{PlainClient, TransactionClient};
use rocksdb::{
    DB, DBAccess, DBRawIteratorWithThreadMode, OptimisticTransactionDB, WaitForCompactOptions,
    WriteBatchWithTransaction, WriteOptions,
};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) struct Rocks {
    engine: Engine,
    bench: BenchOptions,
    configuration: Vec<(&'static str, String)>,
}

/// A plain RocksDB is not the other one without transactions: optimistic transactions keep flushed memtables, to find conflicts in them.
enum Engine {
    Plain(DB),
    Transactional(OptimisticTransactionDB),
}

impl Rocks {
    /// For blocks, reads and single writes.
    pub(super) fn plain(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let engine = Engine::Plain(DB::open(&options::options(bench, options::Filter::WholeKeys), dir)?);
        Ok(Rocks { engine, bench: bench.clone(), configuration: options::describe(bench) })
    }

    /// For transactions: optimistic ones, as Shingle's are.
    pub(super) fn transactional(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let options = options::options(bench, options::Filter::WholeKeys);
        let engine = Engine::Transactional(OptimisticTransactionDB::open(&options, dir)?);
        let mut configuration = options::describe(bench);
        configuration.push(("transactions", "optimistic, each waited for".to_owned()));
        Ok(Rocks { engine, bench: bench.clone(), configuration })
    }
}

impl Store for Rocks {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        self.configuration.clone()
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        match &self.engine {
            Engine::Plain(db) => db.write_opt(filled(fill), &durable(&self.bench))?,
            Engine::Transactional(db) => db.write_opt(filled(fill), &durable(&self.bench))?,
        }
        Ok(())
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        match &self.engine {
            Engine::Plain(db) => db.wait_for_compact(&settle())?,
            Engine::Transactional(db) => db.wait_for_compact(&settle())?,
        }
        Ok(Instant::now())
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(match &self.engine {
            Engine::Plain(db) => Box::new(db),
            Engine::Transactional(db) => Box::new(db),
        })
    }

    fn reader_at(&self, _height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(None)
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        let durable = durable(&self.bench);
        Ok(match &self.engine {
            Engine::Plain(db) => Box::new(PlainClient { db, durable }),
            Engine::Transactional(db) => Box::new(TransactionClient { db, durable }),
        })
    }

    fn stalled(&self) -> Option<Duration> {
        let stats = match &self.engine {
            Engine::Plain(db) => db.property_value(stalls::PROPERTY),
            Engine::Transactional(db) => db.property_value(stalls::PROPERTY),
        };
        stalls::stalled(&stats.ok()??)
    }
}

impl Reader for &DB {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        Ok(self.get_pinned(key)?.map(|value| Found::of(&value)))
    }

    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        scan(self.raw_iterator(), from, limit, each)
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
