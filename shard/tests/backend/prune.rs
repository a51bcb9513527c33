//! What a pruning removes, and what it costs.

use crate::fixture::{EPOCH, UNLIMITED, changes, scan};
use crate::subject::Subject;
use shingle_shard::backend::{Backend, PruneCursor, PruneSlice};
use shingle_shard::{KeyRange, Order, Version};

/// What the slices of a pruning came to.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    pub(crate) keys: u64,
    pub(crate) bytes: u64,
    pub(crate) changes: u64,
}

/// Goes through at most `slices_max` slices of about `slice_changes` changes, and removes them if told to.
pub(crate) fn prune(
    backend: &dyn Backend,
    floor: Version,
    slice_changes: usize,
    slices_max: usize,
    remove: bool,
) -> Sum {
    let (mut cursor, mut slice, mut sum) = (PruneCursor::default(), PruneSlice::default(), Sum::default());
    let mut slices = 0;
    while !cursor.finished && slices < slices_max {
        backend.prunable(floor, &mut cursor, slice_changes, &mut slice).expect("sound");
        assert!(slice.rows.is_sorted_by(|a, b| (&a.0, u64::MAX - a.1) < (&b.0, u64::MAX - b.1)), "{slice:?}");
        if remove {
            backend.remove(&slice, EPOCH).expect("sound");
        }
        sum.rows += slice.rows.len() as u64;
        sum.keys += slice.keys;
        sum.bytes += slice.bytes;
        sum.changes += slice.change_count;
        slices += 1;
    }
    sum
}

/// A key that is written by every version takes one look for each of its rows, and no slice more than its part.
#[test]
fn a_hot_key_is_pruned_slice_by_slice() {
    for subject in Subject::all() {
        let versions: Vec<Version> = (1..=5000).collect();
        let rows: Vec<_> = versions.iter().map(|version| (&b"hot"[..], *version, Some(&b"value"[..]))).collect();
        subject.apply(&rows, 5000);
        let backend = subject.backend();
        let (mut cursor, mut slice) = (PruneCursor::default(), PruneSlice::default());
        backend.prunable(4000, &mut cursor, 100, &mut slice).expect("sound");
        assert_eq!((slice.rows.len(), slice.change_count, slice.keys), (100, 100, 0));
        let sum = prune(backend, 4000, 100, usize::MAX, true);
        assert_eq!((sum.rows, sum.keys, sum.changes, sum.bytes), (3999, 1, 4000, 3999 * 8));
        assert_eq!(scan(backend, &KeyRange::all(), 4000, Order::Ascending, UNLIMITED).expect("sound")[0].1, 4000);
        assert_eq!(changes(backend, 4000, 5000, UNLIMITED).expect("sound").len(), 1000);
        assert_eq!(prune(backend, 5000, 100, usize::MAX, true).rows, 1000, "the one that was kept goes too");
    }
}

/// A pruning looks at what was written since the last one, however much is stored.
#[test]
fn a_pruning_costs_what_was_written_since_the_last_one() {
    for mut subject in Subject::all() {
        let keys: Vec<_> = (0..20_000_u32).map(u32::to_be_bytes).collect();
        let stored: Vec<_> = keys.iter().map(|key| (&key[..], 1, Some(&b"a"[..]))).collect();
        subject.apply(&stored, 1);
        assert_eq!(prune(subject.backend(), 1, 1000, usize::MAX, true).rows, 0);
        subject.reopen();
        let written: Vec<_> = keys.iter().step_by(100).map(|key| (&key[..], 2, Some(&b"b"[..]))).collect();
        subject.apply(&written, 2);
        let sum = prune(subject.backend(), 2, 1000, usize::MAX, true);
        assert_eq!((sum.rows, sum.keys, sum.changes), (200, 200, 200));
        subject.backend().reclaim().expect("sound");
        assert_eq!(
            scan(subject.backend(), &KeyRange::all(), 2, Order::Ascending, UNLIMITED).expect("sound").len(),
            20_000
        );
    }
}

/// A shard whose last flush ended with a tombstone says at its opening that the row is there: not once it was pruned.
#[test]
fn a_pruned_tombstone_is_not_missed_at_the_next_opening() {
    let mut subject = Subject::rocks();
    subject.apply(&[(b"key", 1, Some(b"value"))], 1);
    subject.apply(&[(b"key", 2, None)], 2);
    assert_eq!(prune(subject.backend(), 2, 10, usize::MAX, true).rows, 2);
    subject.reopen();
    assert_eq!(subject.backend().get(b"key", 2).expect("sound"), None);
    subject.compact();
    subject.reopen();
}

/// The space comes back when it is asked for.
#[test]
fn reclaiming_gives_the_space_back() {
    let subject = Subject::rocks();
    let keys: Vec<_> = (0..2000_u32).map(u32::to_be_bytes).collect();
    let value = |version: Version| {
        // Without a pattern that compression would find.
        let mut state = version.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(500)
        .collect::<Vec<_>>()
    };
    for version in 1..=10 {
        let values: Vec<_> = (0..keys.len() as u64).map(|key| value(version * 10_000 + key)).collect();
        let rows: Vec<_> = keys.iter().zip(&values).map(|(key, value)| (&key[..], version, Some(&value[..]))).collect();
        subject.apply(&rows, version);
    }
    subject.compact();
    let before = subject.backend().stats().file_bytes;
    assert_eq!(prune(subject.backend(), 10, 5000, usize::MAX, true).rows, 18_000);
    subject.backend().reclaim().expect("sound");
    let after = subject.backend().stats().file_bytes;
    assert!(after * 5 < before, "{before} bytes became {after}");
    assert_eq!(scan(subject.backend(), &KeyRange::all(), 10, Order::Ascending, UNLIMITED).expect("sound").len(), 2000);
}
