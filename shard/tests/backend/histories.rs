//! Keys with many versions: each scan still gives each key once, with the right one.

use crate::fixture::{TestRun, UNLIMITED, changes, scan};
use crate::subject::Subject;
use shingle_shard::backend::PageLimit;
use shingle_shard::{KeyRange, Order, Version};

const VERSIONS: Version = 400;
const KEYS: [&[u8]; 4] = [b"a", b"a\x00", b"a\x00\x01", b"b"];

/// Key `i` is written by every version that `i + 1` divides; every seventh one deletes it.
fn value(key: usize, version: Version) -> Option<Option<Vec<u8>>> {
    let written = version.is_multiple_of(key as u64 + 1);
    written.then(|| (!version.is_multiple_of(7)).then(|| version.to_be_bytes().to_vec()))
}

fn filled(subject: &Subject) {
    for run in 0..4 {
        let versions = run * VERSIONS / 4 + 1..=(run + 1) * VERSIONS / 4;
        let mut rows = TestRun::default();
        for version in versions.clone() {
            for (i, key) in KEYS.iter().enumerate() {
                if let Some(value) = value(i, version) {
                    rows.rows.insert((key.to_vec(), version), value);
                }
            }
        }
        subject.backend().apply(&rows, *versions.end(), 1).expect("sound");
    }
}

#[test]
fn scans_and_reads_find_the_right_version_of_each_key() {
    for subject in Subject::all() {
        filled(&subject);
        for at in [0, 1, 2, 3, 4, 7, 8, 9, 12, 100, 101, 199, 392, 399, 400, 10_000] {
            let mut expected = Vec::new();
            for (i, key) in KEYS.iter().enumerate() {
                let newest = (1..=at.min(VERSIONS)).rev().find_map(|version| Some((version, value(i, version)?)));
                if let Some((version, value)) = &newest {
                    expected.push((key.to_vec(), *version, value.clone()));
                }
                let row = subject.backend().get(key, at).expect("sound").map(|row| (row.version, row.value));
                assert_eq!(row, newest, "{key:?} at {at}");
            }
            for limit in [UNLIMITED, PageLimit { rows: 1, bytes: usize::MAX }] {
                let rows = scan(subject.backend(), &KeyRange::all(), at, Order::Ascending, limit).expect("sound");
                assert_eq!(rows, expected, "at {at}");
                let mut rows = scan(subject.backend(), &KeyRange::all(), at, Order::Descending, limit).expect("sound");
                rows.reverse();
                assert_eq!(rows, expected, "at {at}, backwards");
            }
        }
    }
}

/// A version whose keys fill many parts of the index of changes is resumed in the midst of any of them.
#[test]
fn changes_of_a_large_version_are_paged() {
    for subject in Subject::all() {
        let mut run = TestRun::default();
        for i in 0..3000_u32 {
            run.rows.insert((i.to_be_bytes().repeat(1 + i as usize % 9), 5), Some(i.to_be_bytes().to_vec()));
            run.rows.insert((i.to_be_bytes().to_vec(), 6 + u64::from(i % 3)), None);
        }
        subject.backend().apply(&run, 8, 1).expect("sound");
        let whole = changes(subject.backend(), 4, 8, UNLIMITED).expect("sound");
        assert_eq!(whole.len(), 6000);
        assert!(whole.is_sorted_by(|a, b| (a.1, &a.0) < (b.1, &b.0)));
        assert_eq!(whole, changes(subject.backend(), 4, 8, PageLimit { rows: 7, bytes: usize::MAX }).expect("sound"));
        assert_eq!(changes(subject.backend(), 5, 6, UNLIMITED).expect("sound").len(), 1000);
    }
}
