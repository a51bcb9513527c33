//! What a crash leaves, and what is done again after it.

use crate::fixture::{Directory, EPOCH, TestRun, UNLIMITED, changes, scan};
use crate::subject::{Subject, TestRow};
use shingle_shard::backend::Backend;
use shingle_shard::{KeyRange, Order};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

#[test]
fn a_run_applied_twice_changes_nothing() {
    for mut subject in Subject::all() {
        let rows: &[TestRow<'_>] =
            &[(b"a", 1, Some(b"1")), (b"a", 2, None), (b"b", 2, Some(b"2")), (b"c", 3, Some(b""))];
        subject.apply(rows, 3);
        let scanned = scan(subject.backend(), &KeyRange::all(), 3, Order::Ascending, UNLIMITED).expect("sound");
        let changed = changes(subject.backend(), 0, 3, UNLIMITED).expect("sound");
        for _ in 0..2 {
            subject.reopen();
            subject.apply(rows, 3);
            let again = scan(subject.backend(), &KeyRange::all(), 3, Order::Ascending, UNLIMITED).expect("sound");
            assert_eq!(again, scanned);
            assert_eq!(changes(subject.backend(), 0, 3, UNLIMITED).expect("sound"), changed);
        }
    }
}

#[test]
fn what_was_retracted_can_be_written_again() {
    for mut subject in Subject::all() {
        subject.apply(&[(b"a", 1, Some(b"1")), (b"a", 2, Some(b"2"))], 2);
        for _ in 0..2 {
            assert_eq!(subject.backend().retract(1, EPOCH).expect("sound"), 1);
            assert_eq!(subject.backend().applied_through(), 2);
            subject.reopen();
            assert_eq!(subject.backend().get(b"a", 9).expect("sound").map(|row| row.version), Some(1));
            assert_eq!(subject.backend().retract(1, EPOCH).expect("sound"), 0);
            subject.apply(&[(b"a", 2, Some(b"2"))], 2);
            assert_eq!(subject.backend().get(b"a", 9).expect("sound").map(|row| row.version), Some(2));
        }
    }
}

/// More than is sorted and deleted at a time.
#[test]
fn a_long_retraction_goes_by_slices() {
    for mut subject in Subject::all() {
        let long = |i: u32| i.to_be_bytes().repeat(10_000);
        let mut run = TestRun::default();
        for i in 0..600 {
            run.rows.insert((long(i), 1 + u64::from(i % 5)), None);
        }
        subject.backend().apply(&run, 5, EPOCH).expect("sound");
        assert_eq!(subject.backend().retract(1, EPOCH).expect("sound"), 480);
        subject.reopen();
        let left = scan(subject.backend(), &KeyRange::all(), u64::MAX, Order::Ascending, UNLIMITED).expect("sound");
        assert!(left.len() == 120 && left.iter().all(|row| row.1 == 1));
        assert_eq!(changes(subject.backend(), 0, u64::MAX, UNLIMITED).expect("sound").len(), 120);
    }
}

#[test]
fn files_left_on_their_way_in_are_deleted_at_opening() {
    let directory = Directory::new();
    drop(directory.create().expect("a new directory"));
    let leftover = directory.shard().join("ingest/versions-0.sst");
    std::fs::write(&leftover, b"half a file").expect("the directory is there");
    let backend = directory.open().expect("a leftover does no harm");
    assert!(!leftover.exists());
    let run = TestRun::of([(&b"a"[..], 1, Some(&b"1"[..]))]);
    backend.apply(&run, 1, EPOCH).expect("the name is free again");
    assert_eq!(std::fs::read_dir(directory.shard().join("ingest")).expect("it stays").count(), 0);
}

/// Readers keep iterators between two calls: none may hide what was applied or retracted since.
#[test]
fn a_read_sees_what_was_applied_before_it_began() {
    for subject in Subject::all() {
        let backend = subject.backend();
        for version in 1..50 {
            subject.apply(&[(b"a", version, Some(b"")), (&version.to_be_bytes(), version, None)], version);
            assert_eq!(backend.get(b"a", u64::MAX).expect("sound").map(|row| row.version), Some(version));
            let rows = scan(backend, &KeyRange::all(), u64::MAX, Order::Descending, UNLIMITED).expect("sound");
            assert_eq!(rows.len() as u64, version + 1);
            if version % 5 == 0 {
                backend.retract(version - 1, EPOCH).expect("sound");
                assert_eq!(backend.get(b"a", u64::MAX).expect("sound").map(|row| row.version), Some(version - 1));
                assert_eq!(changes(backend, 0, u64::MAX, UNLIMITED).expect("sound").len() as u64, 2 * (version - 1));
                subject.apply(&[(b"a", version, Some(b"")), (&version.to_be_bytes(), version, None)], version);
            }
        }
    }
}

#[test]
fn readers_run_beside_a_writer() {
    let subject = Subject::rocks();
    let backend = subject.backend();
    subject.apply(&[(b"fixed", 1, Some(b"1")), (b"moving", 1, Some(&1_u64.to_be_bytes()))], 1);
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                while !stop.load(Relaxed) {
                    let through = backend.applied_through();
                    let newest = backend.get(b"moving", u64::MAX).expect("sound").expect("never deleted");
                    assert!(newest.version >= through, "a read at {through} saw {}", newest.version);
                    assert_eq!(newest.value, Some(newest.version.to_be_bytes().to_vec()));
                    let old = scan(backend, &KeyRange::all(), 1, Order::Ascending, UNLIMITED).expect("sound");
                    assert_eq!(old.len(), 2);
                    backend.pressure();
                }
            });
        }
        for version in 2..120_u64 {
            subject.apply(&[(b"moving", version, Some(&version.to_be_bytes()))], version);
        }
        stop.store(true, Relaxed);
    });
}
