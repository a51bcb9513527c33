//! The process that is killed: it seals blocks, flushes and rolls back, and beside that prunes by every policy and holds snapshots.

use crate::chain::{self, State, state_at};
use crate::kill_at::kill_at;
use crate::words::Word;
use crate::{DIR, POINT, REORG_WINDOW, open};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use shingle::{At, Database, ErrorKind, PruneOptions, Retention};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// A parent that is gone leaves no child behind.
const LIFETIME: Duration = Duration::from_secs(20);

pub(crate) fn main() {
    if let Ok(point) = std::env::var(POINT) {
        kill_at(&point, || {});
    }
    let db = open(Path::new(&std::env::var(DIR).expect("the parent has set it")));
    let began = Instant::now();
    let alive = || began.elapsed() < LIFETIME;
    let rng = |stream: u64| SmallRng::seed_from_u64(db.version() << 2 | stream);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        thread::scope(|scope| {
            scope.spawn(|| prune(&db, rng(1), alive));
            scope.spawn(|| hold_snapshots(&db, rng(2), alive));
            seal(&db, rng(0), alive);
        });
    }));
    assert!(outcome.is_ok(), "a thread of the child has failed");
}

fn seal(db: &Database, mut rng: SmallRng, alive: impl Fn() -> bool) {
    while alive() {
        let height = chain::seal(db);
        Word::Head(height).tell();
        match rng.random_range(0..12) {
            0 => drop(db.flush().expect("a sound store")),
            1 if height > REORG_WINDOW => {
                let to = height - rng.random_range(1..=REORG_WINDOW);
                let version = db.block(to).expect("nothing else rolls back").version;
                Word::Rolling(to).tell();
                match db.rollback_to(to) {
                    Ok(_) => Word::Head(to).tell(),
                    // The window is one below the newest block that there was at a pruning: several rollbacks in a row come to its end.
                    Err(error) => assert_eq!((error.kind(), version < db.floor()), (ErrorKind::Pruned, true)),
                }
            }
            _ => {}
        }
    }
}

fn prune(db: &Database, mut rng: SmallRng, alive: impl Fn() -> bool) {
    while alive() {
        let few = rng.random_range(1..8);
        let retention = match rng.random_range(0..4) {
            0 => Retention::blocks(few),
            1 => Retention::versions_per_key(few),
            2 => Retention::window(Duration::from_millis(few * 900)),
            _ => match db.head() {
                Some(head) => Retention::from_height(head.height.saturating_sub(few)),
                None => continue,
            },
        };
        let options = PruneOptions { dry_run: rng.random_ratio(1, 8), compact: rng.random() };
        Word::Pruning.tell();
        let pruned = match db.prune_with(&retention, options, &|_| {}) {
            Ok(pruned) => pruned,
            // Rolled back since.
            Err(error) if retention.below_height.is_some() && error.kind() == ErrorKind::InvalidArgument => continue,
            Err(error) => panic!("a sound store: {error}"),
        };
        assert!(options.dry_run || pruned.floor == db.floor());
        Word::Floor(db.floor()).tell();
        thread::sleep(Duration::from_millis(rng.random_range(0..4)));
    }
}

/// What a snapshot shows stays, however the floor rises.
fn hold_snapshots(db: &Database, mut rng: SmallRng, alive: impl Fn() -> bool) {
    while alive() {
        let blocks = db.blocks(..);
        let near = &blocks[blocks.len().saturating_sub(6)..];
        let Some(block) = near.choose(&mut rng) else { continue };
        let snapshot = match db.snapshot_at(At::Version(block.version)) {
            Ok(snapshot) => snapshot,
            Err(error) if matches!(error.kind(), ErrorKind::Pruned | ErrorKind::RolledBack) => continue,
            Err(error) => panic!("a sound store: {error}"),
        };
        Word::Hold(block.version).tell();
        for _ in 0..3 {
            match snapshot.prefix("").collect::<shingle::Result<State>>() {
                Ok(rows) => assert_eq!(rows, state_at(block.height), "{block:?}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::RolledBack, "{block:?}: {error}"),
            }
            thread::sleep(Duration::from_millis(rng.random_range(0..5)));
        }
        Word::Release(block.version).tell();
        drop(snapshot);
        thread::sleep(Duration::from_millis(rng.random_range(0..8)));
    }
}
