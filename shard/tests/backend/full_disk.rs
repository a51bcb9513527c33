//! A full disk fails the flush with an error that says so; once there is room the same flush succeeds, without reopening.

use crate::fixture::{Directory, EPOCH, TestRun, UNLIMITED, changes};
use crate::mount::Mount;
use shingle_shard::Error;
use shingle_shard::backend::{Backend, RocksBackend};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const ROWS: u64 = 3000;

/// Rows that do not compress: about 360 KB.
fn run(version: u64) -> TestRun {
    let mut run = TestRun::default();
    for i in 0..ROWS {
        let bytes = |n: u64| -> Vec<u8> {
            (0..n)
                .flat_map(|j| shingle_shard::key_hash(&[i, j, version].map(u64::to_be_bytes).concat()).to_be_bytes())
                .collect()
        };
        run.rows.insert((bytes(3), version), Some(bytes(12)));
    }
    run
}

/// Fills the disk but for `left` bytes.
fn fill(ballast: &Path, left: u64) {
    let mut file = fs::File::create(ballast).expect("the disk can be written");
    for step in [1 << 20, 1 << 12] {
        while file.write_all(&vec![1; step]).is_ok() {}
    }
    // The last of the larger writes has filled the disk in part: only the file knows how far.
    let bytes = file.metadata().expect("it is open").len();
    file.set_len(bytes.saturating_sub(left)).expect("a file can be cut");
}

/// RocksDB looks every five seconds whether it can write its own records again.
fn apply_within_a_minute(backend: &RocksBackend, run: &TestRun, version: u64) {
    let start = Instant::now();
    while let Err(error) = backend.apply(run, version, EPOCH) {
        assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(60), "it does not recover: {error:?}");
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_flush_succeeds_once_there_is_room() {
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=64m", "tmpfs"]) else { return };
    let directory = Directory::within(disk.path());
    let ballast = disk.path().join("ballast");
    let backend = directory.create().expect("there is room");
    let mut refused = 0;
    for version in 1..=40 {
        let run = run(version);
        fill(&ballast, [0, 4 << 10, 16 << 10, 100 << 10, 300 << 10][version as usize % 5] + version * 1000);
        match backend.apply(&run, version, EPOCH) {
            Ok(_) => {}
            Err(Error::NoSpace { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        fs::remove_file(&ballast).expect("written above");
        apply_within_a_minute(&backend, &run, version);
        assert_eq!(backend.applied_through(), version);
        assert_eq!(changes(&backend, version - 1, version, UNLIMITED).expect("sound").len() as u64, ROWS);
    }
    assert!(refused > 10, "the disk was never full");
    let (mut rows, mut entries) = (0, 0);
    let mut row = |_: shingle_shard::backend::RowRef<'_>| {
        rows += 1;
        Ok(())
    };
    let mut change = |_, _: &[u8]| {
        entries += 1;
        Ok(())
    };
    backend.verify(&mut row, &mut change).expect("sound");
    assert_eq!((rows, entries), (40 * ROWS, 40 * ROWS));
}
