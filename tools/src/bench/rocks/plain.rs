//! RocksDB for blocks, reads and single writes.

use super::{durable, options, scan, settle, stalls};
use crate::args::BenchOptions;
use crate::bench::recorder::Recorder;
use crate::bench::store::{Client, Found, Reader, Store, Writes};
use anyhow::bail;
use rocksdb::{DB, WriteBatch, WriteOptions};
use std::path::Path;
use std::time::{Duration, Instant};

pub(in crate::bench) struct Plain {
    db: DB,
    bench: BenchOptions,
    configuration: Vec<(&'static str, String)>,
}

impl Plain {
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        Ok(Plain {
            db: DB::open(&options::options(bench, options::Filter::WholeKeys), dir)?,
            bench: bench.clone(),
            configuration: options::describe(bench),
        })
    }
}

impl Store for Plain {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        self.configuration.clone()
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        let mut batch = WriteBatch::default();
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
        Ok(Box::new(PlainClient { db: &self.db, durable: durable(&self.bench) }))
    }

    fn stalled(&self) -> Option<Duration> {
        stalls::stalled(self.db.property_value("rocksdb.dbstats").ok()??.as_str())
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

struct PlainClient<'a> {
    db: &'a DB,
    durable: WriteOptions,
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
