//! How much checkpoints hold up commits: blocks, one after the other, with and without checkpoints beside them.

use super::block_stream::Blocks;
use super::keys::KeySpace;
use super::scratch::Scratch;
use crate::args::BenchCheckpointArgs;
use crate::interrupt::Interrupt;
use crate::latency::Latencies;
use crate::output::Output;
use crate::{progress, units};
use serde::Serialize;
use shingle::{Config, Database};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

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
    let mut blocks = Blocks::new(&db, &space, options, args.updates);
    let bar = progress::bar("loading", options.keys);
    blocks.load(|keys| bar.inc(keys))?;
    bar.finish_and_clear();
    db.flush()?;
    let (mut without, mut with) = (Measured::new()?, Measured::new()?);
    let bar = progress::bar("measuring", 2 * options.rounds);
    let mut checkpoint_bytes = 0;
    for _ in 0..options.rounds {
        commit_for(&mut blocks, Duration::from_secs(args.seconds), &mut without)?;
        bar.inc(1);
        let done = AtomicBool::new(false);
        let made = thread::scope(|scope| {
            let checkpoints = scope.spawn(|| make_checkpoints(&db, &done));
            let committed = commit_for(&mut blocks, Duration::from_secs(args.seconds), &mut with);
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

fn commit_for(blocks: &mut Blocks<'_>, time: Duration, measured: &mut Measured) -> anyhow::Result<()> {
    let mut choices = blocks.choices();
    let began = Instant::now();
    while began.elapsed() < time {
        let took = blocks.commit(&mut choices)?;
        measured.commits.record(took);
        measured.longest = measured.longest.max(took);
    }
    Ok(())
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
