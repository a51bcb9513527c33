//! Shingle under measurement.

mod client;

use super::contender::Opening;
use super::store::{Client, Found, Reader, Store, Writes};
use crate::args::{BenchOptions, DurabilityArg};
use crate::units;
use client::ShingleClient;
use shingle::{At, Batch, Block, Config, Database, Durability, Scan, Snapshot};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a settling store is looked at, and how long its files must not have changed.
const SETTLE_POLL: Duration = Duration::from_millis(5);
const SETTLE_QUIET: Duration = Duration::from_millis(200);

/// The memtables' budget is divided into this many buffers, as RocksDB's is.
pub(super) const WRITE_BUFFERS: u32 = 4;

/// The part of the cache that holds rows; the rest holds blocks.
const ROW_CACHE_PART: u64 = 3;

/// Within what a shell allows a process by default.
const OPEN_FILES: u32 = 1000;

pub(super) struct Shingle {
    db: Database,
    config: Config,
}

impl Shingle {
    pub(super) fn open(options: &BenchOptions, opening: Opening, shards: u64, dir: &Path) -> anyhow::Result<Self> {
        let durability = match options.durability {
            DurabilityArg::Sync => Durability::Sync,
            DurabilityArg::Buffered => Durability::Buffered,
        };
        let row_cache_size = options.cache / ROW_CACHE_PART;
        // What is advised for this load, but for the sizes: those are the same for every store.
        let mut config = Config { durability, row_cache_size, ..Config::extreme() };
        if opening.long_log_bytes.is_some() {
            config.flush.interval_secs = 0;
            config.flush.blocks_per_flush = 0;
        }
        let rocks = &mut config.rocksdb;
        rocks.write_buffer_size = options.memtables / u64::from(WRITE_BUFFERS);
        rocks.max_write_buffer_number = WRITE_BUFFERS;
        rocks.block_cache_size = options.cache - row_cache_size;
        rocks.max_background_jobs = options.jobs as u32;
        rocks.max_open_files = OPEN_FILES;
        // What is not readable may go at once.
        config.prune.reorg_window_blocks = 0;
        // They have a benchmark of their own.
        config.checkpoint.snapshot_interval = 0;
        let db = Database::builder(dir).shards(shards as usize).config(config.clone()).open()?;
        Ok(Shingle { db, config })
    }

    pub(super) fn database(&self) -> &Database {
        &self.db
    }
}

impl Writes for Batch {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        Batch::put(self, key, value);
    }
}

impl Store for Shingle {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        let rocks = &self.config.rocksdb;
        vec![
            ("shards", self.db.shards().to_string()),
            ("versions", "every one is kept".to_owned()),
            ("durability", format!("{:?}", self.config.durability).to_lowercase()),
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
        Ok(Box::new(ShingleClient::new(&self.db, in_flight)))
    }

    fn stalled(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.db.stats().memory_wait_micros))
    }
}

/// Reads of whatever is newest at each read.
struct Newest<'a>(&'a Database);

impl Reader for Newest<'_> {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        Ok(self.0.get(key)?.map(|value| Found::of(&value)))
    }

    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        scan(self.0.range(from..), limit, each)
    }
}

impl Reader for Snapshot {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        Ok(Snapshot::get(self, key)?.map(|value| Found::of(&value)))
    }

    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        scan(self.range(from..), limit, each)
    }
}

fn scan(mut rows: Scan, limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
    for _ in 0..limit {
        let Some(row) = rows.next_row() else { break };
        let (key, value) = row?;
        each(key, value);
    }
    Ok(())
}
