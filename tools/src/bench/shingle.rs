//! Shingle under measurement.

use super::contender::Opening;
use super::recorder::Recorder;
use super::store::{Client, Found, Reader, Store, Writes, added};
use crate::args::{BenchOptions, DurabilityArg};
use crate::units;
use shingle::{At, Batch, Block, CommitHandle, Config, Database, Durability, ErrorKind, Scan, Snapshot, Transaction};
use std::collections::VecDeque;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
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
        Ok(Box::new(ShingleClient { db: &self.db, in_flight, under_way: VecDeque::new() }))
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

fn add_to(txn: &mut Transaction, keys: &[&[u8]], amounts: &[u64]) -> anyhow::Result<()> {
    for (key, amount) in keys.iter().zip(amounts) {
        let value = added(txn.get(key)?.as_deref(), *amount)?;
        txn.put(key, value)?;
    }
    Ok(())
}

struct ShingleClient<'a> {
    db: &'a Database,
    in_flight: usize,
    /// In the order in which they will be done.
    under_way: VecDeque<(Instant, CommitHandle)>,
}

impl ShingleClient<'_> {
    fn try_add(&self, keys: &[&[u8]], amounts: &[u64]) -> anyhow::Result<shingle::Result<CommitHandle>> {
        let mut txn = self.db.begin();
        add_to(&mut txn, keys, amounts)?;
        Ok(txn.submit())
    }

    /// Has the store try again until it is committed: it knows when that is worth while.
    fn add_and_wait(
        &self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            let committed = self.db.transact(|txn| {
                tries += 1;
                Ok(add_to(txn, keys, amounts))
            });
            match committed {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                committed => {
                    committed??;
                    (1..tries).for_each(|_| recorder.conflict());
                    recorder.done(due, 0);
                    return Ok(());
                }
            }
        }
    }

    fn submitted(&mut self, due: Instant, handle: CommitHandle, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.under_way.push_back((due, handle));
        self.wait_down_to(self.in_flight - 1, recorder)
    }

    /// Waits for the oldest commits until at most `count` are under way.
    fn wait_down_to(&mut self, count: usize, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        while self.under_way.len() > count {
            let Some((due, handle)) = self.under_way.pop_front() else { break };
            handle.wait()?;
            recorder.done(due, 0);
        }
        Ok(())
    }
}

impl Client for ShingleClient<'_> {
    fn add(
        &mut self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        if self.in_flight == 1 {
            return self.add_and_wait(keys, amounts, due, recorder);
        }
        let handle = loop {
            match self.try_add(keys, amounts)? {
                Ok(handle) => break handle,
                Err(error) if error.kind() == ErrorKind::Conflict => recorder.conflict(),
                Err(error) => return Err(error.into()),
            }
            if self.under_way.is_empty() {
                return self.add_and_wait(keys, amounts, due, recorder);
            }
            // What it lost against may be its own.
            self.wait_down_to(self.under_way.len() - 1, recorder)?;
        };
        self.submitted(due, handle, recorder)
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let mut batch = Batch::new();
        batch.put(key, value);
        let handle = self.db.submit(batch)?;
        self.submitted(due, handle, recorder)
    }

    fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Notes commits as they are done, not when the next one is due.
    fn idle(&mut self, until: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while let Some((due, handle)) = self.under_way.front_mut() {
            match Pin::new(handle).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(committed) => {
                    committed?;
                    recorder.done(*due, 0);
                    self.under_way.pop_front();
                }
                Poll::Pending => match until.checked_duration_since(Instant::now()) {
                    Some(left) => std::thread::park_timeout(left),
                    None => return Ok(()),
                },
            }
        }
        super::clients::sleep_until(until);
        Ok(())
    }

    fn finish(&mut self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.wait_down_to(0, recorder)
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
