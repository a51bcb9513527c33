//! Scans that go over many pages, which the store's threads fetch ahead: whatever the order, wherever they end, and whatever is done to the store meanwhile.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{
    At, Batch, Block, Config, Database, ErrorKind, Move, Plan, RebalanceOptions, RebalanceWait, Scan, Snapshot,
};

const KEYS: u32 = 20_000;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn key(number: u32) -> Vec<u8> {
    format!("{number:08}").into_bytes()
}

/// Every third key is written at each height, every fifteenth is deleted.
fn seal(db: &Database, height: u64) {
    let mut batch = Batch::new();
    for number in (0..KEYS).filter(|number| u64::from(number % 3) == height % 3) {
        if u64::from(number % 5) == height % 5 {
            batch.delete(key(number));
        } else {
            batch.put(key(number), [&height.to_be_bytes()[..], &number.to_be_bytes()].concat());
        }
    }
    db.commit_block(Block { height, timestamp_ms: height }, batch).expect("a sound store");
}

fn config() -> Config {
    let mut config = Config::default();
    config.prune.reorg_window_blocks = 100;
    config
}

/// On disk and in memory, with some of it flushed.
fn on_both(test: impl Fn(&Database)) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let on_disk = Database::builder(dir.path().join("store")).shards(3).config(config()).open();
    for db in [on_disk, Database::builder("").shards(3).config(config()).in_memory()] {
        let db = db.expect("a new store");
        (1..=6).for_each(|height| seal(&db, height));
        db.flush().expect("a sound store");
        (7..=9).for_each(|height| seal(&db, height));
        test(&db);
    }
}

/// By point reads alone.
fn expected(snapshot: &Snapshot) -> Rows {
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let values = snapshot.multi_get(&keys).expect("a sound store");
    keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))).collect()
}

fn collect(scan: impl Iterator<Item = shingle::Result<(Vec<u8>, Vec<u8>)>>) -> Rows {
    scan.collect::<shingle::Result<_>>().expect("a sound store")
}

#[test]
fn every_row_comes_once_from_either_end_and_from_both() {
    on_both(|db| {
        for height in [3, 9] {
            let then = db.snapshot_at(At::Height(height)).expect("it is retained");
            let rows = expected(&then);
            assert!(rows.len() > 10_000, "enough for many pages: {}", rows.len());
            assert!(collect(then.prefix("")) == rows, "forwards at {height}");
            let backwards: Rows = collect(then.prefix("").rev());
            assert!(backwards.iter().eq(rows.iter().rev()), "backwards at {height}");
            let mut rng = SmallRng::seed_from_u64(height);
            for _ in 0..5 {
                let (mut scan, mut left, mut right) = (then.prefix(""), Rows::new(), Rows::new());
                // Long stretches from one end, so that pages of the other are overtaken.
                'whole: loop {
                    let forwards = rng.random();
                    for _ in 0..rng.random_range(1..6000) {
                        let row = if forwards { scan.next() } else { scan.next_back() };
                        let Some(row) = row else { break 'whole };
                        if forwards { &mut left } else { &mut right }.push(row.expect("a sound store"));
                    }
                }
                assert!(left.iter().chain(right.iter().rev()).eq(&rows), "from both ends at {height}");
            }
        }
    });
}

#[test]
fn scans_that_are_given_up_anywhere_leave_the_store_as_it_was() {
    on_both(|db| {
        let mut rng = SmallRng::seed_from_u64(1);
        for _ in 0..40 {
            let mut scan = db.prefix("");
            let count = rng.random_range(0..12_000);
            assert_eq!(scan.by_ref().take(count).filter(Result::is_ok).count(), count);
        }
        // Nothing holds a version back any more, though pages were on their way.
        let began = std::time::Instant::now();
        while db.stats().open_snapshots > 0 {
            assert!(began.elapsed() < std::time::Duration::from_secs(60), "a snapshot is left");
            std::thread::yield_now();
        }
    });
}

/// What it returns until it fails.
fn until_failure(scan: Scan) -> (Rows, Option<ErrorKind>) {
    let (mut rows, mut failure) = (Rows::new(), None);
    for row in scan {
        match row {
            Ok(row) => rows.push(row),
            Err(error) => failure = Some(error.kind()),
        }
    }
    (rows, failure)
}

#[test]
fn a_rollback_beneath_is_an_error_and_never_another_row() {
    on_both(|db| {
        let mut rng = SmallRng::seed_from_u64(2);
        for round in 0..20 {
            let now = db.snapshot();
            let rows = expected(&now);
            let mut scan = now.prefix("");
            // Of each shard's 3 500 rows and more: in 1 000 of them, the pages that double from 42 rows on are fetched up to the 2 646th.
            let before = collect(scan.by_ref().take(rng.random_range(0..3000)));
            let head = db.head().expect("it has blocks").height;
            db.rollback_to(head - 1).expect("within the window");
            let (after, failure) = until_failure(scan);
            assert!(before.iter().chain(&after).eq(rows.iter().take(before.len() + after.len())), "round {round}");
            assert_eq!(failure, Some(ErrorKind::RolledBack), "pages were left to fetch");
            seal(db, head);
        }
    });
}

#[test]
fn slots_that_move_meanwhile_change_nothing() {
    on_both(|db| {
        let rows = expected(&db.snapshot());
        for shards in [5, 2, 3] {
            let mut scan = db.prefix("");
            let before = collect(scan.by_ref().take(5000));
            let moves = (0..).zip(db.slot_owners()).filter(|&(slot, from)| slot as usize % shards != from);
            let moves = moves.map(|(slot, from)| Move { slot, from, to: slot as usize % shards }).collect();
            let plan = Plan { moves, shards_after: shards, new_dirs: Vec::new() };
            let options = RebalanceOptions { wait: RebalanceWait::HandedOver, ..RebalanceOptions::default() };
            db.rebalance(&plan, options, &|_| {}).expect("a plan that fits");
            assert!(collect(db.prefix("")) == rows, "begun after the hand-over to {shards}");
            assert!(before.iter().cloned().chain(collect(scan)).eq(rows.iter().cloned()), "begun before it");
            let began = std::time::Instant::now();
            while let Some(status) = db.rebalance_status() {
                assert!(began.elapsed() < std::time::Duration::from_secs(60), "it does not end: {status:?}");
                std::thread::yield_now();
            }
        }
    });
}
