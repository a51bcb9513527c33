//! Real threads: sums that must come out, and readers that must never see one that does not.

use crate::{number, store, store_on_disk};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Database, Isolation, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const THREADS: u64 = 4;

/// Increments of a few counters by all threads at once, in transactions that are retried by hand until they commit.
fn counters_come_out(db: &Database, isolation: Isolation) -> Result<()> {
    const ROUNDS: u64 = 300;
    const COUNTERS: u64 = 3;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || -> Result<()> {
                    for round in 0..ROUNDS {
                        let key = [((thread + round) % COUNTERS) as u8];
                        loop {
                            let mut txn = db.begin_with(isolation);
                            let before = number(txn.get(key)?);
                            txn.put(key, (before + 1).to_be_bytes())?;
                            match txn.commit() {
                                Ok(_) => break,
                                Err(error) if error.kind() == shingle::ErrorKind::Conflict => {}
                                Err(error) => return Err(error),
                            }
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no assertion in it"))
    })?;
    let sum: u64 = (0..COUNTERS).map(|n| Ok(number(db.get([n as u8])?))).sum::<Result<u64>>()?;
    assert_eq!(sum, THREADS * ROUNDS, "an increment was lost");
    Ok(())
}

#[test]
fn no_increment_is_lost() -> Result<()> {
    counters_come_out(&store(), Isolation::Serializable)?;
    counters_come_out(&store(), Isolation::Snapshot)?;
    let (db, _dir) = store_on_disk();
    counters_come_out(&db, Isolation::Serializable)
}

/// Transfers between accounts on all shards, while readers add everything up: by point reads, by scans from either end, in history, while
/// flushes go on.
#[test]
fn readers_always_see_the_same_total() -> Result<()> {
    const ACCOUNTS: u64 = 40;
    const START: u64 = 1000;
    const TRANSFERS: u64 = 400;
    let account = |n: u64| format!("account/{n:03}");
    let (db, _dir) = store_on_disk();
    let mut opening = Batch::new();
    for n in 0..ACCOUNTS {
        opening.put(account(n), START.to_be_bytes());
    }
    let opened = db.commit(opening)?;
    let total = ACCOUNTS * START;

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let movers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let db = &db;
                scope.spawn(move || -> Result<()> {
                    let mut rng = SmallRng::seed_from_u64(thread);
                    for _ in 0..TRANSFERS {
                        let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
                        let amount = rng.random_range(0..50);
                        db.transact(|txn| {
                            let has = number(txn.get(account(from))?);
                            if from == to || has < amount {
                                return Ok(());
                            }
                            let other = number(txn.get(account(to))?);
                            txn.put(account(from), (has - amount).to_be_bytes())?;
                            txn.put(account(to), (other + amount).to_be_bytes())
                        })?;
                    }
                    Ok(())
                })
            })
            .collect();
        let readers: Vec<_> = (0..2_u64)
            .map(|reader| {
                let (db, done) = (&db, &done);
                scope.spawn(move || -> Result<u64> {
                    let mut rng = SmallRng::seed_from_u64(100 + reader);
                    let mut rounds = 0;
                    while !done.load(Ordering::Relaxed) {
                        let snapshot = if rng.random() {
                            db.snapshot()
                        } else {
                            db.snapshot_at(shingle::At::Version(rng.random_range(opened..=db.version())))?
                        };
                        let sum: u64 = match rounds % 4 {
                            0 => (0..ACCOUNTS).map(|n| Ok(number(snapshot.get(account(n))?))).sum::<Result<u64>>()?,
                            1 => {
                                snapshot.prefix("account/").map(|row| Ok(number(Some(row?.1)))).sum::<Result<u64>>()?
                            }
                            2 => snapshot
                                .range("account/".."account0")
                                .rev()
                                .map(|row| Ok(number(Some(row?.1))))
                                .sum::<Result<u64>>()?,
                            _ => {
                                let keys: Vec<_> = (0..ACCOUNTS).map(account).collect();
                                db.multi_get(&keys)?.into_iter().map(number).sum()
                            }
                        };
                        assert_eq!(sum, total, "a reader saw a part of a transfer, way {}", rounds % 4);
                        rounds += 1;
                    }
                    Ok(rounds)
                })
            })
            .collect();
        let flusher = scope.spawn(|| -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                db.flush()?;
            }
            Ok(())
        });
        let moved = movers.into_iter().try_for_each(|mover| mover.join().expect("no assertion in it"));
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("every sum came out")? > 0, "the reader never read");
        }
        flusher.join().expect("no assertion in it")?;
        moved
    })?;
    let sum = db.prefix("account/").map(|row| Ok(number(Some(row?.1)))).sum::<Result<u64>>()?;
    assert_eq!(sum, total);
    Ok(())
}

/// Each name may be taken once, which every thread makes sure of by reading the range of that name: only validation of ranges keeps two
/// from taking it at once.
#[test]
fn a_constraint_that_is_checked_by_a_range_read_holds() -> Result<()> {
    const NAMES: u64 = 150;
    let db = store();
    let taken: Vec<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let db = &db;
                scope.spawn(move || -> Result<u64> {
                    let mut taken = 0;
                    for name in 0..NAMES {
                        let prefix = format!("name/{name:04}/");
                        taken += db.transact(|txn| {
                            if txn.prefix(&prefix).next().transpose()?.is_some() {
                                return Ok(0);
                            }
                            txn.put(format!("{prefix}{thread}"), "taken")?;
                            Ok(1)
                        })?;
                    }
                    Ok(taken)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no assertion in it")).collect::<Result<_>>()
    })?;
    assert_eq!(taken.iter().sum::<u64>(), NAMES);
    for name in 0..NAMES {
        assert_eq!(db.prefix(format!("name/{name:04}/")).count(), 1, "name {name} was taken twice");
    }
    Ok(())
}

/// Batches without validation and transactions, over the same keys: a batch must be seen whole by the transactions that it overtakes.
#[test]
fn transactions_and_plain_batches_keep_the_same_order() -> Result<()> {
    let db = store();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<()> {
            for n in 1..=400_u64 {
                let mut batch = Batch::new();
                for key in 0..6_u8 {
                    batch.put([b'b', key], n.to_be_bytes());
                }
                db.commit(batch)?;
            }
            done.store(true, Ordering::Relaxed);
            Ok(())
        });
        let copier = scope.spawn(|| -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                db.transact(|txn| {
                    let seen = txn.prefix("b").map(|row| Ok(number(Some(row?.1)))).collect::<Result<Vec<_>>>()?;
                    assert!(seen.iter().all(|n| Some(n) == seen.first()), "part of a batch: {seen:?}");
                    txn.put("copy", seen.first().copied().unwrap_or(0).to_be_bytes())
                })
                .or_else(|error| if error.kind() == shingle::ErrorKind::Conflict { Ok(()) } else { Err(error) })?;
            }
            Ok(())
        });
        writer.join().expect("no assertion in it")?;
        copier.join().expect("every batch was whole")
    })?;
    let mut copied = 0;
    for change in db.changes_since(0)? {
        let change = change?;
        if change.key == b"copy" {
            let value = number(change.value);
            let seen = db.snapshot_at(shingle::At::Version(change.version - 1))?;
            assert_eq!(
                number(seen.get([b'b', 0])?),
                value,
                "the copy at {} was stale when it committed",
                change.version
            );
            assert!(value >= copied);
            copied = value;
        }
    }
    Ok(())
}
