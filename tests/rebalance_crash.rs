//! Kills in the midst of rebalancings: a child seals blocks, flushes, rolls back, prunes and moves slots until SIGKILL ends it at a named point. What is readable must then be
//! what it was; the next opening goes on with what was cut short.

#[path = "support/chain.rs"]
mod chain;
#[path = "support/child.rs"]
mod child_process;
#[path = "support/kill_at.rs"]
mod kill_at;

use chain::{KEYS, State, seal, state_at, writes};
use kill_at::kill_at;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{At, Config, Database, Error, ErrorKind, Move, Plan, RebalanceOptions, RebalanceWait, Retention};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

const DIR: &str = "SHINGLE_REBALANCE_DIR";
/// `name passes`: kill at the named point once it has been passed so often.
const POINT: &str = "SHINGLE_REBALANCE_POINT";
const SLOTS: u32 = 64;
const REORG_WINDOW: u64 = 3;
const ROUNDS: u64 = 5;
const SIGKILL: i32 = 9;
/// A parent that is gone leaves no child behind.
const LIFETIME: Duration = Duration::from_secs(40);

/// And how often each is passed at most before the kill.
const POINTS: &[(&str, u64)] = &[
    ("move::before_shards", 3),
    ("move::after_shards", 3),
    ("move::before_barrier", 6),
    ("move::after_barrier", 6),
    ("move::after_changes", 12),
    ("move::after_rows", 12),
    ("move::after_page", 8),
    ("move::after_run", 8),
    ("move::before_hand_over", 4),
    ("move::after_hand_over", 4),
    ("move::after_giving_up", 2),
    ("move::before_cleaning", 4),
    ("move::after_cleaned_rows", 6),
    ("move::after_cleaned_changes", 6),
    ("move::after_forgetting", 6),
    ("move::after_forgetting_shards", 2),
    ("move::before_removing", 2),
    ("move::after_removing", 2),
    ("manifest::before_rename", 12),
    ("manifest::after_rename", 12),
    ("flush::after_changes", 30),
    ("flush::after_versions", 30),
    ("rollback::before_shards", 2),
    ("retract::after_versions", 3),
    ("checkpoint::after_shards", 2),
];

fn open(dir: &Path) -> Database {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 256 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.prune.reorg_window_blocks = REORG_WINDOW;
    let builder = Database::builder(dir).slots(SLOTS).config(config);
    // However many it has by now.
    let builder = if dir.join("MANIFEST").exists() { builder } else { builder.shards(3) };
    builder.open().expect("a killed store opens")
}

fn random_plan(db: &Database, rng: &mut SmallRng) -> Plan {
    let shards_after = rng.random_range(1..=6);
    let mut moves = Vec::new();
    for (slot, from) in (0..).zip(db.slot_owners()) {
        let to = rng.random_range(0..shards_after);
        if to != from && (from >= shards_after || rng.random_ratio(1, 2)) {
            moves.push(Move { slot, from, to });
        }
    }
    Plan { moves, shards_after, new_dirs: Vec::new() }
}

fn rebalance(db: &Database, rng: &mut SmallRng) {
    let wait = [RebalanceWait::Begun, RebalanceWait::HandedOver, RebalanceWait::Finished][rng.random_range(0..3)];
    let bytes_per_sec = rng.random_ratio(1, 3).then_some(20_000);
    match db.rebalance(&random_plan(db, rng), RebalanceOptions { wait, bytes_per_sec }, &|_| {}) {
        Ok(_) | Err(Error::RebalanceUnfinished { .. }) => {}
        Err(error) => panic!("a sound store: {error}"),
    }
}

/// The child's store, for blocks that are sealed while a step stands still at its point.
static STORE: OnceLock<Database> = OnceLock::new();
/// Who seals or rolls back.
static SEALING: Mutex<()> = Mutex::new(());
/// Where the child says which block it has sealed last, beside the store.
const SEALED: &str = "sealed";

/// Commits go on between any two steps of a rebalancing, and are acknowledged: they must be there afterwards.
fn seal_at(point: &str, dir: &Path) {
    if !point.starts_with("move::") && !point.starts_with("manifest::") {
        return;
    }
    if let (Some(db), Ok(_sealing)) = (STORE.get(), SEALING.try_lock()) {
        for _ in 0..3 {
            seal(db);
        }
        let height = seal(db);
        std::fs::write(dir.with_file_name(SEALED), height.to_string()).expect("a writable directory");
    }
}

