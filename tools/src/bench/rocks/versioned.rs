//! RocksDB that keeps versions, the way a node does it without help: the height, inverted, at the end of every key.

use super::{durable, options, settle, stalls};
use crate::args::BenchOptions;
use crate::bench::contender::Opening;
use crate::bench::recorder::Recorder;
use crate::bench::store::{Client, Found, Reader, Store, Writes};
use anyhow::bail;
use rocksdb::{DB, DBRawIterator, ReadOptions, SliceTransform, WriteBatch, WriteOptions};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const HEIGHT_BYTES: usize = 8;

/// The part of the memtables that their bloom filter takes: as the guide of prefix seeks advises.
const MEMTABLE_BLOOM: f64 = 0.02;

pub(in crate::bench) struct Versioned {
    db: DB,
    bench: BenchOptions,
    /// The newest block's, or that of the newest single write.
    height: AtomicU64,
    configuration: Vec<(&'static str, String)>,
}

impl Versioned {
    pub(in crate::bench) fn open(bench: &BenchOptions, opening: Opening, dir: &Path) -> anyhow::Result<Self> {
        if opening.transactions {
            bail!("RocksDB's transactions know nothing of versions in keys; measure against rocksdb");
        }
        let mut options = options::options(bench, options::Filter::Prefix);
        options.set_prefix_extractor(SliceTransform::create_fixed_prefix(bench.key_bytes as usize));
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM);
        let mut configuration = options::describe(bench);
        configuration.retain(|(name, _)| *name != "versions");
        configuration.insert(0, ("versions", "every one is kept: the height is the end of the key".to_owned()));
        configuration
            .push(("reads", "prefix seeks with reused iterators, blooms over the key without its height".to_owned()));
        Ok(Versioned { db: DB::open(&options, dir)?, bench: bench.clone(), height: AtomicU64::new(0), configuration })
    }

    fn reader_up_to(&self, height: u64) -> VersionedReader<'_> {
        let mut prefix = ReadOptions::default();
        prefix.set_prefix_same_as_start(true);
        VersionedReader { db: &self.db, height, rows: self.db.raw_iterator_opt(prefix), sought: Vec::new() }
    }
}

/// Adds a height to every key.
struct WithHeight<'a> {
    batch: WriteBatch,
    height: u64,
    key: &'a mut Vec<u8>,
}

impl Writes for WithHeight<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        with_height(self.key, key, self.height);
        self.batch.put(&self.key, value);
    }
}

fn with_height(room: &mut Vec<u8>, key: &[u8], height: u64) {
    room.clear();
    room.extend_from_slice(key);
    room.extend_from_slice(&(!height).to_be_bytes());
}

impl Store for Versioned {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        self.configuration.clone()
    }

    fn commit_block(&self, height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        let mut writes = WithHeight { batch: WriteBatch::default(), height, key: &mut Vec::new() };
        fill(&mut writes);
        self.db.write_opt(writes.batch, &durable(&self.bench))?;
        self.height.fetch_max(height, Ordering::Relaxed);
        Ok(())
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        self.db.wait_for_compact(&settle())?;
        Ok(Instant::now())
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(Box::new(self.reader_up_to(u64::MAX)))
    }

    fn reader_at(&self, height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(Some(Box::new(self.reader_up_to(height))))
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(VersionedClient { store: self, durable: durable(&self.bench), key: Vec::new() }))
    }

    fn stalled(&self) -> Option<Duration> {
        stalls::stalled(&self.db.property_value(stalls::PROPERTY).ok()??)
    }
}

struct VersionedReader<'a> {
    db: &'a DB,
    height: u64,
    rows: DBRawIterator<'a>,
    sought: Vec<u8>,
}

impl Reader for VersionedReader<'_> {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        with_height(&mut self.sought, key, self.height);
        self.rows.seek(&self.sought);
        let found = self.rows.item().and_then(|(row, value)| row.starts_with(key).then(|| Found::of(value)));
        if found.is_none() {
            self.rows.status()?;
        }
        Ok(found)
    }

    /// Of each key the newest row that is not above the height.
    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        let mut all = ReadOptions::default();
        all.set_total_order_seek(true);
        let mut rows = self.db.raw_iterator_opt(all);
        rows.seek(from);
        let (mut seen, mut last) = (0, Vec::new());
        while seen < limit
            && let Some((row, value)) = rows.item()
        {
            let (key, inverted) = row.split_at(row.len() - HEIGHT_BYTES);
            let visible = inverted >= (!self.height).to_be_bytes().as_slice();
            if visible && (seen == 0 || key != last.as_slice()) {
                each(key, value);
                seen += 1;
                last.clear();
                last.extend_from_slice(key);
            }
            if seen < limit {
                rows.next();
            }
        }
        Ok(rows.status()?)
    }

    fn refresh(&mut self) -> anyhow::Result<()> {
        Ok(self.rows.refresh()?)
    }
}

struct VersionedClient<'a> {
    store: &'a Versioned,
    durable: WriteOptions,
    key: Vec<u8>,
}

impl Client for VersionedClient<'_> {
    fn add(
        &mut self,
        _keys: &[&[u8]],
        _amounts: &[u64],
        _due: Instant,
        _recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        bail!("RocksDB's transactions know nothing of versions in keys")
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let height = self.store.height.fetch_add(1, Ordering::Relaxed) + 1;
        with_height(&mut self.key, key, height);
        self.store.db.put_opt(&self.key, value, &self.durable)?;
        recorder.done(due, 0);
        Ok(())
    }
}
