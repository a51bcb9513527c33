//! RocksDB for blocks and reads.

use super::{durable, options, settle};
use crate::args::BenchOptions;
use crate::bench::store::{Client, Reader, Store, Writes};
use anyhow::bail;
use rocksdb::{DB, WriteBatch};
use std::path::Path;
use std::time::Instant;

pub(in crate::bench) struct Plain {
    db: DB,
    configuration: Vec<(&'static str, String)>,
}

impl Plain {
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        Ok(Plain { db: DB::open(&options::options(bench), dir)?, configuration: options::describe(bench) })
    }
}

impl Store for Plain {
    fn name(&self) -> &'static str {
        "rocksdb"
    }

    fn configuration(&self) -> Vec<(&'static str, String)> {
        self.configuration.clone()
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        let mut batch = WriteBatch::default();
        fill(&mut batch);
        Ok(self.db.write_opt(batch, &durable())?)
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
        bail!("a plain RocksDB has no transactions")
    }
}

impl Reader for &DB {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<usize>> {
        Ok(self.get_pinned(key)?.map(|value| value.len()))
    }
}
