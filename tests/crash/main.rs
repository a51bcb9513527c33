//! Kills: a child process commits, flushes and rolls back until SIGKILL ends it, at random moments and at every named point of the protocol. The
//! store must then open with every acknowledged commit, with no part of one, and with no version given twice.
//!
//! A killed process loses nothing that it handed to the system, so buffered commits must be there as well.
//! `SHINGLE_KILLS` sets how many children are killed, `SHINGLE_SEED` when; `SHINGLE_HEARD` prints what each of them said.

mod child;
#[path = "../support/child.rs"]
mod child_process;
mod controls;
#[path = "../support/env.rs"]
mod env;
mod group;
#[path = "../support/kill_at.rs"]
mod kill_at;
mod line;
mod listen;
mod points;
mod truth;

use line::Line;
use listen::{hear_for, listen};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Database, RestoreOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use truth::Truth;

/// Kills of both tests together.
const KILLS: u64 = 260;
/// A store is thrown away after this many, so that checks stay fast and new stores have their turn.
const KILLS_PER_STORE: u64 = 20;
/// How long a child may take to reach its point before it is killed wherever it is.
const PATIENCE: Duration = Duration::from_secs(3);
const SIGKILL: i32 = 9;

/// Not a test: the process that is killed.
#[test]
fn child() {
    if child_process::is_child("child") {
        child::main();
    }
}

#[test]
fn nothing_is_lost_when_killed_at_random_moments() {
    let kills = env::number("SHINGLE_KILLS", KILLS) / 2;
    let mut torture = Torture::new("random", 1);
    for kill in 0..kills {
        if kill % KILLS_PER_STORE == 0 {
            torture.new_store();
        }
        let killed = torture.run_child(None);
        assert_eq!(killed, None);
        if torture.check_is_due || torture.rng.random_ratio(2, 3) {
            torture.check();
        }
    }
    torture.check();
    assert!(torture.acknowledged() > kills, "hardly anything was acknowledged: {}", torture.acknowledged());
}

#[test]
fn nothing_is_lost_when_killed_at_every_named_point() {
    let points: Vec<_> = points::CREATION.iter().chain(points::RUNNING).chain(points::OPENING).collect();
    let kills = env::number("SHINGLE_KILLS", KILLS) / 2;
    let rounds = kills.div_ceil(points.len() as u64).max(1);
    let mut torture = Torture::new("points", 2);
    for point in points {
        let mut reached = 0;
        torture.new_store();
        if !points::CREATION.contains(point) {
            torture.run_child(None);
            torture.check();
        }
        for _ in 0..rounds {
            if points::CREATION.contains(point) {
                torture.new_store();
            }
            let passes = torture.rng.random_range(0..=points::passes_max(point));
            let killed_at = torture.run_child(Some((point, passes)));
            reached += u64::from(killed_at.as_deref() == Some(*point));
            torture.check();
        }
        assert!(reached * 2 >= rounds, "{point} was reached by {reached} of {rounds} children");
    }
}

/// A store, what is known of it, and the children that are killed on it.
struct Torture {
    dir: TempDir,
    stores: u64,
    runs: u64,
    checks: u64,
    truth: Truth,
    /// The last child has left something open that only the store can tell.
    check_is_due: bool,
    acknowledged_before: u64,
    rng: SmallRng,
}

impl Torture {
    fn new(name: &str, stream: u64) -> Self {
        let seed = env::number("SHINGLE_SEED", 1);
        eprintln!("{name}: SHINGLE_SEED={seed}");
        Torture {
            dir: tempfile::tempdir().expect("a temporary directory"),
            stores: 0,
            runs: 0,
            checks: 0,
            truth: Truth::default(),
            check_is_due: false,
            acknowledged_before: 0,
            rng: SmallRng::seed_from_u64(seed << 8 | stream),
        }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join(self.stores.to_string())
    }

    fn new_store(&mut self) {
        if self.runs > 0 {
            self.check();
            std::fs::remove_dir_all(self.store()).expect("nobody has it open");
        }
        self.stores += 1;
        self.acknowledged_before += std::mem::take(&mut self.truth).acknowledged;
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged_before + self.truth.acknowledged
    }

    /// Starts a child and lets it be killed. Returns the point at which it killed itself, if it did.
    fn run_child(&mut self, point: Option<(&str, u64)>) -> Option<String> {
        self.runs += 1;
        let mut command = child_process::command("child");
        command.env(child::DIR, self.store()).env(child::RUN, self.runs.to_string());
        if let Some((name, passes)) = point {
            command.env(child::POINT, format!("{name} {passes}"));
        }
        let mut child = command.spawn().expect("this binary can be run");
        let lines = listen(&mut child);
        let mut heard = Vec::new();
        let ended = match point {
            Some(_) => hear_for(&lines, &mut heard, PATIENCE),
            // Seldom while it opens the store, mostly while it works.
            None if self.rng.random_ratio(1, 6) => {
                let moment = Duration::from_micros(self.rng.random_range(0..60_000));
                hear_for(&lines, &mut heard, moment)
            }
            None => {
                let first = lines.recv_timeout(PATIENCE).expect("the child opens the store");
                heard.push(first);
                let moment = Duration::from_micros(self.rng.random_range(0..80_000));
                hear_for(&lines, &mut heard, moment)
            }
        };
        if !ended {
            child.kill().expect("it is not waited for yet");
        }
        heard.extend(lines.iter());
        let status = child.wait().expect("it is waited for once");
        assert_eq!(
            status.signal(),
            Some(SIGKILL),
            "the child did not die of the kill but of itself; see its words above"
        );
        let killed_at =
            heard.iter().find_map(|line| if let Line::Point(name) = line { Some(name.clone()) } else { None });
        if std::env::var("SHINGLE_HEARD").is_ok() {
            eprintln!("--- run {} {point:?}", self.runs);
            heard.iter().for_each(|line| eprintln!("{line}"));
        }
        self.check_is_due = self.truth.hear(&heard);
        killed_at
    }

    /// Whatever is listed after a kill is whole, and becomes a sound store.
    fn check_checkpoint(&self) {
        let listed = Database::checkpoints_in(self.store()).expect("a readable directory");
        let Some(newest) = listed.last() else { return };
        let target = self.dir.path().join("restored");
        Database::restore(&newest.path, &target, &RestoreOptions::default(), &|_| {}).expect("a whole checkpoint");
        let restored = child::builder(&target).open().expect("a restored store");
        assert_eq!((restored.version(), restored.head()), (newest.version, newest.block));
        let report = restored.verify(&|_| {}).expect("room on the disk");
        assert!(report.is_sound(), "{report:?}");
        drop(restored);
        std::fs::remove_dir_all(&target).expect("nobody has it open");
    }

    /// Opens the store as a node would after the kill, and compares.
    fn check(&mut self) {
        if self.checks.is_multiple_of(4) && self.store().join("MANIFEST").exists() {
            let report = Database::repair(self.store(), &|_| {}).expect("a killed store can be examined");
            assert!(report.is_sound(), "a kill does no damage: {report:?}");
        }
        let db = child::builder(&self.store()).open().expect("a killed store opens");
        self.truth.check(&db, &mut self.rng);
        self.check_checkpoint();
        self.checks += 1;
        if self.checks.is_multiple_of(8) {
            let report = db.verify(&|_| {}).expect("room on the disk");
            assert!(report.is_sound(), "{report:?}");
        }
        // A store that was dropped is recovered as one that was closed.
        if self.rng.random() {
            db.close().expect("a sound disk");
        }
    }
}
