//! Kills at every step of making, deleting and restoring a checkpoint: what was cut short is no checkpoint and no store, goes by itself, and can be done again.
//!
//! `SHINGLE_SEED` chooses what the store holds.

#[path = "support/child.rs"]
mod child_process;
#[path = "support/env.rs"]
mod env;
#[path = "support/files.rs"]
mod files;
#[path = "checkpoint/history.rs"]
mod history;
#[path = "support/kill_at.rs"]
mod kill_at;

use history::History;
use kill_at::kill_at;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use shingle::{Builder, Config, Database, RestoreOptions};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

/// Held alone by the test that makes points of this very process fail.
static POINTS: RwLock<()> = RwLock::new(());

const DIR: &str = "SHINGLE_CRASH_DIR";
const ACTION: &str = "SHINGLE_CRASH_ACTION";
/// `name passes`: kill at the named point once it has been passed so often.
const POINT: &str = "SHINGLE_CRASH_POINT";
const SIGKILL: i32 = 9;
const SHARDS: usize = 3;

/// Points, and how often they are passed before the kill.
const CREATE: &[(&str, u64)] = &[
    ("checkpoint::after_marker", 0),
    ("checkpoint::before_links", 0),
    ("checkpoint::before_links", 2),
    ("checkpoint::after_links", 0),
    ("checkpoint::after_links", 2),
    ("checkpoint::after_shards", 0),
    ("log::segment::created", 0),
    ("checkpoint::after_log", 0),
    ("checkpoint::before_hashes", 0),
    ("checkpoint::before_manifest", 0),
    ("checkpoint::before_rename", 0),
    ("checkpoint::after_rename", 0),
    ("checkpoint::after_manifest", 0),
];
const DELETE: &[(&str, u64)] = &[
    ("checkpoint::delete::after_marker", 0),
    ("checkpoint::delete::after_manifest", 0),
    ("checkpoint::delete::half", 0),
    ("checkpoint::delete::half", 2),
];
const RESTORE: &[(&str, u64)] = &[
    ("restore::after_marker", 0),
    ("restore::after_files", 0),
    ("restore::after_shards", 0),
    ("log::segment::before_rename", 0),
    ("blocks::persist", 0),
    ("restore::before_manifest", 0),
    ("manifest::before_rename", 0),
    ("manifest::after_rename", 0),
    ("restore::after_manifest", 0),
    ("manifest::before_rename", 1),
    ("manifest::after_rename", 1),
];

/// Not a test: the process that is killed.
#[test]
fn child() {
    if !child_process::is_child("child") {
        return;
    }
    let variable = |name: &str| std::env::var(name).expect("the parent has set it");
    let place = Place(PathBuf::from(variable(DIR)));
    let arm = || kill_at(&variable(POINT), || {});
    match variable(ACTION).as_str() {
        "create" => {
            let db = place.builder().open().expect("a sound store");
            arm();
            db.checkpoint("new").expect("it is killed before it can fail");
        }
        "delete" => {
            arm();
            Database::delete_checkpoint_in(place.store(), "old").expect("it is killed before it can fail");
        }
        _ => {
            arm();
            place.restore("old").expect("it is killed before it can fail");
        }
    }
}

/// A store whose shards and log lie elsewhere, and what is made of it.
struct Place(PathBuf);

impl Place {
    fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    fn disks(&self) -> Vec<PathBuf> {
        ["a", "b"].map(|disk| self.0.join(disk)).to_vec()
    }

    fn target(&self) -> PathBuf {
        self.0.join("target")
    }

    fn builder(&self) -> Builder {
        let mut config = Config::default();
        config.rocksdb.write_buffer_size = 64 << 10;
        config.rocksdb.max_write_buffer_number = 2;
        config.log.segment_bytes = 1 << 20;
        config.flush.interval_secs = 0;
        config.flush.blocks_per_flush = 0;
        config.checkpoint.snapshot_interval = 0;
        Database::builder(self.store()).shards(SHARDS).shard_dirs(self.disks()).config(config)
    }

    fn restore(&self, name: &str) -> shingle::Result<shingle::Restored> {
        let checkpoint = Database::checkpoint_path(self.store(), name)?;
        let options =
            RestoreOptions { shard_dirs: vec![self.0.join("c")], log_dir: Some(self.0.join("d")), copy: false };
        Database::restore(checkpoint, self.target(), &options, &|_| {})
    }

    fn remove_restored(&self) {
        for dir in [self.target(), self.0.join("c"), self.0.join("d")].iter().filter(|dir| dir.exists()) {
            std::fs::remove_dir_all(dir).expect("nobody has it open");
        }
    }

    /// Runs a child that is killed at the point.
    fn kill(&self, action: &str, (point, passes): (&str, u64)) {
        let mut child = child_process::command("child")
            .env(DIR, &self.0)
            .env(ACTION, action)
            .env(POINT, format!("{point} {passes}"))
            .spawn()
            .expect("this binary can be run");
        let mut said = String::new();
        child.stdout.take().expect("it is a pipe").read_to_string(&mut said).expect("a test prints text");
        let status = child.wait().expect("it is waited for once");
        assert_eq!(status.signal(), Some(SIGKILL), "{action} never came to {point} {passes}: {said}");
    }

