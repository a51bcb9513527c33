//! Several threads append to lists and read them; the histories are checked for cycles of dependencies.

use crate::checker::{Anomaly, Committed, Element, Key, check};
use crate::{store, store_on_disk};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Database, ErrorKind, Isolation, Result, Transaction};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const THREADS: u64 = 4;
const KEYS: Key = 5;

fn list(txn: &mut Transaction, key: Key) -> Result<Vec<Element>> {
    let bytes = txn.get([key])?.unwrap_or_default();
    Ok(bytes.chunks_exact(8).map(|e| u64::from_be_bytes(e.try_into().expect("eight bytes"))).collect())
}

/// The lists of all keys, read by one scan.
fn all_lists(txn: &mut Transaction) -> Result<Vec<(Key, Vec<Element>)>> {
    let mut lists: Vec<_> = (0..KEYS).map(|key| (key, Vec::new())).collect();
    for row in txn.range::<[u8; 1]>(..) {
        let (key, value) = row?;
        lists[usize::from(key[0])].1 =
            value.chunks_exact(8).map(|e| u64::from_be_bytes(e.try_into().expect("eight bytes"))).collect();
    }
    Ok(lists)
}

fn append(txn: &mut Transaction, key: Key, list: &[Element], element: Element) -> Result<()> {
    let bytes: Vec<u8> = list.iter().chain([&element]).flat_map(|e| e.to_be_bytes()).collect();
    txn.put([key], bytes)
}

/// One random transaction: reads of some keys, by point or by scan, and appends to some.
fn attempt(txn: &mut Transaction, rng: &mut SmallRng, element: &mut Element) -> Result<Committed> {
    let mut committed = Committed::default();
    if rng.random_ratio(1, 4) {
        committed.reads = all_lists(txn)?;
    } else {
        for _ in 0..rng.random_range(1..4) {
            let key = rng.random_range(0..KEYS);
            if committed.reads.iter().all(|(read, _)| *read != key) {
                committed.reads.push((key, list(txn, key)?));
            }
        }
    }
    thread::yield_now();
    for _ in 0..rng.random_range(0..3) {
        let key = rng.random_range(0..KEYS);
        if committed.appends.iter().all(|(appended, _)| *appended != key) {
            let before = list(txn, key)?;
            append(txn, key, &before, *element)?;
            committed.appends.push((key, *element));
            *element += 1;
        }
    }
    Ok(committed)
}

fn run(db: &Database, isolation: Isolation, rounds: u64, seed: u64) -> Result<Vec<Committed>> {
    let clock = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let mut history = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let clock = &clock;
                scope.spawn(move || -> Result<Vec<Committed>> {
                    let mut rng = SmallRng::seed_from_u64(seed * THREADS + thread);
                    let mut element = thread << 32;
                    let mut history = Vec::new();
                    for _ in 0..rounds {
                        let began = clock.fetch_add(1, Ordering::SeqCst);
                        let mut txn = db.begin_with(isolation);
                        let committed = attempt(&mut txn, &mut rng, &mut element)?;
                        match txn.commit() {
                            Ok(_) => {
                                let ended = clock.fetch_add(1, Ordering::SeqCst);
                                history.push(Committed { began, ended, ..committed });
                            }
                            Err(error) if error.kind() == ErrorKind::Conflict => {}
                            Err(error) => return Err(error),
                        }
                    }
                    Ok(history)
                })
            })
            .collect();
        let flusher = scope.spawn(|| -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                db.flush()?;
                thread::yield_now();
            }
            Ok(())
        });
        let mut history = Vec::new();
        for worker in workers {
            history.extend(worker.join().expect("no assertion in it")?);
        }
        done.store(true, Ordering::Relaxed);
        flusher.join().expect("no assertion in it")?;
        Ok::<_, shingle::Error>(history)
    })?;
    let began = clock.fetch_add(1, Ordering::SeqCst);
    let reads = all_lists(&mut db.begin())?;
    history.push(Committed { reads, appends: Vec::new(), began, ended: clock.fetch_add(1, Ordering::SeqCst) });
    Ok(history)
}

#[test]
fn histories_are_strictly_serializable() -> Result<()> {
    for seed in 0..6 {
        let history = run(&store(), Isolation::Serializable, 250, seed)?;
        assert!(history.len() > 200, "hardly anything committed: {}", history.len());
        let found = check(&history);
        assert!(found.is_none(), "seed {seed}: {found:?}");
    }
    Ok(())
}

#[test]
fn histories_are_strictly_serializable_on_disk() -> Result<()> {
    let (db, _dir) = store_on_disk();
    let history = run(&db, Isolation::Serializable, 300, 7)?;
    let found = check(&history);
    assert!(found.is_none(), "{found:?}");
    Ok(())
}

/// Snapshot isolation loses no append, and never gives an incompatible read; cycles it may have.
#[test]
fn histories_under_snapshot_isolation_lose_nothing() -> Result<()> {
    for seed in 0..3 {
        let history = run(&store(), Isolation::Snapshot, 250, seed)?;
        let found = check(&history);
        assert!(matches!(found, None | Some(Anomaly::Cycle(_))), "seed {seed}: {found:?}");
    }
    Ok(())
}

/// The checker and the store together: the write skew that snapshot isolation lets through is called a cycle.
#[test]
fn write_skew_under_snapshot_isolation_is_called_a_cycle() -> Result<()> {
    let db = store();
    let (mut first, mut second) = (db.begin_with(Isolation::Snapshot), db.begin_with(Isolation::Snapshot));
    let reads = [list(&mut first, 1)?, list(&mut second, 2)?];
    append(&mut first, 2, &[], 20)?;
    append(&mut second, 1, &[], 10)?;
    first.commit()?;
    second.commit()?;
    let [first_read, second_read] = reads;
    let history = [
        Committed { reads: vec![(1, first_read)], appends: vec![(2, 20)], began: 0, ended: 2 },
        Committed { reads: vec![(2, second_read)], appends: vec![(1, 10)], began: 1, ended: 3 },
        Committed { reads: all_lists(&mut db.begin())?, appends: Vec::new(), began: 4, ended: 5 },
    ];
    assert!(matches!(check(&history), Some(Anomaly::Cycle(_))));
    Ok(())
}
