//! Kills in the midst of pruning, at random and at every named point. A child seals blocks, flushes, rolls back, prunes by each policy and holds snapshots
//! until SIGKILL ends it. The floor must then be the one that was told, or the one of the pruning under way; what is at or above it must be as it was, and
//! the rest refused; the next opening completes what was cut short.
//!
//! `SHINGLE_PRUNE_KILLS` and `SHINGLE_SEED` extend the test or change it.

#[path = "../support/chain.rs"]
mod chain;
mod child;
#[path = "../support/child.rs"]
mod child_process;
#[path = "../support/env.rs"]
mod env;
#[path = "../support/kill_at.rs"]
mod kill_at;
mod words;

use chain::{KEYS, State, state_at};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{At, Config, Database, ErrorKind, Retention};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use words::Known;

const DIR: &str = "SHINGLE_PRUNE_DIR";
/// `name passes`: kill at the named point once it has been passed so often.
const POINT: &str = "SHINGLE_PRUNE_POINT";
const REORG_WINDOW: u64 = 3;
/// Kills at random, and kills at each point.
const KILLS: u64 = 40;
const ROUNDS: u64 = 3;
const SIGKILL: i32 = 9;

const POINTS: &[&str] = &[
    "prune::before_floor",
    "prune::after_floor",
    "prune::before_versions",
    "prune::after_versions",
    "prune::after_changes",
    "manifest::before_rename",
    "manifest::after_rename",
    "flush::after_versions",
    "flush::after_changes",
    "flush::after_mark",
    "rollback::before_shards",
    "retract::after_witness",
    "retract::after_versions",
    "retract::after_changes",
    "rollback::after_shards",
];

fn open(dir: &Path) -> Database {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 256 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.prune.reorg_window_blocks = REORG_WINDOW;
    Database::builder(dir).shards(3).config(config).open().expect("a killed store opens")
}

/// Not a test: the process that is killed.
#[test]
fn child() {
    if child_process::is_child("child") {
        child::main();
    }
}

/// A store, and the children that are killed on it.
struct Torture {
    dir: TempDir,
    known: Known,
    rng: SmallRng,
}

impl Torture {
    fn new(stream: u64) -> Self {
        let seed = env::number("SHINGLE_SEED", 1);
        eprintln!("SHINGLE_SEED={seed}");
        let dir = tempfile::tempdir().expect("a temporary directory");
        Torture { dir, known: Known::default(), rng: SmallRng::seed_from_u64(seed << 8 | stream) }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Runs a child until it is killed: by itself at a point, or by its parent after a moment.
    fn kill(&mut self, point: Option<&str>) {
        let mut command = child_process::command("child");
        command.env(DIR, self.store());
        if let Some(point) = point {
            command.env(POINT, format!("{point} {}", self.rng.random_range(0..6)));
        }
        let mut child = command.spawn().expect("this binary can be run");
        let mut output = child.stdout.take().expect("it is a pipe");
        let heard = thread::spawn(move || {
            let mut said = Vec::new();
            output.read_to_end(&mut said).expect("a pipe can be read");
            String::from_utf8_lossy(&said).into_owned()
        });
        if point.is_none() {
            thread::sleep(Duration::from_micros(self.rng.random_range(0..250_000)));
            child.kill().expect("it is not waited for yet");
        }
        let status = child.wait().expect("it is waited for once");
        let said = heard.join().expect("no panic in it");
        assert_eq!(status.signal(), Some(SIGKILL), "{point:?}: the child did not die of the kill but of itself");
        self.known.hear(&said);
    }

    /// Compares what the kill has left. A store whose making was cut short is none, and is made anew.
    fn check(&mut self) {
        if self.store().join("MANIFEST").exists() {
            let report = Database::repair(self.store(), &|_| {}).expect("a killed store can be examined");
            assert!(report.is_sound(), "a kill does no damage: {report:?}");
        }
        let db = open(&self.store());
        self.known.compare(&db);
        check_contents(&db);
        // What was cut short is completed without a word, here or by the thread that began at the opening.
        let floor = db.floor();
        let pruned = db.prune(&Retention::default()).expect("a sound store");
        assert_eq!((pruned.floor_before, pruned.floor), (floor, floor));
        let report = db.verify(&|_| {}).expect("room on the disk");
        assert!(report.is_sound(), "{report:?}");
        let changes_left = db.changes_since(floor).expect("as before").count() as u64;
        let changes: u64 = report.shards.iter().map(|shard| shard.changes).sum();
        assert_eq!(changes, changes_left, "no change at or below the floor is left");
    }
}

fn check_contents(db: &Database) {
    let floor = db.floor();
    assert!(db.head().is_none_or(|head| head.version >= floor), "the newest block stays");
    for block in db.blocks(..) {
        let then = match db.snapshot_at(At::Height(block.height)) {
            Ok(then) => then,
            Err(error) => {
                let below = (error.kind(), block.version < floor);
                assert_eq!(below, (ErrorKind::Pruned, true), "{block:?}, floor {floor}");
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
}

#[test]
fn a_pruning_that_is_killed_at_random_is_completed() {
    let mut torture = Torture::new(1);
    for _ in 0..env::number("SHINGLE_PRUNE_KILLS", KILLS) {
        torture.kill(None);
        torture.check();
    }
    let known = &torture.known;
    assert!(known.prunings > 10 && known.kills_while_held > 0, "hardly anything was pruned: {known:?}");
}

#[test]
fn a_pruning_that_is_killed_at_a_named_point_is_completed() {
    let mut pruned = 0;
    for (stream, point) in (2..).zip(POINTS) {
        let mut torture = Torture::new(stream);
        for _ in 0..ROUNDS {
            torture.kill(Some(point));
            torture.check();
        }
        pruned += usize::from(open(&torture.store()).floor() > 0);
    }
    // Who is killed before there is a floor each time prunes nothing.
    assert!(pruned > POINTS.len() / 2, "hardly anything was pruned");
}
