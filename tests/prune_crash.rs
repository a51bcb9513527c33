//! Kills in the midst of pruning: a child seals blocks, flushes, rolls back and prunes until SIGKILL ends it at a named point. What is at or above the floor
//! must then be as it was, and the rest refused; the next opening completes what was cut short.
//!
//! What a block writes follows from its height alone, so that the state at each is known whatever the child has lived to do.

#[path = "support/child.rs"]
mod child_process;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use shingle::{At, Batch, Block, Config, Database, ErrorKind, PruneOptions, Retention};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const DIR: &str = "SHINGLE_PRUNE_DIR";
/// `name passes`: kill at the named point once it has been passed so often.
const POINT: &str = "SHINGLE_PRUNE_POINT";
const KEYS: u16 = 60;
const REORG_WINDOW: u64 = 3;
const ROUNDS: u64 = 4;
const SIGKILL: i32 = 9;
/// A parent that is gone leaves no child behind.
const LIFETIME: Duration = Duration::from_secs(20);

const POINTS: &[&str] = &[
    "prune::before_floor",
    "prune::after_floor",
    "prune::before_versions",
    "prune::after_versions",
    "prune::after_changes",
    "flush::after_versions",
    "rollback::before_shards",
    "retract::after_versions",
];

fn open(dir: &Path) -> Database {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 256 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.prune.reorg_window_blocks = REORG_WINDOW;
    Database::builder(dir).shards(3).config(config).open().expect("a killed store opens")
}

/// What the block of this height writes.
fn writes(height: u64) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut rng = SmallRng::seed_from_u64(height);
    let mut keys: Vec<_> = (0..KEYS).collect();
    keys.shuffle(&mut rng);
    let count = rng.random_range(1..20);
    let write =
        |key: &u16| (key.to_be_bytes().to_vec(), (key % 4 != (height % 4) as u16).then(|| vec![height as u8; 9]));
    keys[..count].iter().map(write).collect()
}

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn state_at(height: u64) -> State {
    let mut state = State::new();
    for (key, value) in (1..=height).flat_map(writes) {
        match value {
            Some(value) => state.insert(key, value),
            None => state.remove(&key),
        };
    }
    state
}

/// Not a test: the process that is killed.
#[test]
fn child() {
    if !child_process::is_child("child") {
        return;
    }
    if let Ok(point) = std::env::var(POINT) {
        let (name, passes) = point.split_once(' ').expect("a name and a number");
        let left = AtomicU64::new(passes.parse().expect("a number"));
        let kill = move || {
            if left.fetch_sub(1, Ordering::Relaxed) == 0 {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                    .expect("a process may kill itself");
            }
        };
        fail::cfg_callback(name, kill).expect("the build has failpoints");
    }
    let db = open(Path::new(&std::env::var(DIR).expect("the parent has set it")));
    let mut rng = SmallRng::seed_from_u64(db.version());
    let began = Instant::now();
    while began.elapsed() < LIFETIME {
        let height = db.head().map_or(0, |head| head.height) + 1;
        let mut batch = Batch::new();
        for (key, value) in writes(height) {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            };
        }
        db.commit_block(Block { height, timestamp_ms: height * 1000 }, batch).expect("a sound store");
        match rng.random_range(0..12) {
            0 => drop(db.flush().expect("a sound store")),
            1..4 => {
                let options = PruneOptions { dry_run: false, compact: rng.random() };
                let retention = Retention::blocks(rng.random_range(1..8));
                db.prune_with(&retention, options, &|_| {}).expect("a sound store");
            }
            4 if height > REORG_WINDOW => {
                let back = rng.random_range(1..=REORG_WINDOW);
                // The window is one below the newest block that there was at a pruning: several rollbacks in a row come to its end.
                let above = db.block(height - back).is_some_and(|block| block.version >= db.floor());
                assert_eq!(db.rollback_to(height - back).is_ok(), above, "back by {back} to the floor {}", db.floor());
            }
            _ => {}
        }
    }
}

fn check(dir: &Path) {
    let db = open(dir);
    let floor = db.floor();
    assert!(db.head().is_none_or(|head| head.version >= floor), "the newest block stays");
    for block in db.blocks(..) {
        let then = match db.snapshot_at(At::Height(block.height)) {
            Ok(then) => then,
            Err(error) => {
                assert_eq!(
                    (error.kind(), block.version < floor),
                    (ErrorKind::Pruned, true),
                    "{block:?}, floor {floor}"
                );
                continue;
            }
        };
        assert!(block.version >= floor, "{block:?} is below the floor {floor}");
        let rows: State = then.prefix("").collect::<shingle::Result<_>>().expect("a sound store");
        assert_eq!(rows, state_at(block.height), "{block:?}");
        for key in (0..KEYS).map(|key| key.to_be_bytes()) {
            assert_eq!(then.get(key).expect("a sound store").as_ref(), rows.get(&key[..]), "{key:?} at {block:?}");
        }
    }
    let changed = db.changes_since(floor).expect("nothing above the floor is pruned");
    changed.for_each(|change| drop(change.expect("a sound store")));
    // What was cut short is completed without a word, here or by the thread that began at the opening.
    let pruned = db.prune(&Retention::default()).expect("a sound store");
    assert_eq!((pruned.floor_before, pruned.floor), (floor, floor));
    let report = db.verify(&|_| {}).expect("room on the disk");
    assert!(report.is_sound(), "{report:?}");
    let changes_left = db.changes_since(floor).expect("as before").count() as u64;
    let changes: u64 = report.shards.iter().map(|shard| shard.changes).sum();
    assert_eq!(changes, changes_left, "no change at or below the floor is left");
}

#[test]
fn a_pruning_that_is_killed_is_completed() {
    let mut rng = SmallRng::seed_from_u64(1);
    for point in POINTS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = dir.path().join("store");
        let mut floor = 0;
        for _ in 0..ROUNDS {
            let mut command = child_process::command("child");
            command.env(DIR, &store).env(POINT, format!("{point} {}", rng.random_range(0..6)));
            let status = command.spawn().expect("this binary can be run").wait().expect("it is waited for once");
            assert_eq!(status.signal(), Some(SIGKILL), "{point}: the child did not die of the kill but of itself");
            check(&store);
            let now = open(&store).floor();
            assert!(now >= floor, "{point}: the floor fell from {floor} to {now}");
            floor = now;
        }
        assert!(floor > 0, "{point}: nothing was ever pruned");
    }
}
