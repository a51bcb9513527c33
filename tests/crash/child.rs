//! The process that is killed: several threads commit, flush and roll back as fast as they can, and tell what was acknowledged.

use crate::group::{self, SHARDS};
use crate::kill_at::kill_at;
use crate::line::{EMPTY_BLOCK, Line, Stamp};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Block, Builder, Config, Database, Durability, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const DIR: &str = "SHINGLE_CRASH_DIR";
pub(crate) const RUN: &str = "SHINGLE_CRASH_RUN";
/// `name passes`: kill at the named point once it has been passed so often.
pub(crate) const POINT: &str = "SHINGLE_CRASH_POINT";
/// Set where the disk itself will fail: only what is durable is told as acknowledged, and an error ends the child.
pub(crate) const POWER: &str = "SHINGLE_CRASH_POWER";

/// A parent that is gone without killing leaves no process behind.
const LIFETIME: Duration = Duration::from_secs(20);

/// The transactions' group; the other threads have one each.
const SHARED_GROUP: u64 = 0;

pub(crate) fn builder(dir: &Path) -> Builder {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 256 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.log.segment_bytes = 1 << 20;
    config.log.buffered_sync_ms = 2;
    config.flush.blocks_per_flush = 9;
    config.checkpoint.snapshot_interval = 12;
    config.checkpoint.keep_recent = 1;
    Database::builder(dir).shards(SHARDS).config(config)
}

pub(crate) fn main() {
    let variable = |name: &str| std::env::var(name).expect("the parent has set it");
    let run: u64 = variable(RUN).parse().expect("a number");
    if let Ok(point) = std::env::var(POINT) {
        let name = point.split(' ').next().expect("there is always a first").to_owned();
        kill_at(&point, move || Line::Point(name.clone()).tell());
    }
    let db = builder(Path::new(&variable(DIR))).open().expect("a killed store opens");
    Line::Ready(db.version()).tell();
    let began = Instant::now();
    let alive = || began.elapsed() < LIFETIME;
    let stamps = AtomicU64::new((run + 1) << 32);
    let worker = Worker { db: &db, stamps: &stamps, power: std::env::var(POWER).is_ok() };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        thread::scope(|scope| {
            for thread in 1..3 {
                scope.spawn(move || worker.write_batches(thread, SmallRng::seed_from_u64(run * 8 + thread), alive));
            }
            for thread in 3..5 {
                scope.spawn(move || worker.run_transactions(SmallRng::seed_from_u64(run * 8 + thread), alive));
            }
            scope.spawn(move || worker.make_blocks(5, SmallRng::seed_from_u64(run * 8 + 5), alive));
        });
    }));
    assert!(outcome.is_ok(), "a thread of the child has failed");
}

#[derive(Clone, Copy)]
struct Worker<'a> {
    db: &'a Database,
    stamps: &'a AtomicU64,
    /// A power cut is to come.
    power: bool,
}

impl Worker<'_> {
    /// What succeeded. A failure is a bug, unless the disk is being taken away.
    fn sound<T>(&self, outcome: shingle::Result<T>) -> T {
        match outcome {
            Ok(value) => value,
            Err(_) if self.power => std::process::exit(1),
            Err(error) => panic!("it should have succeeded: {error}"),
        }
    }

    fn acknowledge(&self, stamp: Stamp, version: u64, block: Option<Block>, durability: Durability) {
        if durability == Durability::Sync || !self.power {
            Line::Ack { stamp, version, block }.tell();
        }
    }

    fn stamp(&self) -> Stamp {
        self.stamps.fetch_add(1, Ordering::Relaxed)
    }

    /// Batches, several in flight.
    fn write_batches(self, group: u64, mut rng: SmallRng, alive: impl Fn() -> bool) {
        while alive() {
            let handles: Vec<_> = (0..rng.random_range(1..5))
                .map(|_| {
                    let stamp = self.stamp();
                    let mut batch = group::batch(group, stamp);
                    let durability = if rng.random_ratio(1, 3) { Durability::Buffered } else { Durability::Sync };
                    batch.set_durability(durability);
                    let handle = self.sound(self.db.submit(batch));
                    Line::Try { stamp, version: handle.version(), block: None }.tell();
                    (stamp, handle, durability)
                })
                .collect();
            for (stamp, handle, durability) in handles {
                self.acknowledge(stamp, self.sound(handle.wait()), None, durability);
            }
        }
    }

    /// Transactions that read the whole group, which must be of one commit, and write it anew.
    fn run_transactions(self, mut rng: SmallRng, alive: impl Fn() -> bool) {
        while alive() {
            let stamp = self.stamp();
            let mut txn = self.db.begin();
            let values = txn
                .prefix(format!("group/{SHARED_GROUP}/"))
                .map(|row| row.map(|(_, value)| value))
                .collect::<shingle::Result<Vec<_>>>()
                .or_else(|error| if error.kind() == ErrorKind::RolledBack { Ok(Vec::new()) } else { Err(error) });
            let mut values = self.sound(values);
            values.dedup();
            assert!(values.len() <= 1, "a transaction saw parts of {} commits", values.len());
            for key in group::keys(SHARED_GROUP).chain([group::own_key(stamp)]) {
                txn.put(key, group::value(stamp)).expect("in bounds");
            }
            let durability = if rng.random() { Durability::Buffered } else { Durability::Sync };
            txn.set_durability(durability);
            match txn.submit().and_then(|handle| {
                Line::Try { stamp, version: handle.version(), block: None }.tell();
                handle.wait()
            }) {
                Ok(version) => self.acknowledge(stamp, version, None, durability),
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::RolledBack) => {}
                failed => drop(self.sound(failed)),
            }
        }
    }

    /// Blocks with and without writes, flushes, and now and then a rollback.
    fn make_blocks(self, group: u64, mut rng: SmallRng, alive: impl Fn() -> bool) {
        let db = self.db;
        while alive() {
            let (height, timestamp_ms) = db.head().map_or((0, 0), |head| (head.height, head.timestamp_ms));
            let block =
                Block { height: height + rng.random_range(1..4), timestamp_ms: timestamp_ms + rng.random_range(0..9) };
            let (stamp, batch) = if rng.random_ratio(1, 4) {
                (EMPTY_BLOCK, Batch::new())
            } else {
                let stamp = self.stamp();
                (stamp, group::batch(group, stamp))
            };
            let handle = self.sound(db.submit_block(block, batch));
            Line::Try { stamp, version: handle.version(), block: Some(block) }.tell();
            self.acknowledge(stamp, self.sound(handle.wait()), Some(block), Durability::Sync);
            match rng.random_range(0..30) {
                0..3 => drop(self.sound(db.flush())),
                3..6 => {
                    let blocks = db.blocks(..);
                    let far = if rng.random_ratio(1, 5) { blocks.len() } else { 6 };
                    let back = rng.random_range(1..=far).min(blocks.len());
                    let to = blocks[blocks.len() - back];
                    Line::Rolling(to).tell();
                    Line::Rolled(self.sound(db.rollback_to(to.height))).tell();
                }
                _ => {}
            }
        }
    }
}
