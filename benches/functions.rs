//! The functions that a commit and a read spend their time in, one at a time.
//!
//! `cargo bench --workspace --bench functions`

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shingle::{Batch, Database, Durability};
use shingle_shard::backend::{Identity, MemoryBackend, PageLimit, RocksBackend, RocksOptions, RocksShared};
use shingle_shard::{KeyRange, Op, Ops, OpsBuf, Order, Shard, ShardOptions, key_hash};
use std::hint::black_box;
use std::sync::Arc;

const KEYS: u64 = 100_000;
const UPDATES: u64 = 10_000;
const VALUE: [u8; 100] = [7; 100];

/// Memory that a shard with all keys takes, with room to spare.
const OPTIONS: ShardOptions = ShardOptions { memory_hint_bytes: 64 << 20, row_cache: None };

fn key(number: u64) -> [u8; 32] {
    let mut key = [0; 32];
    for (lane, bytes) in key.chunks_exact_mut(8).enumerate() {
        let word = (number ^ (lane as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bytes.copy_from_slice(&(word ^ word >> 29).to_be_bytes());
    }
    key
}

/// The key numbers of update after update: they jump about, and come back after [`KEYS`].
fn numbers() -> impl Iterator<Item = u64> {
    (0..).map(|i: u64| i * 7919 % KEYS)
}

fn ops(numbers: impl Iterator<Item = u64>) -> OpsBuf {
    let mut ops = OpsBuf::default();
    numbers.for_each(|number| ops.push(Op { key: &key(number), value: Some(&VALUE) }));
    ops
}

fn batch(numbers: impl Iterator<Item = u64>) -> Batch {
    let mut batch = Batch::new();
    numbers.for_each(|number| {
        batch.put(key(number), VALUE);
    });
    batch
}

fn hash_and_route(criterion: &mut Criterion) {
    let db = Database::in_memory().expect("a store in memory");
    let mut numbers = numbers();
    let mut next = || key(numbers.next().unwrap_or_default());
    let mut group = criterion.benchmark_group("route");
    group.throughput(Throughput::Elements(1));
    group
        .bench_function("hash", |bencher| bencher.iter_batched(&mut next, |key| key_hash(&key), BatchSize::SmallInput));
    group.bench_function("hash and shard", |bencher| {
        bencher.iter_batched(&mut next, |key| db.shard_of(key), BatchSize::SmallInput);
    });
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let keys: Vec<_> = numbers().take(UPDATES as usize).map(key).collect();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(UPDATES));
    group.bench_function("fill a batch", |bencher| {
        bencher.iter(|| {
            let mut batch = Batch::new();
            keys.iter().for_each(|key| {
                batch.put(key, VALUE);
            });
            batch
        });
    });
    let bytes = ops(numbers().take(UPDATES as usize));
    group.bench_function("read packed writes", |bencher| {
        bencher.iter(|| Ops::new(bytes.as_bytes()).map(|op| op.key.len()).sum::<usize>());
    });
    group.finish();
}

/// Commits of transactions to a store in memory: what differs between them is what is validated.
fn conflict_check(criterion: &mut Criterion) {
    let db = Database::in_memory().expect("a store in memory");
    db.commit(batch(0..KEYS)).expect("memory has room");
    let mut group = criterion.benchmark_group("conflict check");
    group.throughput(Throughput::Elements(1));
    for reads in [0_usize, 2, 16, 128] {
        let mut numbers = numbers();
        group.bench_function(BenchmarkId::new("commit after reads", reads), |bencher| {
            let prepared = || {
                let mut txn = db.begin();
                for number in numbers.by_ref().take(reads) {
                    black_box(txn.get(key(number)).expect("memory can be read"));
                }
                txn.put(key(1), VALUE).expect("the key is sound");
                txn
            };
            bencher.iter_batched(prepared, |txn| txn.commit(), BatchSize::PerIteration);
        });
    }
    group.bench_function("commit after a scan of 100 keys", |bencher| {
        let prepared = || {
            let mut txn = db.begin();
            black_box(txn.range(key(2)..).take(100).count());
            txn.put(key(1), VALUE).expect("the key is sound");
            txn
        };
        bencher.iter_batched(prepared, |txn| txn.commit(), BatchSize::PerIteration);
    });
    group.finish();
}

fn memtable(criterion: &mut Criterion) {
    let empty = || Shard::new(0, Arc::new(MemoryBackend::new()), OPTIONS);
    let bytes = ops(numbers().take(UPDATES as usize));
    let mut group = criterion.benchmark_group("memtable");
    group.throughput(Throughput::Elements(UPDATES));
    group.bench_function("insert new keys", |bencher| {
        bencher.iter_batched_ref(empty, |shard| shard.apply(1, Ops::new(bytes.as_bytes())), BatchSize::PerIteration);
    });
    group.bench_function("insert newer versions", |bencher| {
        let filled = || {
            let shard = empty();
            shard.apply(1, Ops::new(bytes.as_bytes()));
            shard
        };
        bencher.iter_batched_ref(filled, |shard| shard.apply(2, Ops::new(bytes.as_bytes())), BatchSize::PerIteration);
    });

    let shard = empty();
    shard.apply(1, Ops::new(ops(0..KEYS).as_bytes()));
    let get = |number: u64| {
        let key = key(number);
        shard.get(&key, key_hash(&key), 1).expect("memory can be read")
    };
    group.throughput(Throughput::Elements(1));
    let mut present = numbers();
    group.bench_function("get", |bencher| bencher.iter(|| get(present.next().unwrap_or_default())));
    let mut absent = KEYS..;
    group.bench_function("get, absent", |bencher| bencher.iter(|| get(absent.next().unwrap_or_default())));
    group.finish();
}

/// The log can be met through commits alone: of one key, and of as many as a block has.
fn log_append(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = Database::open(dir.path().join("state")).expect("a fresh store");
    let mut numbers = numbers();
    let mut group = criterion.benchmark_group("log append");
    for updates in [1, UPDATES] {
        group.throughput(Throughput::Elements(updates));
        for durability in [Durability::Buffered, Durability::Sync] {
            let mut prepared = || {
                let mut batch = batch(numbers.by_ref().take(updates as usize));
                batch.set_durability(durability);
                batch
            };
            group.bench_function(BenchmarkId::new(format!("commit, {durability:?}"), updates), |bencher| {
                bencher.iter_batched(
                    &mut prepared,
                    |batch| db.commit(batch).expect("the disk has room"),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

/// Rows of memory and of the backend, in one order; then those of several shards.
fn merge_scan(criterion: &mut Criterion) {
    const ROWS: usize = 1000;
    let shard = Shard::new(0, Arc::new(MemoryBackend::new()), OPTIONS);
    shard.apply(1, Ops::new(ops((0..KEYS).filter(|number| number % 2 == 0)).as_bytes()));
    shard.flush(1, 0, &|_| {}).expect("memory has room");
    shard.evict(1, u64::MAX);
    shard.apply(2, Ops::new(ops((0..KEYS).filter(|number| number % 2 == 1)).as_bytes()));
    let mut group = criterion.benchmark_group("merge scan");
    group.throughput(Throughput::Elements(ROWS as u64));
    let mut page = shingle_shard::backend::Page::default();
    let limit = PageLimit { rows: ROWS, bytes: usize::MAX };
    group.bench_function("one shard, half of the rows in memory", |bencher| {
        bencher.iter(|| {
            shard.scan(&KeyRange::all(), 2, Order::Ascending, limit, &mut page).expect("memory can be read");
            page.len()
        });
    });
    for shards in [1, 8, 32] {
        let db = Database::builder("").shards(shards).in_memory().expect("a store in memory");
        db.commit(batch(0..KEYS)).expect("memory has room");
        let snapshot = db.snapshot();
        group.bench_function(BenchmarkId::new("shards", shards), |bencher| {
            bencher.iter(|| snapshot.range::<&[u8]>(..).take(ROWS).filter(Result::is_ok).count());
        });
    }
    group.finish();
}

fn flush(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = RocksOptions::default();
    let shared = RocksShared::new(&options, 1).expect("the defaults are valid");
    let bytes = ops(0..KEYS);
    let mut instances = 0_u32;
    let mut filled = || {
        instances += 1;
        let identity = Identity { store: "bench".to_owned(), shard: instances, format: 1 };
        let path = dir.path().join(instances.to_string());
        let backend = RocksBackend::create(&path, &identity, &options, &shared).expect("a fresh directory");
        let shard = Shard::new(0, Arc::new(backend), OPTIONS);
        shard.apply(1, Ops::new(bytes.as_bytes()));
        shard
    };
    let mut group = criterion.benchmark_group("flush");
    group.throughput(Throughput::Elements(KEYS)).sample_size(10);
    group.bench_function("to RocksDB", |bencher| {
        bencher.iter_batched_ref(
            &mut filled,
            |shard| shard.flush(1, 0, &|_| {}).expect("the disk has room"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, hash_and_route, encode, conflict_check, memtable, log_append, merge_scan, flush);
criterion_main!(benches);
