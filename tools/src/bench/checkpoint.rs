//! How much checkpoints hold up commits: blocks, one after the other, with and without checkpoints beside them.

use super::keys::KeySpace;
use super::scratch::Scratch;
use crate::args::{BenchCheckpointArgs, BenchOptions};
use crate::interrupt::Interrupt;
use crate::latency::Latencies;
use crate::output::Output;
use crate::{progress, units};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use shingle::{Batch, Block, Config, Database};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Far larger than the blocks in which a store compresses.
const POOL_BYTES: usize = 256 << 10;

/// Updates of one batch while the store is loaded.
const LOAD_UPDATES: u64 = 10_000;

#[derive(Serialize)]
struct Report<'a> {
    arguments: &'a BenchCheckpointArgs,
    /// Of all rounds together.
    without: Phase,
    with: Phase,
    /// Bytes of the last checkpoint.
    checkpoint_bytes: u64,
}

#[derive(Serialize)]
struct Phase {
    commits: u64,
    p50_ms: f64,
    p99_ms: f64,
    /// The longest commit: nothing was durable in between.
    longest_ms: f64,
    checkpoints: u64,
    /// Median of how long a checkpoint took.
    checkpoint_p50_ms: f64,
}

/// What is measured in the halves of the rounds of one kind.
struct Measured {
    commits: Latencies,
    checkpoints: Latencies,
    longest: Duration,
}

impl Measured {
    fn new() -> anyhow::Result<Self> {
        Ok(Measured { commits: Latencies::new()?, checkpoints: Latencies::new()?, longest: Duration::ZERO })
    }

    fn phase(&self) -> Phase {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        Phase {
            commits: self.commits.count(),
            p50_ms: ms(self.commits.quantile(0.5)),
            p99_ms: ms(self.commits.quantile(0.99)),
            longest_ms: ms(self.longest),
            checkpoints: self.checkpoints.count(),
            checkpoint_p50_ms: ms(self.checkpoints.quantile(0.5)),
        }
    }
}

pub(super) fn run(args: &BenchCheckpointArgs, out: &mut Output) -> anyhow::Result<()> {
    let options = &args.options;
    let scratch = Scratch::new(&options.scratch, options.keep)?;
    Interrupt::ends_at_once(scratch.remover())?;
    let mut config = Config::default();
    config.rocksdb.block_cache_size = options.cache;
    config.rocksdb.write_buffer_size = options.memtables / u64::from(config.rocksdb.max_write_buffer_number);
    config.rocksdb.max_background_jobs = options.jobs as u32;
    config.checkpoint.snapshot_interval = 0;
    let db = Database::builder(scratch.path().join("shingle"))
        .shards(options.shards.first().map_or(8, |&shards| shards as usize))
        .config(config)
        .open()?;
    let space = KeySpace::new(options);
    let mut blocks = Blocks { db: &db, space: &space, values: Values::new(options), height: 0, updates: args.updates };
    let bar = progress::bar("loading", options.keys);
    blocks.load(|keys| bar.inc(keys))?;
    bar.finish_and_clear();
    db.flush()?;
    let (mut without, mut with) = (Measured::new()?, Measured::new()?);
    let bar = progress::bar("measuring", 2 * options.rounds);
    let mut checkpoint_bytes = 0;
    for _ in 0..options.rounds {
        blocks.commit_for(Duration::from_secs(args.seconds), &mut without)?;
        bar.inc(1);
        let done = AtomicBool::new(false);
        let made = thread::scope(|scope| {
            let checkpoints = scope.spawn(|| make_checkpoints(&db, &done));
            let committed = blocks.commit_for(Duration::from_secs(args.seconds), &mut with);
            done.store(true, Ordering::Relaxed);
            let made = checkpoints.join().expect("nothing in it panics");
            committed.and(made)
        })?;
        for (took, bytes) in made {
            with.checkpoints.record(took);
            checkpoint_bytes = bytes;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    db.close()?;
    let report = Report { arguments: args, without: without.phase(), with: with.phase(), checkpoint_bytes };
    if out.json { out.document(&report) } else { report.print(out) }
}

/// One after the other; each is deleted before the next.
fn make_checkpoints(db: &Database, done: &AtomicBool) -> anyhow::Result<Vec<(Duration, u64)>> {
    let mut made = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let checkpoint = db.checkpoint("measured")?;
        made.push((began.elapsed(), checkpoint.bytes));
        db.delete_checkpoint("measured")?;
    }
    Ok(made)
}

struct Blocks<'a> {
    db: &'a Database,
    space: &'a KeySpace,
    values: Values,
    height: u64,
    updates: u64,
}

/// Pieces of random bytes, which no compression makes smaller.
struct Values {
    pool: Vec<u8>,
    bytes: usize,
}

impl Values {
    fn new(options: &BenchOptions) -> Self {
        let bytes = options.value_bytes as usize;
        let mut pool = vec![0; POOL_BYTES + bytes];
        SmallRng::seed_from_u64(options.seed).fill(pool.as_mut_slice());
        Values { pool, bytes }
    }

    fn at(&self, number: u64) -> &[u8] {
        let start = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % POOL_BYTES;
        &self.pool[start..start + self.bytes]
    }
}

impl Blocks<'_> {
    fn load(&mut self, mut done: impl FnMut(u64)) -> anyhow::Result<()> {
        let mut choices = self.space.choices(0);
        let mut first = 0;
        while first < self.space.keys {
            let last = (first + LOAD_UPDATES).min(self.space.keys);
            let mut batch = Batch::new();
            for number in first..last {
                batch.put(choices.key(number), self.values.at(number));
            }
            self.db.commit(batch)?;
            done(last - first);
            first = last;
        }
        Ok(())
    }

    fn commit_for(&mut self, time: Duration, measured: &mut Measured) -> anyhow::Result<()> {
        let mut choices = self.space.choices(self.height + 1);
        let began = Instant::now();
        while began.elapsed() < time {
            self.height += 1;
            let mut batch = Batch::new();
            for _ in 0..self.updates {
                let number = choices.number();
                batch.put(choices.key(number), self.values.at(number ^ self.height));
            }
            let submitted = Instant::now();
            self.db.commit_block(Block { height: self.height, timestamp_ms: self.height }, batch)?;
            let took = submitted.elapsed();
            measured.commits.record(took);
            measured.longest = measured.longest.max(took);
        }
        Ok(())
    }
}

impl Report<'_> {
    fn print(&self, out: &mut Output) -> anyhow::Result<()> {
        let ms = |ms: f64| format!("{} ms", units::significant(ms));
        let row = |name: &str, phase: &Phase| {
            vec![
                name.to_owned(),
                units::count(phase.commits),
                ms(phase.p50_ms),
                ms(phase.p99_ms),
                ms(phase.longest_ms),
                units::count(phase.checkpoints),
            ]
        };
        out.line(format_args!(
            "bench checkpoint: blocks of {} updates, {} rounds",
            units::count(self.arguments.updates),
            self.arguments.options.rounds
        ))?;
        out.table(
            &["commits", "number", "p50", "p99", "longest", "checkpoints"],
            [row("without checkpoints", &self.without), row("with checkpoints", &self.with)],
        )?;
        out.line(format_args!(
            "a checkpoint of {} took {} in the median",
            units::bytes(self.checkpoint_bytes),
            ms(self.with.checkpoint_p50_ms)
        ))
    }
}
