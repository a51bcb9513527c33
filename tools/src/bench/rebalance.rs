//! What a rebalancing costs who commits and reads meanwhile: shards are added and removed again under load, and the contents compared.

use super::block_stream::Blocks;
use super::keys::KeySpace;
use super::scratch::Scratch;
use crate::args::BenchRebalanceArgs;
use crate::interrupt::Interrupt;
use crate::latency::Latencies;
use crate::output::Output;
use crate::{progress, units};
use anyhow::ensure;
use indicatif::ProgressBar;
use serde::Serialize;
use shingle::{Config, Database, RebalanceOptions, RebalanceRequest, RebalanceStatus, RebalanceWait, Rebalanced};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// What is measured one after the other.
///
/// A rebalancing is two of them: until the new shards answer for what was moved, and until it is removed from where it was. What the others are compared
/// with is the second one: a store that was just loaded owes its compaction, and is faster than it can stay.
const PHASES: [&str; 8] = ["warming", "before", "growing", "cleaning", "between", "shrinking", "removing", "after"];
const BEFORE: usize = 1;

/// The pause of the reader between two reads: it is to notice pauses, not to be the load.
const READ_EVERY: Duration = Duration::from_micros(200);

#[derive(Serialize)]
struct Report<'a> {
    arguments: &'a BenchRebalanceArgs,
    phases: Vec<Phase>,
    grown: Rebalanced,
    shrunk: Rebalanced,
    /// Keys whose values were compared with what was written last: all of them.
    keys_compared: u64,
}

#[derive(Serialize)]
struct Phase {
    name: &'static str,
    seconds: f64,
    updates_per_sec: f64,
    /// Of what was before.
    ratio: f64,
    /// The part of the time in which commits waited for memory.
    held_back: f64,
    commits: Pauses,
    reads: Pauses,
}

#[derive(Serialize)]
struct Pauses {
    number: u64,
    p50_ms: f64,
    p99_ms: f64,
    longest_ms: f64,
}

/// What one thread measured in one phase.
struct Measured {
    latencies: Latencies,
    longest: Duration,
}

impl Measured {
    fn phases() -> anyhow::Result<Vec<Measured>> {
        PHASES.iter().map(|_| Ok(Measured { latencies: Latencies::new()?, longest: Duration::ZERO })).collect()
    }

    fn record(&mut self, took: Duration) {
        self.latencies.record(took);
        self.longest = self.longest.max(took);
    }

    fn pauses(&self) -> Pauses {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        Pauses {
            number: self.latencies.count(),
            p50_ms: ms(self.latencies.quantile(0.5)),
            p99_ms: ms(self.latencies.quantile(0.99)),
            longest_ms: ms(self.longest),
        }
    }
}

pub(super) fn run(args: &BenchRebalanceArgs, out: &mut Output) -> anyhow::Result<()> {
    let options = &args.options;
    let scratch = Scratch::new(&options.scratch, options.keep)?;
    Interrupt::ends_at_once(scratch.remover())?;
    let mut config = Config::default();
    config.rocksdb.block_cache_size = options.cache;
    config.rocksdb.write_buffer_size = options.memtables / u64::from(config.rocksdb.max_write_buffer_number);
    config.rocksdb.max_background_jobs = options.jobs as u32;
    config.checkpoint.snapshot_interval = 0;
    let shards = options.shards.first().map_or(4, |&shards| shards as usize);
    let db = Database::builder(scratch.path().join("shingle")).shards(shards).config(config).open()?;
    let space = KeySpace::new(options);
    let mut blocks = Blocks::new(&db, &space, options, args.updates);
    let bar = progress::bar("loading", options.keys);
    blocks.load(|keys| bar.inc(keys))?;
    bar.finish_and_clear();
    db.flush()?;
    let measured = measure(args, &db, &space, &mut blocks, shards)?;
    let keys_compared = compare(&db, &space, &blocks)?;
    let report = db.verify(&|_| {})?;
    ensure!(report.is_sound(), "the store is not sound: {report:?}");
    db.close()?;
    let report = measured.report(args, keys_compared);
    if out.json { out.document(&report) } else { report.print(out) }
}

