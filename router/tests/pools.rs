//! The store's threads and its user's: neither may keep the other from going on.

use rayon::{ThreadPool, ThreadPoolBuilder};
use shingle_router::{Batch, Block, OpenOptions, Result, Store};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

/// Long enough for any machine; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const KEYS: usize = 200;

/// Runs `test` on a thread of its own, and fails if it hangs: its threads are left behind then. Otherwise it is joined: RocksDB may not be
/// closed while the process ends.
fn in_time(test: impl FnOnce(&Path) -> Result<()> + Send + 'static) {
    let (done, outcome) = channel();
    let testing = thread::spawn(move || {
        let dir = tempfile::tempdir().expect("a temporary directory");
        done.send(test(&dir.path().join("store"))).expect("it is waited for");
    });
    outcome.recv_timeout(PATIENCE).expect("it hangs, or has panicked").expect("a sound store");
    testing.join().expect("it has told its outcome");
}

fn open(path: &Path) -> Result<Store> {
    Store::open(path, OpenOptions { shards: Some(4), ..OpenOptions::default() })
}

/// So many that they are read in parallel.
fn keys() -> Vec<Vec<u8>> {
    (0..10 * KEYS).map(|n| key(n % KEYS)).collect()
}

fn key(n: usize) -> Vec<u8> {
    format!("key {n}").into_bytes()
}

/// A batch so large that it is applied to the shards in parallel.
fn large(mark: usize) -> Batch {
    let mut batch = Batch::new();
    (0..KEYS).for_each(|n| {
        batch.put(key(n), vec![mark as u8; 1000]);
    });
    batch
}

/// Whatever goes over many shards or keys.
fn everything(store: &Store, mark: usize) -> Result<()> {
    let wait = |block, batch: &Batch| store.submit(block, batch)?.wait();
    let height = store.head().map_or(1, |head| head.height + 1);
    wait(Some(Block { height, timestamp_ms: height }), &large(mark))?;
    wait(None, &large(mark + 1))?;
    store.flush()?;
    let keys = keys();
    assert!(store.snapshot_newest().multi_get(&keys)?.iter().all(Option::is_some));
    assert!(store.verify(&|_| {})?.is_sound());
    store.roll_back_to(height)?;
    Ok(())
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("a few threads")
}

/// The user has put all of rayon's global threads to waiting for what the store does.
#[test]
fn nothing_waits_for_a_thread_of_the_global_pool() {
    in_time(|path| {
        let all_wait = Arc::new(Barrier::new(rayon::current_num_threads() + 1));
        let (over, waiting) = channel::<()>();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..rayon::current_num_threads() {
            let (all_wait, waiting) = (Arc::clone(&all_wait), Arc::clone(&waiting));
            rayon::spawn(move || {
                all_wait.wait();
                // Until the other end is gone.
                waiting.lock().expect("nobody panics").recv().ok();
            });
        }
        all_wait.wait();
        let store = open(path)?;
        everything(&store, 1)?;
        store.close()?;
        drop(store);
        everything(&open(path)?, 3)?;
        drop(over);
        Ok(())
    });
}

/// The user's own pool has more to do than threads: one that waits for the store must not begin something else that waits for the store.
#[test]
fn tasks_of_a_users_pool_wait_for_the_store_one_by_one() {
    for threads in 1..=2 {
        in_time(move |path| {
            let store = open(path)?;
            everything(&store, 1)?;
            let keys = keys();
            let (tell, outcomes) = channel();
            pool(threads).scope(|scope| {
                for task in 0..60 {
                    let (store, keys, tell): (_, _, Sender<Result<()>>) = (&store, &keys, tell.clone());
                    scope.spawn(move |_| {
                        let outcome = match task % 5 {
                            0 => store.flush().map(drop),
                            1 => store.verify(&|_| {}).map(|report| assert!(report.is_sound())),
                            2 => store.snapshot_newest().multi_get(keys).map(drop),
                            3 => store.submit(None, &large(task)).and_then(|handle| handle.wait()).map(drop),
                            _ => store.submit(None, &large(task)).map(drop),
                        };
                        tell.send(outcome).expect("the test waits");
                    });
                }
            });
            drop(tell);
            outcomes.iter().collect()
        });
    }
}

/// Stores are opened, recovered and closed on a user's pool, too.
#[test]
fn stores_are_opened_on_a_users_pool() {
    in_time(|path| {
        pool(1).scope(|scope| {
            for n in 0..4 {
                let path = path.with_extension(n.to_string());
                scope.spawn(move |_| {
                    for round in 0..2 {
                        let store = open(&path).expect("nobody else has it");
                        everything(&store, round).expect("a sound store");
                    }
                });
            }
        });
        Ok(())
    });
}

/// A verification reads for as long as it takes; commits and reads go on beside it.
#[test]
fn commits_and_reads_do_not_wait_for_a_verification() {
    in_time(|path| {
        let store = open(path)?;
        let mut many = Batch::new();
        (0..80_000).for_each(|n| {
            many.put(key(n), "");
        });
        store.submit(None, &many)?.wait()?;
        let (went_on, wait) = channel::<()>();
        let (begun, verifying) = channel();
        let wait = Mutex::new(wait);
        thread::scope(|scope| {
            let store = &store;
            let verification = scope.spawn(move || {
                let hold_up = |_| {
                    begun.send(()).ok();
                    wait.lock().expect("nobody panics").recv().ok();
                };
                store.verify(&hold_up)
            });
            verifying.recv().expect("it reports its progress");
            store.submit(None, &large(1))?.wait()?;
            let keys = keys();
            assert!(store.snapshot_newest().multi_get(&keys)?.iter().all(Option::is_some));
            drop(went_on);
            assert!(verification.join().expect("it does not panic")?.is_sound());
            Ok(())
        })
    });
}
