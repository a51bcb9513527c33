//! Random operations on a backend and on an ordered map must never differ.

use crate::fixture::{EPOCH, Found, TestRun, UNLIMITED, changes, scan};
use crate::prune::prune;
use crate::subject::Subject;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use shingle_shard::backend::{PageLimit, RowRef};
use shingle_shard::{KeyRange, Order, Version};
use std::collections::BTreeMap;
use std::ops::Bound;

type Rows = BTreeMap<(Vec<u8>, Version), Option<Vec<u8>>>;

#[derive(Default)]
struct Model {
    rows: Rows,
    /// Reads below it are not asked for.
    floor: Version,
    mark: Version,
}

impl Model {
    fn get(&self, key: &[u8], at: Version) -> Option<(Version, Option<Vec<u8>>)> {
        let newest = self.rows.range((key.to_vec(), 0)..=(key.to_vec(), at)).next_back();
        newest.map(|((_, version), value)| (*version, value.clone()))
    }

    fn scan(&self, range: &KeyRange, at: Version, order: Order) -> Vec<Found> {
        let mut keys: Vec<_> = self.rows.keys().map(|(key, _)| key).filter(|key| range.contains(key)).collect();
        keys.dedup();
        if order == Order::Descending {
            keys.reverse();
        }
        keys.into_iter()
            .filter_map(|key| self.get(key, at).map(|(version, value)| (key.clone(), version, value)))
            .collect()
    }

    fn changes(&self, after: Version, through: Version) -> Vec<Found> {
        let rows = self.rows.iter().map(|((key, version), value)| (key.clone(), *version, value.clone()));
        let mut rows: Vec<_> = rows.filter(|row| row.1 > after && row.1 <= through).collect();
        rows.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        rows
    }
}

/// Few keys, much alike, with the bytes that an encoding may stumble over.
fn key(rng: &mut SmallRng) -> Vec<u8> {
    let length = rng.random_range(1..4);
    (0..length).map(|_| *[0x00, 0x01, 0x02, 0xfe, 0xff].choose(rng).expect("not empty")).collect()
}

fn value(rng: &mut SmallRng) -> Option<Vec<u8>> {
    rng.random_bool(0.8).then(|| {
        let length = if rng.random_bool(0.02) { 70_000 } else { rng.random_range(0..40) };
        vec![rng.random(); length]
    })
}

fn bound(rng: &mut SmallRng) -> Bound<Vec<u8>> {
    match rng.random_range(0..5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(key(rng)),
        3 => Bound::Excluded(key(rng)),
        _ => Bound::Excluded(Vec::new()),
    }
}

fn limit(rng: &mut SmallRng) -> PageLimit {
    match rng.random_range(0..4) {
        0 => PageLimit { rows: 1, bytes: usize::MAX },
        1 => PageLimit { rows: usize::MAX, bytes: 1 },
        2 => PageLimit { rows: rng.random_range(1..20), bytes: rng.random_range(1..200) },
        _ => UNLIMITED,
    }
}

fn order(rng: &mut SmallRng) -> Order {
    if rng.random() { Order::Ascending } else { Order::Descending }
}

struct Check {
    subject: Subject,
    model: Model,
    rng: SmallRng,
    /// Versions are given out once, also after a rollback.
    next: Version,
    last_run: Option<(TestRun, Version)>,
}

