//! The corners of the contract, one by one.

use crate::fixture::{EPOCH, TestRun, UNLIMITED, changes, scan};
use crate::subject::Subject;
use shingle_shard::backend::{Applied, ChangesFrom, Page, Row};
use shingle_shard::{Error, KEY_BYTES_MAX, KeyRange, Order, VALUE_BYTES_MAX};
use std::ops::Bound;

#[test]
fn a_new_backend_is_empty() {
    for subject in Subject::all() {
        let backend = subject.backend();
        assert_eq!(backend.applied_through(), 0);
        assert_eq!(backend.get(b"a", u64::MAX).expect("sound"), None);
        for order in [Order::Ascending, Order::Descending] {
            assert_eq!(scan(backend, &KeyRange::all(), u64::MAX, order, UNLIMITED).expect("sound"), []);
        }
        assert_eq!(changes(backend, 0, u64::MAX, UNLIMITED).expect("sound"), []);
        assert_eq!(backend.retract(0, EPOCH).expect("sound"), 0);
    }
}

#[test]
fn an_empty_run_moves_the_mark_alone_and_it_stays_moved() {
    for mut subject in Subject::all() {
        assert_eq!(subject.apply(&[], 9), Applied::default());
        assert_eq!(subject.backend().applied_through(), 9);
        subject.reopen();
        assert_eq!(subject.backend().applied_through(), 9);
    }
}

#[test]
fn a_run_that_comes_late_does_not_take_the_mark_back() {
    for mut subject in Subject::all() {
        subject.apply(&[(b"a", 5, Some(b"5"))], 5);
        subject.apply(&[(b"b", 2, Some(b"2"))], 2);
        subject.reopen();
        assert_eq!(subject.backend().applied_through(), 5);
        let expected = Some(Row { version: 2, value: Some(b"2".to_vec()) });
        assert_eq!(subject.backend().get(b"b", 5).expect("sound"), expected);
    }
}

/// Keys of a version that was flushed before arrive when a slot moves here.
#[test]
fn more_keys_of_a_version_join_those_that_are_there() {
    for subject in Subject::all() {
        subject.apply(&[(b"b", 4, Some(b"")), (b"d", 4, Some(b"")), (b"b", 5, Some(b""))], 5);
        subject.apply(&[(b"a", 4, Some(b"")), (b"c", 4, None), (b"d", 4, Some(b""))], 5);
        let rows = changes(subject.backend(), 0, 9, UNLIMITED).expect("sound");
        let keys: Vec<_> = rows.iter().map(|(key, version, _)| (*version, key.as_slice())).collect();
        assert_eq!(keys, [(4, &b"a"[..]), (4, b"b"), (4, b"c"), (4, b"d"), (5, b"b")]);
        assert_eq!(subject.backend().retract(4, EPOCH).expect("sound"), 1);
        assert_eq!(subject.backend().retract(3, EPOCH).expect("sound"), 4);
        assert_eq!(scan(subject.backend(), &KeyRange::all(), 9, Order::Ascending, UNLIMITED).expect("sound"), []);
    }
}

#[test]
fn an_older_epoch_is_refused_also_after_reopening() {
    for mut subject in Subject::all() {
        let run = TestRun::of([(&b"a"[..], 1, None)]);
        subject.backend().apply(&run, 1, 7).expect("the first epoch seen");
        subject.backend().apply(&run, 1, 7).expect("the same epoch");
        subject.reopen();
        let backend = subject.backend();
        let refused = |result| matches!(result, Err(Error::StaleEpoch { given: 6, newest: 7, .. }));
        assert!(refused(backend.apply(&TestRun::of([(&b"b"[..], 2, None)]), 2, 6).map(|_| ())));
        assert!(refused(backend.retract(0, 6).map(|_| ())));
        assert_eq!(backend.applied_through(), 1);
        assert_eq!(backend.get(b"b", 9).expect("sound"), None);
        backend.retract(0, 8).expect("a newer epoch");
    }
}

#[test]
fn keys_and_values_of_the_largest_size_come_back() {
    for mut subject in Subject::all() {
        let key = vec![0; KEY_BYTES_MAX];
        let value = vec![0xab; VALUE_BYTES_MAX];
        subject.apply(&[(&key, 1, Some(&value)), (&[0xff; KEY_BYTES_MAX], 1, Some(b"")), (&[0], 1, Some(b"x"))], 1);
        subject.reopen();
        let row = subject.backend().get(&key, 1).expect("sound").expect("written above");
        assert!(row.value.as_deref() == Some(&value));
        let rows = scan(subject.backend(), &KeyRange::all(), 1, Order::Descending, UNLIMITED).expect("sound");
        let keys: Vec<_> = rows.into_iter().map(|row| row.0).collect();
        assert_eq!(keys, [vec![0xff; KEY_BYTES_MAX], key, vec![0]]);
    }
}

#[test]
fn ranges_without_keys_are_finished_at_once() {
    for subject in Subject::all() {
        subject.apply(&[(b"a", 1, Some(b"1")), (b"b", 1, Some(b"1"))], 1);
        let bound = |key: &[u8]| key.to_vec();
        let inverted = [
            KeyRange { start: Bound::Included(bound(b"b")), end: Bound::Excluded(bound(b"a")) },
            KeyRange { start: Bound::Included(bound(b"b")), end: Bound::Included(bound(b"a")) },
            KeyRange { start: Bound::Excluded(bound(b"a")), end: Bound::Excluded(bound(b"a")) },
            KeyRange { start: Bound::Excluded(bound(b"a")), end: Bound::Included(bound(b"a")) },
            KeyRange { start: Bound::Excluded(bound(b"a")), end: Bound::Excluded(bound(b"b")) },
            KeyRange { start: Bound::Unbounded, end: Bound::Excluded(Vec::new()) },
            KeyRange { start: Bound::Included(bound(b"c")), end: Bound::Unbounded },
        ];
        for range in inverted {
            for order in [Order::Ascending, Order::Descending] {
                let mut page = Page::default();
                subject.backend().scan(&range, 1, order, UNLIMITED, &mut page).expect("sound");
                assert!(page.finished && page.is_empty(), "{range:?} {order:?}");
            }
        }
    }
}

#[test]
fn a_page_that_was_used_before_is_cleared() {
    for subject in Subject::all() {
        subject.apply(&[(b"a", 1, Some(b"1"))], 1);
        let mut page = Page::default();
        for _ in 0..2 {
            subject.backend().scan(&KeyRange::all(), 1, Order::Ascending, UNLIMITED, &mut page).expect("sound");
            assert_eq!(page.len(), 1);
            subject.backend().changes(ChangesFrom::After(0), 1, UNLIMITED, &mut page).expect("sound");
            assert_eq!(page.len(), 1);
        }
        let all_seen = ChangesFrom::After(u64::MAX);
        subject.backend().changes(all_seen, u64::MAX, UNLIMITED, &mut page).expect("sound");
        assert!(page.finished && page.is_empty());
    }
}
