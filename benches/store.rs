//! What a node does most, on a store in a temporary directory: blocks, transactions, reads now and then, scans.
//!
//! `cargo bench --workspace` runs them; comparisons with other stores are `shingle bench`'s.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{At, Batch, Block, Database, Result};
use std::hint::black_box;

const KEYS: u64 = 100_000;
const BLOCK_UPDATES: u64 = 10_000;
const VALUE: [u8; 100] = [7; 100];

fn key(number: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key
}

fn block_of(keys: impl Iterator<Item = u64>) -> Batch {
    let mut batch = Batch::new();
    keys.for_each(|number| {
        batch.put(key(number), VALUE);
    });
    batch
}

/// A store with [`KEYS`] keys at height 1, all of them in the backends as well.
fn loaded(dir: &std::path::Path) -> Result<Database> {
    let db = Database::open(dir.join("state"))?;
    db.commit_block(Block { height: 1, timestamp_ms: 1 }, block_of(0..KEYS))?;
    db.flush()?;
    Ok(db)
}

fn store(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = loaded(dir.path()).expect("a fresh store");
    let mut rng = SmallRng::seed_from_u64(1);
    let mut height = 1;

    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(BLOCK_UPDATES));
    group.bench_function("block of 10 000 updates, durable", |bencher| {
        let batch = |rng: &mut SmallRng| {
            block_of((0..BLOCK_UPDATES).map(|_| rng.random_range(0..KEYS)).collect::<Vec<_>>().into_iter())
        };
        bencher.iter_batched(
            || batch(&mut rng),
            |batch| {
                height += 1;
                db.commit_block(Block { height, timestamp_ms: height }, batch).expect("room on the disk")
            },
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("transaction of 2 reads and 2 writes, durable", |bencher| {
        bencher.iter(|| {
            let (from, to) = (key(rng.random_range(0..KEYS)), key(rng.random_range(0..KEYS)));
            db.transact(|txn| {
                black_box((txn.get(from)?, txn.get(to)?));
                txn.put(from, VALUE)?;
                txn.put(to, VALUE)
            })
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("read");
    let then = db.snapshot_at(At::Height(1)).expect("the first block");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bencher| bencher.iter(|| db.get(key(rng.random_range(0..KEYS)))));
    group.bench_function("get, absent", |bencher| bencher.iter(|| db.get(key(KEYS + rng.random_range(0..KEYS)))));
    group
        .bench_function("get at the first height", |bencher| bencher.iter(|| then.get(key(rng.random_range(0..KEYS)))));
    group.throughput(Throughput::Elements(100));
    group.bench_function("scan of 100 keys", |bencher| {
        bencher.iter(|| {
            db.range(key(rng.random_range(0..KEYS))..)
                .take(100)
                .map(|row| row.map_or(0, |(key, _)| key.len()))
                .sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
