//! The store against an ordered map: random operations, every answer compared.
//!
//! `SHINGLE_SEED` chooses other operations, `SHINGLE_OPS` how many each configuration runs. A failure prints what repeats it.

#[path = "../support/env.rs"]
mod env;
mod oracle;
mod pool;
mod reads;
mod run;

use run::{Place, Run, Shape};
use shingle::RoutingKey;

/// Operations of each configuration: writes, point reads, scans, commits, snapshots, flushes, rollbacks, rebalancings, reopenings.
const OPS: u64 = 90_000;
/// A store is thrown away after this many, so that small and large stores, budgets and key sets all have their turn.
const OPS_PER_RUN: u64 = 15_000;
const CONFIGURATIONS: u64 = 12;
const _: () = assert!(OPS * CONFIGURATIONS > 1_000_000);

fn check(shape: Shape) {
    let ops = env::number("SHINGLE_OPS", OPS);
    let first_seed = env::number("SHINGLE_SEED", 1);
    let mut done = 0;
    for seed in first_seed.. {
        let on_failure = Reproduce { seed, shape };
        done += Run::new(seed, shape).execute(OPS_PER_RUN.min(ops - done));
        drop(on_failure);
        if done >= ops {
            break;
        }
    }
    assert!(done >= ops, "{done} of {ops} operations were run");
}

/// Says how to repeat a run that panics.
struct Reproduce {
    seed: u64,
    shape: Shape,
}

impl Drop for Reproduce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with SHINGLE_SEED={} SHINGLE_OPS={OPS_PER_RUN}: {:?}", self.seed, self.shape);
        }
    }
}

macro_rules! configurations {
    ($($name:ident: $place:ident, $shards:literal, $routing:expr;)*) => {
        $(#[test]
        fn $name() {
            check(Shape { place: Place::$place, shards: $shards, routing_key: $routing });
        })*
        const _: () = assert!([$(stringify!($name)),*].len() as u64 == CONFIGURATIONS);
    };
}

configurations! {
    on_disk_1_shard: Disk, 1, RoutingKey::Whole;
    on_disk_3_shards: Disk, 3, RoutingKey::Whole;
    on_disk_16_shards: Disk, 16, RoutingKey::Whole;
    on_disk_1_shard_by_prefix: Disk, 1, RoutingKey::Prefix(1);
    on_disk_3_shards_by_prefix: Disk, 3, RoutingKey::Prefix(12);
    on_disk_16_shards_by_prefix: Disk, 16, RoutingKey::Prefix(2);
    in_memory_1_shard: Memory, 1, RoutingKey::Whole;
    in_memory_3_shards: Memory, 3, RoutingKey::Whole;
    in_memory_16_shards: Memory, 16, RoutingKey::Whole;
    in_memory_1_shard_by_prefix: Memory, 1, RoutingKey::Prefix(1);
    in_memory_3_shards_by_prefix: Memory, 3, RoutingKey::Prefix(12);
    in_memory_16_shards_by_prefix: Memory, 16, RoutingKey::Prefix(2);
}

/// A check counts once it has found what it is for.
#[test]
fn a_store_that_holds_something_else_is_found() {
    let shape = Shape { place: Place::Memory, shards: 3, routing_key: RoutingKey::Whole };
    let changes: [fn(&[u8], &mut shingle::Batch); 3] = [
        |key, batch| {
            batch.delete(key);
        },
        |key, batch| {
            batch.put(key, "another value");
        },
        |key, batch| {
            batch.put([key, b"!"].concat(), "a key that nobody wrote");
        },
    ];
    for change in changes {
        Run::new(1, shape).execute_wrongly(3000, change);
    }
}
