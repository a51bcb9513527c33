//! Reads of one version, compared with the oracle's.

use super::oracle::{Oracle, Range};
use super::pool::Pool;
use rand::Rng;
use rand::rngs::SmallRng;
use shingle::{Database, Result, Snapshot, Version};

type Row = (Vec<u8>, Vec<u8>);

/// The two ways to read: the newest version by the database itself, or any by a snapshot.
pub(crate) enum View<'a> {
    Newest(&'a Database),
    Snapshot(&'a Snapshot),
}

/// One random read of `view`, which shows version `at`. Returns how many operations it was.
pub(crate) fn check(view: &View<'_>, at: Version, oracle: &Oracle, pool: &Pool, rng: &mut SmallRng) -> u64 {
    match rng.random_range(0..10) {
        0..4 => {
            let key = pool.any_key(rng);
            let found = match view {
                View::Newest(db) => db.get(&key),
                View::Snapshot(snapshot) => snapshot.get(&key),
            };
            assert_eq!(found.expect("a sound key").as_ref(), oracle.get(&key, at), "get {key:?} at {at}");
            1
        }
        4..6 => {
            let keys: Vec<_> = (0..rng.random_range(0..150)).map(|_| pool.any_key(rng)).collect();
            let found = match view {
                View::Newest(db) => db.multi_get(&keys),
                View::Snapshot(snapshot) => snapshot.multi_get(&keys),
            };
            let found = found.expect("sound keys");
            assert_eq!(found.len(), keys.len());
            for (key, value) in keys.iter().zip(&found) {
                assert_eq!(value.as_ref(), oracle.get(key, at), "multi_get {key:?} at {at}");
            }
            keys.len() as u64
        }
        6..9 => {
            let range = pool.range(rng);
            let scan = match view {
                View::Newest(db) => db.range(range.clone()),
                View::Snapshot(snapshot) => snapshot.range(range.clone()),
            };
            compare_scan(scan, &range, at, oracle, rng);
            1
        }
        _ => {
            let (prefix, range) = pool.prefix_range(rng);
            let scan = match view {
                View::Newest(db) => db.prefix(&prefix),
                View::Snapshot(snapshot) => snapshot.prefix(&prefix),
            };
            compare_scan(scan, &range, at, oracle, rng);
            1
        }
    }
}

/// Takes rows from either end of both, as far as they go or as far as the dice say.
fn compare_scan(
    mut scan: impl DoubleEndedIterator<Item = Result<Row>>,
    range: &Range,
    at: Version,
    oracle: &Oracle,
    rng: &mut SmallRng,
) {
    let mut expected = oracle.range(range, at);
    let limit = if rng.random_ratio(1, 10) { usize::MAX } else { rng.random_range(1..60) };
    let front_of_8 = *[8, 0, 4].get(rng.random_range(0..3)).expect("three ways");
    for _ in 0..limit {
        let forward = rng.random_range(0..8) < front_of_8;
        let (row, wanted) =
            if forward { (scan.next(), expected.next()) } else { (scan.next_back(), expected.next_back()) };
        let row = row.transpose().expect("a sound store");
        let row = row.as_ref().map(|(key, value)| (key, value));
        assert_eq!(row, wanted, "scan of {range:?} at {at}, forward: {forward}");
        if wanted.is_none() {
            assert!(scan.next().is_none() && scan.next_back().is_none(), "a finished scan stays finished");
            break;
        }
    }
}

/// Reads everything at `at` in one forward scan.
pub(crate) fn check_all(snapshot: &Snapshot, at: Version, oracle: &Oracle) {
    let everything = super::oracle::prefix_range(b"");
    let mut expected = oracle.range(&everything, at);
    for row in snapshot.range(everything.clone()) {
        let (key, value) = row.expect("a sound store");
        assert_eq!(Some((&key, &value)), expected.next(), "full scan at {at}");
    }
    assert_eq!(expected.next(), None, "full scan at {at} ended early");
}