/// Not a test: the process that is killed.
#[test]
fn child() {
    if !child_process::is_child("child") {
        return;
    }
    let dir = std::env::var(DIR).expect("the parent has set it");
    if let Ok(point) = std::env::var(POINT) {
        let name = point.split(' ').next().expect("there is always a first");
        let (dir, name) = (dir.clone(), name.to_owned());
        kill_at(&point, move || seal_at(&name, Path::new(&dir)));
    }
    let db = STORE.get_or_init(|| open(Path::new(&dir))).clone();
    let mut rng = SmallRng::seed_from_u64(db.version());
    let began = Instant::now();
    while began.elapsed() < LIFETIME {
        let height = {
            let _sealing = SEALING.lock().expect("nobody panics");
            seal(&db)
        };
        match rng.random_range(0..16) {
            0 => drop(db.flush().expect("a sound store")),
            1 => drop(db.prune(&Retention::blocks(rng.random_range(1..8))).expect("a sound store")),
            2..6 => rebalance(&db, &mut rng),
            6 => match db.abort_rebalance() {
                Ok(()) | Err(Error::NoRebalance | Error::RebalanceHandedOver) => {}
                Err(error) => panic!("a sound store: {error}"),
            },
            7 if height > REORG_WINDOW => {
                let back = rng.random_range(1..=REORG_WINDOW);
                let _sealing = SEALING.lock().expect("nobody panics");
                // It may have gone on meanwhile.
                if db.head().is_none_or(|head| head.height != height) {
                    continue;
                }
                let above = db.block(height - back).is_some_and(|block| block.version >= db.floor());
                assert_eq!(db.rollback_to(height - back).is_ok(), above, "back by {back} to the floor {}", db.floor());
            }
            8 if rng.random_ratio(1, 4) => {
                let name = format!("c{}", db.version());
                db.checkpoint(&name).expect("room on the disk");
                db.delete_checkpoint(&name).expect("just made");
            }
            _ => {}
        }
    }
}

fn check(db: &Database) {
    let floor = db.floor();
    let moving = db.rebalance_status().is_some();
    for block in db.blocks(..) {
        let then = match db.snapshot_at(At::Height(block.height)) {
            Ok(then) => then,
            Err(error) => {
                assert_eq!((error.kind(), block.version < floor), (ErrorKind::Pruned, true), "{block:?}");
                continue;
            }
        };
        let rows: Vec<_> = then.prefix("").collect::<shingle::Result<_>>().expect("a sound store");
        assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "a row twice at {block:?}, moving: {moving}");
        let rows: State = rows.into_iter().collect();
        assert_eq!(rows, state_at(block.height), "{block:?}, moving: {moving}");
        for key in (0..KEYS).map(|key| key.to_be_bytes()) {
            assert_eq!(then.get(key).expect("a sound store").as_ref(), rows.get(&key[..]), "{key:?} at {block:?}");
        }
    }
    let expected: Vec<_> = db
        .blocks(..)
        .into_iter()
        .filter(|block| block.version > floor)
        .flat_map(|block| writes(block.height).into_iter().map(move |(key, value)| (block.version, key, value)))
        .collect();
    let changes = db.changes_since(floor).expect("nothing above the floor is pruned");
    let changes: Vec<_> = changes
        .map(|change| change.map(|c| (c.version, c.key, c.value)))
        .collect::<shingle::Result<_>>()
        .expect("sound");
    assert_eq!(changes, expected, "moving: {moving}");
}

/// Checks what the kill left, while what was cut short is gone on with, and when it is done.
fn check_killed(dir: &Path) -> bool {
    let report = Database::repair(dir, &|_| {}).expect("a killed store can be examined");
    assert!(report.is_sound(), "a kill does no damage, and what is on its way is none: {report:?}");
    let db = open(dir);
    let cut_short = db.rebalance_status().is_some();
    let sealed = std::fs::read_to_string(dir.with_file_name(SEALED)).ok().and_then(|height| height.parse().ok());
    assert!(db.head().map(|head| head.height) >= sealed, "block {sealed:?} was acknowledged: {:?}", db.head());
    check(&db);
    // It keeps its rate, and would be waited for.
    db.set_rebalance_rate(None).expect("room on the disk");
    let began = Instant::now();
    while let Some(status) = db.rebalance_status() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end: {status:?}");
        assert_eq!(status.failure, None);
        std::thread::sleep(Duration::from_millis(2));
    }
    check(&db);
    db.prune(&Retention::default()).expect("a sound store");
    let report = db.verify(&|_| {}).expect("room on the disk");
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.shards.len(), db.shards());
    let changes_left = db.changes_since(db.floor()).expect("as before").count() as u64;
    let changes: u64 = report.shards.iter().map(|shard| shard.changes).sum();
    assert_eq!(changes, changes_left, "nothing is left of slots that went");
    let dirs = std::fs::read_dir(dir.join("shards")).expect("it has shards").count();
    assert_eq!(dirs, db.shards(), "no directory of a shard is left behind");
    drop(db);
    check(&open(dir));
    cut_short
}

#[test]
fn a_rebalancing_that_is_killed_is_gone_on_with() {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut cut_short = 0;
    for &(point, passes) in POINTS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = dir.path().join("store");
        for _ in 0..ROUNDS {
            let _of_the_last_round = std::fs::remove_file(dir.path().join(SEALED));
            let mut command = child_process::command("child");
            command.env(DIR, &store).env(POINT, format!("{point} {}", rng.random_range(0..passes)));
            let status = command.spawn().expect("this binary can be run").wait().expect("it is waited for once");
            assert_eq!(status.signal(), Some(SIGKILL), "{point}: the child did not die of the kill but of itself");
            if !store.join("MANIFEST").exists() {
                continue;
            }
            cut_short += usize::from(check_killed(&store));
        }
    }
    assert!(cut_short > POINTS.len(), "only {cut_short} of the kills met a rebalancing");
}