    /// The names of all directories that checkpoints have left anywhere.
    fn left(&self) -> Vec<String> {
        let beside = |path: &Path| {
            path.parent().is_some_and(|dir| {
                dir.ends_with("store/checkpoints") || dir.extension().is_some_and(|kind| kind == "checkpoints")
            })
        };
        let mut left: Vec<_> = files::walk(&self.0)
            .into_iter()
            .filter(|path| beside(path))
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        left.sort();
        left.dedup();
        left
    }

    fn names(&self) -> Vec<String> {
        let listed = Database::checkpoints_in(self.store()).expect("a readable directory");
        let mut names: Vec<_> = listed
            .into_iter()
            .map(|checkpoint| {
                let report = Database::verify_checkpoint(&checkpoint.path, &|_| {}).expect("it is listed");
                assert!(report.is_sound(), "{report:?}");
                checkpoint.name
            })
            .collect();
        names.sort();
        names
    }
}

/// A store with the checkpoint "old", and a history that goes beyond.
fn make(dir: &Path) -> (Place, History, u64) {
    let place = Place(dir.to_owned());
    let db = place.builder().open().expect("a new store");
    let (mut history, mut rng) = (History::default(), SmallRng::seed_from_u64(env::number("SHINGLE_SEED", 1)));
    (0..60).for_each(|_| history.go_on(&db, &mut rng, true));
    let old = db.checkpoint("old").expect("a sound disk").version;
    (0..60).for_each(|_| history.go_on(&db, &mut rng, true));
    db.close().expect("a sound disk");
    (place, history, old)
}

#[test]
fn a_checkpoint_cut_short_is_none_and_goes_by_itself() {
    let _points_are_quiet = POINTS.read();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (place, history, _) = make(dir.path());
    for &point in CREATE {
        place.kill("create", point);
        let names = place.names();
        let done = names.contains(&"new".to_owned());
        let named = ["checkpoint::after_rename", "checkpoint::after_manifest"].contains(&point.0);
        assert_eq!(done, named, "{point:?}: {names:?}");
        let db = place.builder().open().expect("a killed store opens");
        assert_eq!(place.left(), names, "{point:?}: what is no checkpoint is removed");
        assert_eq!(db.version(), history.version());
        if done {
            db.delete_checkpoint("new").expect("it is there");
        }
        let version = db.checkpoint("new").expect("nothing is in the way").version;
        drop(db);
        place.restore("new").expect("a sound checkpoint");
        history.check(&Database::open(place.target()).expect("a restored store"), version);
        place.remove_restored();
        Database::delete_checkpoint_in(place.store(), "new").expect("it is there");
    }
    history.check(&place.builder().open().expect("a sound store"), history.version());
}

#[test]
fn a_deletion_cut_short_is_completed() {
    let _points_are_quiet = POINTS.read();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (place, history, _) = make(dir.path());
    for &point in DELETE {
        place.kill("delete", point);
        let names = place.names();
        assert_eq!(names.is_empty(), point.0 != "checkpoint::delete::after_marker", "{point:?}: {names:?}");
        let db = place.builder().open().expect("a killed store opens");
        assert_eq!(place.left(), names, "{point:?}");
        if !names.is_empty() {
            db.delete_checkpoint("old").expect("it is there");
        }
        assert_eq!(place.left(), Vec::<String>::new(), "{point:?}");
        db.checkpoint("old").expect("the name is free");
    }
    history.check(&place.builder().open().expect("a sound store"), history.version());
}

#[test]
fn a_restoration_cut_short_is_no_store_or_the_whole_one() {
    let _points_are_quiet = POINTS.read();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (place, history, old) = make(dir.path());
    let checkpoint = Database::checkpoint_path(place.store(), "old").expect("a name");
    let before = files::contents(&checkpoint);
    for &point in RESTORE {
        place.kill("restore", point);
        assert!(files::contents(&checkpoint) == before, "{point:?}: a checkpoint is only read");
        assert_eq!(place.names(), ["old"], "{point:?}: the checkpoint is as it was");
        if !place.target().join("MANIFEST").exists() {
            place.restore("old").unwrap_or_else(|error| panic!("{point:?}: it can be done again: {error}"));
        }
        let restored = Database::open(place.target()).expect("a whole store");
        history.check(&restored, old);
        drop(restored);
        place.remove_restored();
    }
    history.check(&place.builder().open().expect("a sound store"), history.version());
}

/// An error, not a kill: what was made of the checkpoint goes at once.
#[test]
fn a_checkpoint_that_fails_leaves_nothing() {
    let _alone = POINTS.write();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (place, _, _) = make(dir.path());
    let db = place.builder().open().expect("a sound store");
    for point in ["checkpoint::before_links", "checkpoint::after_links"] {
        fail::cfg(point, "return").expect("the build has failpoints");
        db.checkpoint("new").expect_err("it is made to fail");
        fail::remove(point);
        assert_eq!(place.left(), ["old"], "{point}");
        assert!(db.stats().checkpoints.last_failure.is_some());
    }
    db.checkpoint("new").expect("nothing is in the way");
}
