//! Crashes at the named points of a backend's protocols. A binary of its own, with the feature `failpoints`: failpoints are global.

#[path = "backend/fixture.rs"]
mod fixture;

use fixture::{Directory, EPOCH, Found, TestRun, UNLIMITED, changes, scan};
use shingle_shard::backend::{Backend, PruneCursor, PruneSlice, RocksBackend};
use shingle_shard::{Error, KeyRange, Order, Version};
use std::sync::{Mutex, PoisonError};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Keys of a run that needs more than one slice and more than one part.
fn run(versions: std::ops::RangeInclusive<Version>) -> TestRun {
    let mut run = TestRun::default();
    for version in versions {
        for key in 0..400_u32 {
            let value = (key % 5 != 0).then(|| version.to_be_bytes().to_vec());
            run.rows.insert((key.to_be_bytes().to_vec(), version), value);
        }
    }
    run
}

fn stopped_at<T: std::fmt::Debug>(point: &str, result: Result<T, Error>) {
    let expected = format!("stopped at {point}");
    assert!(matches!(&result, Err(Error::Io { what, .. }) if *what == expected), "{result:?}");
}

fn rows(backend: &RocksBackend, at: Version) -> Vec<Found> {
    scan(backend, &KeyRange::all(), at, Order::Ascending, UNLIMITED).expect("sound")
}

/// Calls `act` on a shard with versions 1 to 5, stops it at `point`, with the process seeming to end there, and hands the
/// shard to `check` after reopening, with the rows of version 5 as they were.
fn stop_at(
    point: &str,
    act: impl Fn(&RocksBackend) -> Result<(), Error>,
    check: impl Fn(&RocksBackend, &[Found], &[Found]),
) {
    stop_at_nth(point, "", act, check);
}

/// As [`stop_at`], once the point was passed as `passes` says.
fn stop_at_nth(
    point: &str,
    passes: &str,
    act: impl Fn(&RocksBackend) -> Result<(), Error>,
    check: impl Fn(&RocksBackend, &[Found], &[Found]),
) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = Directory::new();
    let backend = directory.create().expect("a new directory");
    backend.apply(&run(1..=5), 5, EPOCH).expect("sound");
    let before = rows(&backend, 5);
    let changes_before = changes(&backend, 0, 5, UNLIMITED).expect("sound");
    fail::cfg(point, &format!("{passes}return")).expect("a valid action");
    let result = act(&backend);
    fail::remove(point);
    stopped_at(point, result);
    drop(backend);
    check(&directory.open().expect("a crash does no harm"), &before, &changes_before);
}

#[test]
fn a_flush_that_was_cut_short_is_made_again() {
    for point in ["flush::after_changes", "flush::after_versions", "flush::after_mark"] {
        stop_at(
            point,
            |backend| backend.apply(&run(6..=8), 8, EPOCH).map(|_| ()),
            |backend, before, changes_before| {
                assert_eq!(backend.applied_through(), if point == "flush::after_mark" { 8 } else { 5 });
                assert_eq!(rows(backend, 5), before);
                assert_eq!(changes(backend, 0, 5, UNLIMITED).expect("sound"), changes_before);
                let seen = changes(backend, 5, 8, UNLIMITED).expect("rows that are not there yet are left out").len();
                assert_eq!(seen, if point == "flush::after_changes" { 0 } else { 1200 });
                backend.apply(&run(6..=8), 8, EPOCH).expect("again");
                assert_eq!(backend.applied_through(), 8);
                assert_eq!(changes(backend, 5, 8, UNLIMITED).expect("sound").len(), 1200);
                assert_eq!(rows(backend, 8).len(), 400);
                assert!(rows(backend, 8).iter().all(|row| row.1 == 8));
                assert_eq!(rows(backend, 5), before);
            },
        );
    }
}

/// Whatever a flush left behind, a retraction finds it: the log may be cut to a version below.
#[test]
fn a_flush_that_was_cut_short_can_be_retracted() {
    for point in ["flush::after_changes", "flush::after_versions"] {
        stop_at(
            point,
            |backend| backend.apply(&run(6..=8), 8, EPOCH).map(|_| ()),
            |backend, before, _| {
                backend.retract(5, EPOCH).expect("sound");
                assert_eq!(backend.applied_through(), 5, "the mark stays");
                assert_eq!(rows(backend, Version::MAX), before);
                backend.apply(&run(20..=20), 20, EPOCH).expect("sound");
                assert_eq!(changes(backend, 5, 20, UNLIMITED).expect("sound").len(), 400);
                assert!(rows(backend, 19).iter().all(|row| row.1 == 5));
            },
        );
    }
}

