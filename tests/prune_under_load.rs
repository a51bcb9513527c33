//! Pruning beside everything else: commits, flushes, rollbacks, snapshots, scans and change feeds.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{At, Batch, Block, Config, Database, ErrorKind, PruneHold, Retention};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const KEYS: u64 = 40;
const REORG_WINDOW: u64 = 4;

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Every block writes every key: its height, or a tombstone for one key in five, another one each time.
fn expected(number: u64, height: u64) -> Option<Vec<u8>> {
    (!(number + height).is_multiple_of(5)).then(|| height.to_be_bytes().to_vec())
}

fn seal(db: &Database) {
    let height = db.head().map_or(0, |head| head.height) + 1;
    let mut batch = Batch::new();
    for number in 0..KEYS {
        match expected(number, height) {
            Some(value) => batch.put(key(number), value),
            None => batch.delete(key(number)),
        };
    }
    db.commit_block(Block { height, timestamp_ms: height * 100 }, batch).expect("a sound store");
}

fn small() -> Config {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 64 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.flush.keep_recent_versions = 2;
    config.prune.reorg_window_blocks = REORG_WINDOW;
    config
}

/// Reads a block in one of many ways. Whatever happens beside it, the answer is right or a refusal. Returns whether it was an answer.
fn read_block(db: &Database, rng: &mut SmallRng) -> bool {
    let Some(head) = db.head() else { return false };
    let height = head.height.saturating_sub(rng.random_range(0..30)).max(1);
    let answer = (|| {
        let then = db.snapshot_at(At::Height(height))?;
        for number in (0..KEYS).filter(|number| number % 7 == height % 7) {
            assert_eq!(then.get(key(number))?, expected(number, height), "key {number} at height {height}");
        }
        let rows = then.prefix("").collect::<shingle::Result<Vec<_>>>()?;
        let right = (0..KEYS).filter_map(|number| Some((key(number).to_vec(), expected(number, height)?)));
        assert!(rows.into_iter().eq(right), "the scan at height {height}");
        for change in db.changes_since(then.version())? {
            let change = change?;
            let number = u64::from_be_bytes(change.key.as_slice().try_into().expect("eight bytes"));
            if let Some(value) = change.value {
                let at = u64::from_be_bytes(value.as_slice().try_into().expect("eight bytes"));
                assert_eq!(expected(number, at), Some(value));
            }
        }
        Ok::<_, shingle::Error>(())
    })();
    match answer {
        Ok(()) => true,
        Err(error) => {
            let kinds = [ErrorKind::Pruned, ErrorKind::RolledBack, ErrorKind::InvalidArgument];
            assert!(kinds.contains(&error.kind()), "height {height}: {error}");
            false
        }
    }
}