impl Check {
    fn new(subject: Subject, seed: u64) -> Self {
        Check { subject, model: Model::default(), rng: SmallRng::seed_from_u64(seed), next: 1, last_run: None }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..25 => self.apply(),
            25..30 => self.apply_again(),
            30..35 => self.retract(),
            35..38 => self.subject.reopen(),
            38..40 => self.subject.compact(),
            40..42 => self.verify(),
            42..46 => self.prune(),
            46..65 => self.get(),
            65..90 => self.scan(),
            _ => self.changes(),
        }
        assert_eq!(self.subject.backend().applied_through(), self.model.mark);
    }

    fn version(&mut self) -> Version {
        let version = self.rng.random_range(0..self.next + 2);
        if self.rng.random_bool(0.05) { Version::MAX } else { version.max(self.model.floor) }
    }

    fn apply(&mut self) {
        let mut run = TestRun::default();
        for _ in 0..self.rng.random_range(0..6) {
            self.next += self.rng.random_range(1..3);
            for _ in 0..self.rng.random_range(1..12) {
                run.rows.insert((key(&mut self.rng), self.next), value(&mut self.rng));
            }
        }
        let through = self.next;
        let applied = self.subject.backend().apply(&run, through, EPOCH).expect("nothing is wrong with it");
        assert_eq!(applied.rows, run.rows.len() as u64);
        self.model.rows.extend(run.rows.clone());
        self.model.mark = through;
        self.last_run = Some((run, through));
    }

    fn apply_again(&mut self) {
        let Some((run, through)) = &self.last_run else { return };
        self.subject.backend().apply(run, *through, EPOCH).expect("nothing is wrong with it");
    }

    fn retract(&mut self) {
        let keep = self.rng.random_range(self.model.mark.saturating_sub(15).max(self.model.floor)..=self.next);
        let before = self.model.rows.len();
        self.model.rows.retain(|(_, version), _| *version <= keep);
        let retracted = self.subject.backend().retract(keep, EPOCH).expect("nothing is wrong with it");
        assert_eq!(retracted, (before - self.model.rows.len()) as u64);
        self.last_run = None;
    }

    /// In slices of any size, and sometimes ended before the last one.
    fn prune(&mut self) {
        let floor = self.rng.random_range(self.model.floor..=self.model.mark);
        let (slice_changes, slices_max) =
            (self.rng.random_range(1..40), *[1, 2, usize::MAX].choose(&mut self.rng).expect("three"));
        let counted = prune(self.subject.backend(), floor, slice_changes, usize::MAX, false);
        let removed = prune(self.subject.backend(), floor, slice_changes, slices_max, true);
        (self.model.floor, self.last_run) = (floor, None);
        let before = std::mem::take(&mut self.model.rows);
        let mut keys: Vec<_> = Vec::new();
        for ((key, version), value) in &before {
            let next = before.range((key.clone(), version + 1)..=(key.clone(), floor.max(version + 1))).next();
            let superseded = next.is_some_and(|((_, next), _)| *next <= floor);
            if *version <= floor && (superseded || value.is_none()) {
                keys.push(key.clone());
            } else {
                self.model.rows.insert((key.clone(), *version), value.clone());
            }
        }
        let rows = keys.len() as u64;
        keys.dedup();
        let expected = (rows, keys.len() as u64);
        assert_eq!((counted.rows, counted.keys), expected, "what would go at {floor}, {slice_changes} at a time");
        if slices_max < usize::MAX {
            // The rest goes later: until then it must be found again, whatever is left.
            let rest = prune(self.subject.backend(), floor, 7, usize::MAX, true);
            assert_eq!((removed.rows + rest.rows, removed.keys + rest.keys), expected, "in two goes");
        } else {
            assert_eq!((removed.rows, removed.keys), expected);
            assert_eq!(removed.bytes, counted.bytes);
        }
        let again = prune(self.subject.backend(), floor, slice_changes, usize::MAX, true);
        assert_eq!((again.rows, again.keys, again.changes), (0, 0, 0), "all is gone already");
    }

    fn verify(&mut self) {
        let (mut rows, mut changed) = (Vec::new(), Vec::new());
        let mut row = |row: RowRef<'_>| {
            rows.push(((row.key.to_vec(), row.version), row.value.map(<[u8]>::to_vec)));
            Ok(())
        };
        let mut change = |version, key: &[u8]| {
            changed.push((version, key.to_vec()));
            Ok(())
        };
        self.subject.backend().verify(&mut row, &mut change).expect("nothing is wrong with it");
        assert!(
            rows.is_sorted_by(|((ka, va), _), ((kb, vb), _)| (ka, u64::MAX - va) < (kb, u64::MAX - vb)),
            "rows are out of order"
        );
        assert_eq!(rows.into_iter().collect::<Rows>(), self.model.rows);
        let above = self.model.rows.keys().filter(|(_, version)| *version > self.model.floor);
        let mut expected: Vec<_> = above.map(|(key, version)| (*version, key.clone())).collect();
        expected.sort();
        assert_eq!(changed, expected);
    }

    fn get(&mut self) {
        let (key, at) = (key(&mut self.rng), self.version());
        let row = self.subject.backend().get(&key, at).expect("nothing is wrong with it");
        assert_eq!(row.map(|row| (row.version, row.value)), self.model.get(&key, at), "{key:?} at {at}");
    }

    fn scan(&mut self) {
        let at = self.version();
        let range = KeyRange { start: bound(&mut self.rng), end: bound(&mut self.rng) };
        let (order, limit) = (order(&mut self.rng), limit(&mut self.rng));
        let rows = scan(self.subject.backend(), &range, at, order, limit).expect("nothing is wrong with it");
        assert_eq!(rows, self.model.scan(&range, at, order), "{range:?} {order:?} at {at}");
    }

    fn changes(&mut self) {
        let (after, through, limit) = (self.version(), self.version(), limit(&mut self.rng));
        let rows = changes(self.subject.backend(), after, through, limit).expect("nothing is wrong with it");
        assert_eq!(rows, self.model.changes(after, through), "after {after} through {through}");
    }
}

fn check(subject: impl Fn() -> Subject, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut check = Check::new(subject(), seed);
        let steps = std::panic::AssertUnwindSafe(|| {
            for _ in 0..300 {
                check.step();
            }
            check.verify();
        });
        if let Err(panic) = std::panic::catch_unwind(steps) {
            eprintln!("the seed was {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn memory_is_an_ordered_map() {
    check(Subject::memory, 0..60);
}

#[test]
fn rocks_is_an_ordered_map() {
    check(Subject::rocks, 0..6);
}