#[test]
fn a_retraction_that_was_cut_short_is_made_again() {
    for point in ["retract::after_witness", "retract::after_versions", "retract::after_changes"] {
        stop_at(
            point,
            |backend| backend.retract(2, EPOCH).map(|_| ()),
            |backend, _, changes_before| {
                assert!(rows(backend, 2).iter().all(|row| row.1 == 2));
                backend.retract(2, EPOCH).expect("again");
                let left: Vec<_> = changes_before.iter().filter(|row| row.1 <= 2).cloned().collect();
                assert_eq!(changes(backend, 0, Version::MAX, UNLIMITED).expect("sound"), left);
                assert!(rows(backend, Version::MAX).iter().all(|row| row.1 == 2));
                let (mut in_rows, mut in_changes) = (0, 0);
                let mut row = |_: shingle_shard::backend::RowRef<'_>| {
                    in_rows += 1;
                    Ok(())
                };
                let mut change = |_, _: &[u8]| {
                    in_changes += 1;
                    Ok(())
                };
                backend.verify(&mut row, &mut change).expect("sound");
                assert_eq!((in_rows, in_changes), (800, 800));
            },
        );
    }
}

fn prune(backend: &RocksBackend, floor: Version) -> Result<u64, Error> {
    let (mut cursor, mut slice, mut rows) = (PruneCursor::default(), PruneSlice::default(), 0);
    while !cursor.finished {
        backend.prunable(floor, &mut cursor, 300, &mut slice)?;
        rows += slice.rows.len() as u64;
        backend.remove(&slice, EPOCH)?;
    }
    Ok(rows)
}

#[test]
fn a_pruning_that_was_cut_short_is_completed() {
    for point in ["prune::before_versions", "prune::after_versions", "prune::after_changes"] {
        // Stopped in its first slice, and in the midst of a key's versions.
        for passes in ["", "2*off->"] {
            stop_at_nth(
                point,
                passes,
                |backend| prune(backend, 4).map(|_| ()),
                |backend, before, _| {
                    assert_eq!(rows(backend, 5), before);
                    prune(backend, 4).expect("again");
                    assert_eq!(rows(backend, 5), before);
                    assert!(rows(backend, 4).iter().all(|row| row.1 == 4 && row.2.is_some()));
                    assert_eq!(rows(backend, 4).len(), 320);
                    let (mut in_rows, mut in_changes) = (0, 0);
                    let mut row = |_: shingle_shard::backend::RowRef<'_>| {
                        in_rows += 1;
                        Ok(())
                    };
                    let mut change = |version, _: &[u8]| {
                        assert_eq!(version, 5);
                        in_changes += 1;
                        Ok(())
                    };
                    backend.verify(&mut row, &mut change).expect("sound");
                    assert_eq!((in_rows, in_changes), (320 + 400, 400));
                    assert_eq!(prune(backend, 4).expect("once more"), 0);
                },
            );
        }
    }
}

/// Whoever reads changes while their rows go is refused by the floor, and meets no damage before.
#[test]
fn changes_are_read_in_the_midst_of_a_pruning() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = Directory::new();
    let backend = directory.create().expect("a new directory");
    backend.apply(&run(1..=5), 5, EPOCH).expect("sound");
    fail::cfg("prune::after_versions", "return").expect("a valid action");
    let result = prune(&backend, 4);
    fail::remove("prune::after_versions");
    stopped_at("prune::after_versions", result);
    assert!(changes(&backend, 0, 5, UNLIMITED).expect("not damaged").len() < 2000);
    assert_eq!(changes(&backend, 4, 5, UNLIMITED).expect("sound").len(), 400);
}

/// Rows go before the changes that name them: a feed that meets the gap is not damage.
#[test]
fn changes_are_read_in_the_midst_of_a_retraction() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = Directory::new();
    let backend = directory.create().expect("a new directory");
    backend.apply(&run(1..=5), 5, EPOCH).expect("sound");
    fail::cfg("retract::after_versions", "return").expect("a valid action");
    let result = backend.retract(2, EPOCH);
    fail::remove("retract::after_versions");
    stopped_at("retract::after_versions", result);
    assert_eq!(changes(&backend, 0, 5, UNLIMITED).expect("not damaged").len(), 800);
}