fn load(db: &Database) {
    let (stop, answers, prunings) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for reader in 0..3 {
            let (stop, answers) = (&stop, &answers);
            scope.spawn(move || {
                let mut rng = SmallRng::seed_from_u64(reader);
                while !stop.load(Ordering::Relaxed) {
                    answers.fetch_add(u64::from(read_block(db, &mut rng)), Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut rng = SmallRng::seed_from_u64(7);
            while !stop.load(Ordering::Relaxed) {
                let retention = match rng.random_range(0..3) {
                    0 => Retention::versions_per_key(rng.random_range(1..20)),
                    1 => Retention::window(Duration::from_millis(rng.random_range(0..2000))),
                    _ => Retention::blocks(rng.random_range(1..20)),
                };
                let pruned = db.prune(&retention).expect("a sound store");
                assert!(pruned.floor <= db.version() && pruned.floor >= pruned.floor_before);
                prunings.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut rng = SmallRng::seed_from_u64(8);
        let began = Instant::now();
        while prunings.load(Ordering::Relaxed) < 40 || answers.load(Ordering::Relaxed) < 200 {
            assert!(began.elapsed() < Duration::from_secs(120), "too slow: {prunings:?} prunings, {answers:?} answers");
            seal(db);
            match rng.random_range(0..20) {
                0 => drop(db.flush().expect("a sound store")),
                1 => {
                    let blocks = db.blocks(..);
                    if let Some(back) = blocks.len().checked_sub(1 + rng.random_range(1..=REORG_WINDOW as usize)) {
                        // Several rollbacks in a row come to the end of the window.
                        match db.rollback_to(blocks[back].height) {
                            Err(error) => {
                                assert_eq!((error.kind(), blocks[back].version < db.floor()), (ErrorKind::Pruned, true))
                            }
                            Ok(version) => assert!(version >= db.floor()),
                        }
                    }
                }
                _ => {}
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let report = db.verify(&|_| {}).expect("room on the disk");
    assert!(report.is_sound(), "{report:?}");
    assert!(db.stats().prune.versions > 0);
}

#[test]
fn answers_stay_right_beside_pruning() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = || Database::builder(dir.path().join("store")).shards(3).config(small()).open();
    let db = open().expect("a new store");
    load(&db);
    let floor = db.floor();
    drop(db);
    let db = open().expect("a sound store");
    assert_eq!(db.floor(), floor, "the floor stays over an opening");
    load(&db);
    let memory = Database::builder("").config(small()).in_memory().expect("no disk");
    load(&memory);
}

#[test]
fn an_open_snapshot_holds_pruning_back_and_is_named() {
    let db = Database::builder("").with_reorg_window_blocks(0).in_memory().expect("no disk");
    (0..5).for_each(|_| seal(&db));
    let held = db.snapshot();
    (0..5).for_each(|_| seal(&db));
    let pruned = db.prune(&Retention::blocks(1)).expect("a sound store");
    assert_eq!((pruned.floor, pruned.wanted), (held.version(), db.version()));
    let named = |hold| matches!(hold, Some(PruneHold::Snapshot { version, .. }) if version == held.version());
    assert!(named(pruned.held_back), "{pruned:?}");
    let stats = db.stats();
    assert!(named(stats.prune.held_back));
    assert_eq!((stats.oldest_snapshots[0].version, stats.oldest_snapshots[0].count), (held.version(), 1));
    assert_eq!(stats.prune.lag_versions, db.version() - held.version());
    assert_eq!(held.get(key(1)).expect("it is held"), expected(1, 5));
    drop(held);
    let pruned = db.prune(&Retention::blocks(1)).expect("a sound store");
    assert_eq!((pruned.floor, pruned.held_back), (db.version(), None));
    assert_eq!(db.stats().prune.lag_versions, 0);
}

/// A feed that stands in the midst of a large version when that is pruned must not go on as if the rest had never been.
#[test]
fn a_feed_within_a_version_that_is_pruned_says_so() {
    let db = Database::builder("").shards(2).with_reorg_window_blocks(0).in_memory().expect("no disk");
    let mut large = Batch::new();
    for number in 0..10_000_u64 {
        large.put(key(number), "value");
    }
    db.commit_block(Block { height: 1, timestamp_ms: 0 }, large).expect("no disk");
    seal(&db);
    seal(&db);
    db.flush().expect("no disk");
    let version = db.blocks(..)[0].version;
    let mut feed = db.changes_since(version - 1).expect("nothing is pruned");
    for _ in 0..100 {
        assert_eq!(feed.next().expect("there are 10 000").expect("a sound store").version, version);
    }
    let floor = db.snapshot_at(At::Version(version)).expect("nothing is pruned");
    db.prune(&Retention::blocks(1)).expect("a sound store");
    drop(floor);
    assert_eq!(db.floor(), version);
    let refused = feed.find_map(|change| change.err()).expect("the rest of the version is gone");
    assert_eq!(refused.kind(), ErrorKind::Pruned);
}

#[test]
fn a_retention_that_keeps_nothing_is_refused() {
    let db = Database::in_memory().expect("no disk");
    for nothing in [Retention::blocks(0), Retention::versions_per_key(0)] {
        assert_eq!(db.prune(&nothing).expect_err("it keeps nothing").kind(), ErrorKind::InvalidArgument);
    }
}

/// Numbers at the end of their range keep everything or the newest block, and overflow nowhere.
#[test]
fn retentions_of_any_size_are_fine() {
    let db = Database::builder("").with_reorg_window_blocks(0).in_memory().expect("no disk");
    let nothing_there = db.prune(&Retention::blocks(1)).expect("no disk");
    assert_eq!((nothing_there.floor, nothing_there.versions), (0, 0));
    (0..5).for_each(|_| seal(&db));
    for all in [
        Retention::blocks(u64::MAX),
        Retention::versions_per_key(u64::MAX),
        Retention::window(Duration::MAX),
        Retention::window(Duration::from_secs(u64::MAX)),
        Retention::default(),
    ] {
        let pruned = db.prune(&all).expect("no disk");
        assert_eq!((pruned.floor, pruned.wanted, pruned.versions), (0, 0, 0), "{all:?}");
    }
    for above in [6, u64::MAX] {
        let refused = db.prune(&Retention::from_height(above)).expect_err("there is no such block");
        assert_eq!((refused.kind(), db.floor()), (ErrorKind::InvalidArgument, 0), "{refused}");
    }
    let pruned = db.prune(&Retention::from_height(5)).expect("no disk");
    assert_eq!((pruned.floor, pruned.wanted), (db.version(), db.version()), "the newest block stays");
    // A floor at the head: what is above it goes, and what comes next is above it.
    assert_eq!(db.rollback_to(5).expect("it is the head"), db.version());
    assert_eq!(db.rollback_to(4).expect_err("it is below the floor").kind(), ErrorKind::Pruned);
    seal(&db);
    assert_eq!(db.rollback_to(5).map(|_| db.floor()).ok(), Some(pruned.floor));
    assert!(db.verify(&|_| {}).expect("no disk").is_sound());
}

/// The opening looks whether an earlier pruning was cut short. Where it was not, nobody has pruned since.
#[test]
fn looking_for_what_is_left_is_no_pruning() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = || Database::builder(dir.path().join("store")).with_reorg_window_blocks(0).open().expect("a store");
    let db = open();
    (0..5).for_each(|_| seal(&db));
    let floor = db.prune(&Retention::blocks(2)).expect("room on the disk").floor;
    assert_eq!((db.stats().prune.runs, db.stats().prune_micros.count()), (1, 1));
    drop(db);
    let db = open();
    let begun = Instant::now();
    while db.stats().prune.pruned_through < floor {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", db.stats().prune);
        thread::yield_now();
    }
    let (prune, spread) = (db.stats().prune, db.stats().prune_micros);
    assert_eq!((prune.runs, prune.versions, spread.count()), (0, 0, 0), "{prune:?}");
}

#[test]
fn the_background_prunes_by_itself() {
    let db = Database::builder("")
        .with_background_pruning(true)
        .with_prune_on_start(true)
        .with_prune_interval_secs(1)
        .with_prune_version_threshold(1)
        .with_max_versions_per_key(3)
        .with_version_ttl_secs(0)
        .with_reorg_window_blocks(2)
        .in_memory()
        .expect("no disk");
    (0..20).for_each(|_| seal(&db));
    let newest = db.version();
    let began = Instant::now();
    while db.floor() < newest - 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is pruned: {:?}", db.stats().prune);
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(db.floor(), newest - 2, "three versions of each key");
    assert!(db.stats().prune.background);
    db.close().expect("no disk");
}
