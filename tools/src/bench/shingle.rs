//! Shingle under measurement.

use super::store::{Client, Committed, Reader, Store, Writes};
use crate::args::BenchOptions;
use crate::units;
use shingle::{At, Batch, Block, CommitHandle, Config, Database, ErrorKind, Snapshot};
use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a settling store is looked at, and how long its files must not have changed.
const SETTLE_POLL: Duration = Duration::from_millis(5);
const SETTLE_QUIET: Duration = Duration::from_millis(200);

/// The memtables' budget is divided into this many buffers, as RocksDB's is.
pub(super) const WRITE_BUFFERS: u32 = 4;

/// The part of the cache that holds rows; the rest holds blocks.
const ROW_CACHE_PART: u64 = 3;

pub(super) struct Shingle {
    db: Database,
    config: Config,
}

impl Shingle {
    pub(super) fn open(options: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let mut config = Config::default();
        let rocks = &mut config.rocksdb;
        rocks.write_buffer_size = options.memtables / u64::from(WRITE_BUFFERS);
        rocks.max_write_buffer_number = WRITE_BUFFERS;
        rocks.block_cache_size = options.cache - options.cache / ROW_CACHE_PART;
        rocks.max_background_jobs = options.jobs as u32;
        config.row_cache_size = options.cache / ROW_CACHE_PART;
        // They have a benchmark of their own.
        config.checkpoint.snapshot_interval = 0;
        let db = Database::builder(dir).shards(options.shards as usize).config(config.clone()).open()?;
        Ok(Shingle { db, config })
    }
}

impl Writes for Batch {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        Batch::put(self, key, value);
    }
}

impl Store for Shingle {
    fn name(&self) -> &'static str {
        "shingle"
    }

    fn configuration(&self) -> Vec<(&'static str, String)> {
        let rocks = &self.config.rocksdb;
        vec![
            ("shards", self.db.shards().to_string()),
            ("versions", "every one is kept".to_owned()),
            ("memtables", units::bytes(self.config.memtable_bytes())),
            ("block cache", units::bytes(rocks.block_cache_size)),
            ("row cache", units::bytes(self.config.row_cache_size)),
            ("background threads", rocks.max_background_jobs.to_string()),
            ("bloom filter", format!("{} bits per key", rocks.bloom_filter_bits_per_key)),
            ("compression", format!("{:?}", rocks.compression_type).to_lowercase()),
        ]
    }

    fn commit_block(&self, height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        let mut batch = Batch::new();
        fill(&mut batch);
        self.db.commit_block(Block { height, timestamp_ms: height }, batch)?;
        Ok(())
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        self.db.flush()?;
        let mut since = Instant::now();
        let mut seen = None;
        loop {
            let stats = self.db.stats();
            let files: Vec<_> = stats.shards.iter().map(|shard| (shard.file_bytes, shard.level0_files)).collect();
            let pending: u64 = stats.shards.iter().map(|shard| shard.pending_compaction_bytes).sum();
            if pending > 0 || seen.as_ref() != Some(&files) {
                since = Instant::now();
            } else if since.elapsed() >= SETTLE_QUIET {
                return Ok(since);
            }
            seen = Some(files);
            std::thread::sleep(SETTLE_POLL);
        }
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(Box::new(Newest(&self.db)))
    }

    fn reader_at(&self, height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(Some(Box::new(self.db.snapshot_at(At::Height(height))?)))
    }

    fn client(&self, in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(ShingleClient { db: &self.db, in_flight, under_way: VecDeque::new(), done: Committed::new()? }))
    }
}

/// Reads of whatever is newest at each read.
struct Newest<'a>(&'a Database);

impl Reader for Newest<'_> {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<usize>> {
        Ok(self.0.get(key)?.map(|value| value.len()))
    }
}

impl Reader for Snapshot {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<usize>> {
        Ok(Snapshot::get(self, key)?.map(|value| value.len()))
    }
}

struct ShingleClient<'a> {
    db: &'a Database,
    in_flight: usize,
    under_way: VecDeque<(Instant, CommitHandle)>,
    done: Committed,
}

impl ShingleClient<'_> {
    fn try_transfer(&self, keys: [&[u8]; 2], value: &[u8]) -> shingle::Result<CommitHandle> {
        let mut txn = self.db.begin();
        for key in keys {
            txn.get(key)?;
        }
        for key in keys {
            txn.put(key, value)?;
        }
        txn.submit()
    }

    /// Waits for the oldest commits until at most `count` are under way.
    fn wait_down_to(&mut self, count: usize) -> anyhow::Result<()> {
        while self.under_way.len() > count {
            let Some((begun, handle)) = self.under_way.pop_front() else { break };
            handle.wait()?;
            self.done.latency.record(begun.elapsed());
        }
        Ok(())
    }
}

impl Client for ShingleClient<'_> {
    fn transfer(&mut self, keys: [&[u8]; 2], value: &[u8]) -> anyhow::Result<()> {
        let begun = Instant::now();
        let handle = loop {
            match self.try_transfer(keys, value) {
                Ok(handle) => break handle,
                // Until the other commit is visible, trying again meets it again.
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    self.done.conflicts += 1;
                    self.wait_down_to(self.under_way.len().saturating_sub(1))?;
                    std::thread::yield_now();
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.under_way.push_back((begun, handle));
        self.wait_down_to(self.in_flight - 1)
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Committed> {
        self.wait_down_to(0)?;
        Ok(self.done)
    }
}
