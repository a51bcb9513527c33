//! What pruning costs, and what commits notice of it: `cargo run --release --example prune_rates [keys [versions [shards]]]`.

#![expect(clippy::print_stdout, reason = "figures for people")]

use shingle::{Batch, Block, Config, Database, Durability, PruneOptions, Pruned, Result, Retention};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BLOCK_KEYS: u64 = 10_000;
const VALUE_BYTES: usize = 100;

fn key(number: u64) -> [u8; 32] {
    let mut key = [0; 32];
    for (part, bytes) in key.chunks_mut(8).enumerate() {
        let mixed = (number + 1 + part as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bytes.copy_from_slice(&(mixed ^ (mixed >> 29)).to_be_bytes());
    }
    key[24..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Not compressible beyond what real values are.
fn value(seed: u64) -> Vec<u8> {
    (0..VALUE_BYTES as u64).map(|at| (seed.wrapping_mul(at | 1) >> 7) as u8).collect()
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let keys = args.next().unwrap_or(1_000_000);
    let versions = args.next().unwrap_or(10);
    let shards = args.next().unwrap_or(4) as usize;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = Config::medium();
    config.prune.reorg_window_blocks = 0;
    let db = Database::builder(dir.path().join("store")).shards(shards).config(config).open()?;
    let began = Instant::now();
    let mut height = 0;
    for version in 0..versions {
        for first in (0..keys).step_by(BLOCK_KEYS as usize) {
            height += 1;
            let mut batch = Batch::new();
            batch.set_durability(Durability::Buffered);
            for number in first..(first + BLOCK_KEYS).min(keys) {
                batch.put(key(number), value(number * 31 + version));
            }
            db.commit_block(Block { height, timestamp_ms: height }, batch)?;
        }
    }
    db.flush()?;
    println!(
        "{keys} keys x {versions} versions over {shards} shards, loaded in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    wait_for_compactions(&db);
    println!("compacted, {}", cpu());

    let began = Instant::now();
    let rows = db.range::<&[u8]>(..).try_fold(0_u64, |rows, row| row.map(|_| rows + 1))?;
    println!("newest state read: {rows} keys in {:.2} s, {}", began.elapsed().as_secs_f64(), cpu());
    let began = Instant::now();
    let report = db.verify(&|_| {})?;
    let rows: u64 = report.shards.iter().map(|shard| shard.rows).sum();
    println!("all of it read: {rows} rows in {:.2} s, {}", began.elapsed().as_secs_f64(), cpu());

    let blocks = db.blocks(..).len() as u64;
    // The blocks after the first round of all keys each supersede one version of each of their keys.
    let hundredth = keys / BLOCK_KEYS + blocks / 100;
    let dry = PruneOptions { dry_run: true, compact: false };
    let wet = PruneOptions { dry_run: false, compact: true };
    print("the first round of changes, nothing superseded", &db.prune(&Retention::from_height(keys / BLOCK_KEYS))?);
    print("one per cent, dry", &db.prune_with(&Retention::from_height(hundredth), dry, &|_| {})?);
    print("one per cent", &db.prune(&Retention::from_height(hundredth))?);

    let alone = commit_latencies(&db, keys, &AtomicBool::new(false), Some(Duration::from_secs(10)))?;
    println!("commits alone: {alone}, {}", cpu());
    let done = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        let committing = scope.spawn(|| commit_latencies(&db, keys, &done, None));
        let pruned = db.prune_with(&Retention::from_height(blocks), PruneOptions::default(), &|_| {});
        done.store(true, Ordering::Relaxed);
        print("all but the newest versions, beside commits", &pruned?);
        committing.join().expect("it does not panic")
    })?;
    println!("commits beside it: {beside}, {}", cpu());
    print("space given back", &db.prune_with(&Retention::default(), wet, &|_| {})?);
    wait_for_compactions(&db);
    let stats = db.stats();
    println!("files in the end: {} MB", stats.shards.iter().map(|shard| shard.file_bytes).sum::<u64>() / 1_000_000);
    let began = Instant::now();
    let rows = db.range::<&[u8]>(..).try_fold(0_u64, |rows, row| row.map(|_| rows + 1))?;
    println!("newest state read: {rows} keys in {:.2} s, {}", began.elapsed().as_secs_f64(), cpu());
    db.close()
}

fn wait_for_compactions(db: &Database) {
    let settled = |db: &Database| db.stats().shards.iter().all(|shard| shard.pending_compaction_bytes == 0);
    let began = Instant::now();
    while !settled(db) && began.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Durable commits of ten keys, one after the other, until told to stop or the time is over.
fn commit_latencies(db: &Database, keys: u64, stop: &AtomicBool, most: Option<Duration>) -> Result<String> {
    let (began, mut took, mut number) = (Instant::now(), Vec::new(), 0_u64);
    while !stop.load(Ordering::Relaxed) && most.is_none_or(|most| began.elapsed() < most) {
        let mut batch = Batch::new();
        for _ in 0..10 {
            number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            batch.put(key(number % keys), value(number));
        }
        let commit = Instant::now();
        db.commit(batch)?;
        took.push(commit.elapsed());
    }
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    let (median, p99, longest) = (at(0.5), at(0.99), at(1.0));
    Ok(format!("{} commits, median {median:.2} ms, p99 {p99:.2} ms, longest {longest:.1} ms", took.len()))
}

/// Processor time of the whole process since the last call, which other processes disturb less than elapsed time.
fn cpu() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    /// `USER_HZ` of Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let since = ticks - LAST.swap(ticks, Ordering::Relaxed);
    format!("{:.2} s of processor time", since as f64 / TICKS_PER_SECOND)
}

fn print(what: &str, pruned: &Pruned) {
    let seconds = pruned.micros as f64 / 1e6;
    println!(
        "{what}: {} rows of {} keys ({} changes) in {seconds:.2} s, {}, {:.0} k rows/s; files {} -> {} MB",
        pruned.versions,
        pruned.keys,
        pruned.changes,
        cpu(),
        pruned.versions as f64 / seconds / 1e3,
        pruned.before.physical_bytes / 1_000_000,
        pruned.after.physical_bytes / 1_000_000
    );
}
