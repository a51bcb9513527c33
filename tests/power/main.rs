//! Power cuts: an ext4 file system on a loop device is shut down without flushing anything while a child commits on it. What was not synced is gone
//! then, as in a real cut. Every commit that was acknowledged as `Sync` must be there when the file system is mounted again.
//!
//! Needs root and loop devices; skipped, with a word on standard error, where there are none. `SHINGLE_CUTS` sets how many cuts there are.

#[path = "../crash/child.rs"]
mod child;
#[path = "../support/child.rs"]
mod child_process;
#[path = "../support/env.rs"]
mod env;
#[path = "../crash/group.rs"]
mod group;
#[path = "../support/kill_at.rs"]
mod kill_at;
#[path = "../crash/line.rs"]
mod line;
#[path = "../crash/listen.rs"]
mod listen;
#[path = "../support/mount.rs"]
mod mount;
mod shutdown;
#[path = "../crash/truth.rs"]
mod truth;

use line::Line;
use listen::{hear_for, listen};
use mount::Mount;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use truth::Truth;

const CUTS: u64 = 12;
/// A file system is made anew after this many, so that checks stay fast.
const CUTS_PER_STORE: u64 = 12;

/// Not a test: the process whose disk is taken away.
#[test]
fn child() {
    if child_process::is_child("child") {
        child::main();
    }
}

#[test]
fn every_synced_commit_survives_a_power_cut() {
    let cuts = env::number("SHINGLE_CUTS", CUTS);
    let mut rng = SmallRng::seed_from_u64(env::number("SHINGLE_SEED", 1));
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let image = scratch.path().join("disk.ext4");
    let mut truth = Truth::default();
    let mut acknowledged = 0;
    for cut in 0..cuts {
        if cut % CUTS_PER_STORE == 0 {
            if !make_file_system(&image) {
                return;
            }
            acknowledged += std::mem::take(&mut truth).acknowledged;
        }
        let Some(disk) = mount_image(&image) else { return };
        if !run_child_until_cut(&disk, &mut truth, &mut rng, cut) {
            return;
        }
        drop(disk);
        let disk = mount_image(&image).expect("it was mounted before");
        let db = child::builder(&disk.path().join("store")).open().expect("a store opens after a power cut");
        truth.check(&db, &mut rng);
        let report = db.verify(&|_| {}).expect("room on the disk");
        assert!(report.is_sound(), "{report:?}");
    }
    acknowledged += truth.acknowledged;
    eprintln!("{cuts} power cuts, {acknowledged} durable commits");
    assert!(acknowledged > cuts, "hardly anything was acknowledged: {acknowledged}");
}

/// Whether the file system could be shut down.
fn run_child_until_cut(disk: &Mount, truth: &mut Truth, rng: &mut SmallRng, cut: u64) -> bool {
    let root = File::open(disk.path()).expect("it is mounted");
    let mut child = child_process::command("child")
        .env(child::DIR, disk.path().join("store"))
        .env(child::RUN, cut.to_string())
        .env(child::POWER, "1")
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("this binary can be run");
    let lines = listen(&mut child);
    let mut heard = vec![lines.recv_timeout(Duration::from_secs(20)).expect("the child opens the store")];
    hear_for(&lines, &mut heard, Duration::from_micros(rng.random_range(0..300_000)));
    heard.extend(lines.try_iter());
    let down = shutdown::without_flushing(&root);
    child.kill().expect("it is not waited for yet");
    child.wait().expect("it is waited for once");
    // A machine without power acknowledges nothing. This child outlived its disk for a moment, in which a sync may be said to be done that was not:
    // ext4 reports no error where the end of a write could not be entered in a journal that is shut down.
    let late = lines.iter().take_while(|line| !matches!(line, Line::Rolled(_)));
    heard.extend(late.filter(|line| !matches!(line, Line::Ack { .. })));
    truth.hear(&heard);
    if let Err(error) = &down {
        eprintln!("SKIPPED: the file system cannot be shut down: {error}");
    }
    down.is_ok()
}

fn make_file_system(image: &Path) -> bool {
    let bytes = 256 << 20;
    File::create(image).and_then(|file| file.set_len(bytes)).expect("a sparse file takes no room");
    let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image).status();
    if !made.as_ref().is_ok_and(std::process::ExitStatus::success) {
        eprintln!("SKIPPED: no file system can be made: {made:?}");
        return false;
    }
    true
}

fn mount_image(image: &Path) -> Option<Mount> {
    Mount::new(&["-o", "loop", image.to_str().expect("a temporary path is UTF-8")])
}