/// The measurements of all phases.
struct Run {
    took: [Duration; PHASES.len()],
    /// How long commits waited for memory.
    held_back: [Duration; PHASES.len()],
    commits: Vec<Measured>,
    reads: Vec<Measured>,
    grown: Rebalanced,
    shrunk: Rebalanced,
}

fn measure(
    args: &BenchRebalanceArgs,
    db: &Database,
    space: &KeySpace,
    blocks: &mut Blocks<'_>,
    shards: usize,
) -> anyhow::Result<Run> {
    let (phase, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (mut took, mut held_back) = ([Duration::ZERO; PHASES.len()], [Duration::ZERO; PHASES.len()]);
    let mut rebalanced = [Rebalanced::default(); 2];
    let bar = progress::bar("measuring", PHASES.len() as u64);
    let (outcome, commits, reads) = thread::scope(|scope| {
        let writer =
            scope.spawn(|| commit_until(&done, &phase, blocks, args.rate.map(|rate| rate / args.updates as f64)));
        let reader = scope.spawn(|| read_until(&done, &phase, db, space));
        let mut phases = || {
            for (number, (took, held_back)) in took.iter_mut().zip(&mut held_back).enumerate() {
                phase.store(number, Relaxed);
                let (began, waited) = (Instant::now(), db.counts().0.memory_wait_micros);
                match number {
                    2 => rebalanced[0] = rebalance(db, args, args.to_shards as usize, &bar)?,
                    5 => rebalanced[1] = rebalance(db, args, shards, &bar)?,
                    3 | 6 => wait_until_clean(db, &bar)?,
                    0 => thread::sleep(Duration::from_secs(args.warm_up)),
                    // What writes would stop at is told by the writer.
                    _ => thread::sleep(Duration::from_secs(args.seconds)),
                }
                *took = began.elapsed();
                *held_back = Duration::from_micros(db.counts().0.memory_wait_micros - waited);
                bar.inc(1);
            }
            anyhow::Ok(())
        };
        let outcome = phases();
        done.store(true, Relaxed);
        let commits = writer.join().expect("nothing in it panics");
        (outcome, commits, reader.join().expect("nothing in it panics"))
    });
    bar.finish_and_clear();
    outcome?;
    let [grown, shrunk] = rebalanced;
    Ok(Run { took, held_back, commits: commits?, reads: reads?, grown, shrunk })
}

fn rebalance(db: &Database, args: &BenchRebalanceArgs, shards: usize, bar: &ProgressBar) -> anyhow::Result<Rebalanced> {
    let request = RebalanceRequest { to_shards: Some(shards), ..RebalanceRequest::default() };
    let options = RebalanceOptions { bytes_per_sec: args.copy_rate, wait: RebalanceWait::HandedOver };
    let plan = db.plan_rebalance(&request)?.plan;
    let tell = |status: &RebalanceStatus| {
        let (percent, copied) = (100.0 * status.fraction, units::bytes(status.bytes_copied));
        bar.set_message(format!("{shards} shards: {percent:.0} %, {copied} copied"));
    };
    Ok(db.rebalance(&plan, options, &tell)?)
}

fn wait_until_clean(db: &Database, bar: &ProgressBar) -> anyhow::Result<()> {
    while let Some(status) = db.rebalance_status() {
        ensure!(status.failure.is_none(), "{status:?}");
        bar.set_message(format!("{} rows removed", units::count(status.rows_removed)));
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Commits one block after the other, or `rate` of them in a second, however long each takes.
fn commit_until(
    done: &AtomicBool,
    phase: &AtomicUsize,
    blocks: &mut Blocks<'_>,
    rate: Option<f64>,
) -> anyhow::Result<Vec<Measured>> {
    let mut measured = Measured::phases()?;
    let mut choices = blocks.choices();
    let began = Instant::now();
    for number in 0_u64.. {
        if done.load(Relaxed) {
            break;
        }
        let due = rate.map(|rate| began + Duration::from_secs_f64(number as f64 / rate));
        if let Some(due) = due {
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let during = phase.load(Relaxed);
        let took = blocks.commit(&mut choices)?;
        measured[during].record(due.map_or(took, |due| due.elapsed()));
    }
    Ok(measured)
}

fn read_until(
    done: &AtomicBool,
    phase: &AtomicUsize,
    db: &Database,
    space: &KeySpace,
) -> anyhow::Result<Vec<Measured>> {
    let mut measured = Measured::phases()?;
    let mut choices = space.choices(u64::MAX);
    while !done.load(Relaxed) {
        let during = phase.load(Relaxed);
        let number = choices.number();
        let began = Instant::now();
        let found = db.get(choices.key(number))?;
        measured[during].record(began.elapsed());
        ensure!(found.is_some(), "key {number} is gone");
        thread::sleep(READ_EVERY);
    }
    Ok(measured)
}

/// Compares every key and its value with what was written last, in key order.
fn compare(db: &Database, space: &KeySpace, blocks: &Blocks<'_>) -> anyhow::Result<u64> {
    let mut choices = space.choices(0);
    let mut expected: Vec<(Vec<u8>, u64)> =
        (0..space.keys).map(|number| (choices.key(number).to_vec(), number)).collect();
    expected.sort_unstable();
    let mut rows = db.range::<&[u8]>(..);
    let bar = progress::bar("comparing", space.keys);
    for (key, number) in &expected {
        let row = rows.next_row().transpose()?;
        ensure!(row == Some((key.as_slice(), blocks.value(*number))), "key {number} is not as it was written");
        bar.inc(1);
    }
    bar.finish_and_clear();
    ensure!(rows.next_row().is_none(), "there are more keys than were written");
    Ok(expected.len() as u64)
}

impl Run {
    fn report<'a>(&self, args: &'a BenchRebalanceArgs, keys_compared: u64) -> Report<'a> {
        let rate = |number: usize| {
            let updates = self.commits[number].latencies.count() * args.updates;
            updates as f64 / self.took[number].as_secs_f64()
        };
        let phase = |(number, &name): (usize, &&'static str)| Phase {
            name,
            seconds: self.took[number].as_secs_f64(),
            updates_per_sec: rate(number),
            ratio: rate(number) / rate(BEFORE),
            held_back: self.held_back[number].as_secs_f64() / self.took[number].as_secs_f64(),
            commits: self.commits[number].pauses(),
            reads: self.reads[number].pauses(),
        };
        let phases = PHASES.iter().enumerate().skip(BEFORE).map(phase).collect();
        Report { arguments: args, phases, grown: self.grown, shrunk: self.shrunk, keys_compared }
    }
}

impl Report<'_> {
    fn print(&self, out: &mut Output) -> anyhow::Result<()> {
        let ms = |ms: f64| format!("{} ms", units::significant(ms));
        let row = |phase: &Phase| {
            vec![
                phase.name.to_owned(),
                format!("{} s", units::significant(phase.seconds)),
                format!("{}/s", units::rate(phase.updates_per_sec)),
                format!("{:.0} %", 100.0 * phase.ratio),
                format!("{:.0} %", 100.0 * phase.held_back),
                ms(phase.commits.p50_ms),
                ms(phase.commits.p99_ms),
                ms(phase.commits.longest_ms),
                ms(phase.reads.p99_ms),
                ms(phase.reads.longest_ms),
            ]
        };
        let (from, to) = (self.arguments.options.shards.first().copied().unwrap_or(4), self.arguments.to_shards);
        out.line(format_args!(
            "bench rebalance: {from} shards to {to} and back, blocks of {} updates of {} keys",
            units::count(self.arguments.updates),
            units::count(self.arguments.options.keys)
        ))?;
        out.table(
            &["", "time", "updates", "of before", "held back", "commit p50", "p99", "longest", "read p99", "longest"],
            self.phases.iter().map(row),
        )?;
        for (name, done) in [("growing", &self.grown), ("shrinking", &self.shrunk)] {
            out.line(format_args!(
                "{name}: {} in {}, {} rows and {} copied, numbering held up for {} at the most",
                units::counted(done.slots, "slot"),
                units::duration(Duration::from_micros(done.micros)),
                units::count(done.rows),
                units::bytes(done.bytes),
                units::duration(Duration::from_micros(done.barrier_micros_max)),
            ))?;
        }
        out.line(format_args!("{} keys compared: all as they were written last", units::count(self.keys_compared)))
    }
}
