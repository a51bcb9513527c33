//! The same random operations on a shard and on an ordered map give the same answers.

use super::backend::TestBackend;
use super::random::Random;
use crate::backend::{ChangesFrom, Page, PageLimit, Row};
use crate::memtable::Shape;
use crate::{KeyRange, Op, Ops, OpsBuf, Order, Result, RowCache, Shard, Version, key_hash};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Value = Option<Vec<u8>>;

/// Tiny chunks and two buckets or a few: every chain is long, every edge is met.
fn tiny(random: &mut Random) -> Shape {
    let first = *random.of(&[64, 256, 1024]);
    Shape { chunk_bytes: first..first * *random.of(&[1, 4, 16]), memory_bytes: *random.of(&[0, 192 * 8, 192 * 64]) }
}

/// None, one that holds a few rows, or one that holds all.
fn row_cache(random: &mut Random) -> Option<Arc<RowCache>> {
    Some(*random.of(&[0, 1 << 10, 1 << 20])).filter(|&bytes| bytes > 0).map(|bytes| Arc::new(RowCache::new(bytes)))
}

/// Keys that share prefixes, end in zeros, and are prefixes of one another.
fn keys(random: &mut Random) -> Vec<Vec<u8>> {
    let mut keys =
        vec![vec![0], vec![0, 0], vec![0xff], vec![0xff; 9], b"a".to_vec(), b"a\0".to_vec(), b"a\0\0".to_vec()];
    for _ in 0..random.below(60) {
        let prefix = *random.of(&[0, 1, 7, 8, 9, 16, 40]);
        let mut key = vec![b'p'; prefix];
        for _ in 0..=random.below(10) {
            key.push(*random.of(b"\0ab\xff"));
        }
        keys.push(key);
    }
    keys.sort();
    keys.dedup();
    keys
}

struct Pair {
    random: Random,
    keys: Vec<Vec<u8>>,
    backend: Arc<TestBackend>,
    shard: Shard,
    model: BTreeMap<Vec<u8>, BTreeMap<Version, Value>>,
    /// The newest that was applied, or rolled back.
    version: Version,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let keys = keys(&mut random);
        let backend = Arc::new(TestBackend::default());
        let shard = Shard::with_shape(0, Arc::clone(&backend) as _, tiny(&mut random), row_cache(&mut random));
        Pair { random, keys, backend, shard, model: BTreeMap::new(), version: 0 }
    }

    fn key(&mut self) -> Vec<u8> {
        self.random.of(&self.keys).clone()
    }

    fn some_version(&mut self) -> Version {
        let back = *self.random.of(&[1, 4, 30, 1000]);
        self.version.saturating_sub(self.random.below(back))
    }

    fn value(&mut self) -> Value {
        let len = match self.random.below(20) {
            0..4 => return None,
            4 => 0,
            5 => self.random.below(9000),
            _ => self.random.below(60),
        };
        let byte = self.random.next() as u8;
        Some(vec![byte; len as usize])
    }

    fn apply(&mut self) {
        self.version += 1 + self.random.below(3);
        for _ in 0..=self.random.below(2) {
            let mut ops = OpsBuf::default();
            for _ in 0..self.random.below(24) {
                let (key, value) = (self.key(), self.value());
                ops.push(Op { key: &key, value: value.as_deref() });
                self.model.entry(key).or_default().insert(self.version, value);
            }
            self.shard.apply(self.version, Ops::new(ops.as_bytes()));
        }
    }

    fn row(&self, key: &[u8], at: Version) -> Option<Row> {
        let (version, value) = self.model.get(key)?.range(..=at).next_back()?;
        Some(Row { version: *version, value: value.clone() })
    }

    fn check_key(&mut self) -> Result<()> {
        let (key, at) = (self.key(), self.some_version());
        let expected = self.row(&key, at);
        assert_eq!(self.shard.get_row(&key, key_hash(&key), at)?, expected, "{key:?} at {at}");
        assert_eq!(self.shard.get(&key, key_hash(&key), at)?, expected.and_then(|row| row.value));
        let newest = self.row(&key, Version::MAX);
        let written = newest.is_some_and(|row| row.version > at);
        assert_eq!(self.shard.written_after(&key, key_hash(&key), at)?, written, "{key:?} after {at}");
        Ok(())
    }

    fn bound(&mut self) -> Bound<Vec<u8>> {
        let mut key = self.key();
        if self.random.one_in(3) {
            key.push(0);
        }
        match self.random.below(3) {
            0 => Bound::Unbounded,
            1 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    }

    fn range(&mut self) -> KeyRange {
        KeyRange { start: self.bound(), end: self.bound() }
    }

    fn limit(&mut self) -> PageLimit {
        PageLimit { rows: *self.random.of(&[1, 2, 7, 1000]), bytes: *self.random.of(&[1, 100, 100_000]) }
    }

    fn check_range(&mut self) -> Result<()> {
        let (range, at, limit) = (self.range(), self.some_version(), self.limit());
        let order = *self.random.of(&[Order::Ascending, Order::Descending]);
        let keys = self.keys.iter().filter(|key| range.contains(key));
        let newest = keys.clone().filter_map(|key| self.row(key, Version::MAX));
        let written = newest.into_iter().any(|row| row.version > at);
        assert_eq!(self.shard.range_written_after(&range, at)?, written, "{range:?} after {at}");

        let live = keys.filter_map(|key| Some((key.clone(), self.row(key, at)?)));
        let mut expected: Vec<_> = live.filter(|(_, row)| row.value.is_some()).collect();
        if order == Order::Descending {
            expected.reverse();
        }
        let (mut found, mut rest, mut page) = (Vec::new(), range.clone(), Page::default());
        loop {
            self.shard.scan(&rest, at, order, limit, &mut page)?;
            assert!(page.len() <= limit.rows);
            found.extend(rows(&page));
            if page.finished {
                break;
            }
            let last = found.last().map(|(key, _)| key.clone()).expect("a page makes progress");
            match order {
                Order::Ascending => rest.start = Bound::Excluded(last),
                Order::Descending => rest.end = Bound::Excluded(last),
            }
        }
        assert_eq!(found, expected, "{range:?} at {at} {order:?} {limit:?}");
        Ok(())
    }

    fn check_changes(&mut self) -> Result<()> {
        let (after, through, limit) = (self.some_version(), self.some_version(), self.limit());
        let all = self.model.iter().flat_map(|(key, versions)| {
            let versions = versions.iter().filter(|(version, _)| (after + 1..=through).contains(version));
            versions.map(|(version, value)| (key.clone(), Row { version: *version, value: value.clone() }))
        });
        let mut expected: Vec<_> = all.collect();
        expected.sort_by(|(a, x), (b, y)| (x.version, a).cmp(&(y.version, b)));
        let (mut found, mut page): (Vec<(Vec<u8>, Row)>, _) = (Vec::new(), Page::default());
        loop {
            let from = match found.last() {
                Some((key, row)) => ChangesFrom::Within(row.version, key),
                None => ChangesFrom::After(after),
            };
            self.shard.changes(from, through, limit, &mut page)?;
            assert!(page.finished || !page.is_empty(), "a page makes progress");
            found.extend(rows(&page));
            if page.finished {
                break;
            }
        }
        assert_eq!(found, expected, "after {after} through {through} {limit:?}");
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        let keep = self.some_version();
        let flushed_through = self.shard.flushed_through();
        if self.random.one_in(4) {
            self.backend.fails.store(true, Ordering::SeqCst);
            assert!(self.shard.rollback(keep, 1).is_err());
        }
        self.shard.rollback(keep, 1)?;
        for versions in self.model.values_mut() {
            versions.retain(|version, _| *version <= keep);
        }
        assert_eq!(self.shard.flushed_through(), flushed_through, "what is kept is as durable as before");
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let through = self.some_version();
        self.backend.fails.store(self.random.one_in(4), Ordering::SeqCst);
        let flushed = self.shard.flush(through, 1, &|_| {});
        if self.backend.fails.swap(false, Ordering::SeqCst) {
            flushed?;
        }
        if through == self.version && self.shard.flush(through, 1, &|_| {})?.through == through {
            assert_eq!(self.shard.memory().unflushed_bytes, 0, "through {through}");
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        match self.random.below(100) {
            0..30 => self.apply(),
            30..33 => self.shard.seal(),
            33..37 => self.flush()?,
            37..40 => {
                let (keep_after, bytes) = (self.some_version(), self.random.below(10_000));
                self.shard.evict(keep_after, bytes);
            }
            40 => self.rollback()?,
            41..75 => self.check_key()?,
            75..90 => self.check_range()?,
            _ => self.check_changes()?,
        }
        Ok(())
    }

    /// Opens a new shard over the same backend, and replays what was not flushed, and something more.
    fn reopen(&mut self) -> Result<()> {
        let shape = tiny(&mut self.random);
        self.shard = Shard::with_shape(0, Arc::clone(&self.backend) as _, shape, row_cache(&mut self.random));
        let from = self.shard.flushed_through().saturating_sub(self.random.below(5));
        for version in from + 1..=self.version {
            let mut ops = OpsBuf::default();
            for (key, versions) in &self.model {
                if let Some(value) = versions.get(&version) {
                    ops.push(Op { key, value: value.as_deref() });
                }
            }
            self.shard.apply(version, Ops::new(ops.as_bytes()));
        }
        Ok(())
    }
}

fn rows(page: &Page) -> impl Iterator<Item = (Vec<u8>, Row)> {
    let rows = (0..page.len()).filter_map(|index| page.get(index));
    rows.map(|row| (row.key.to_vec(), Row { version: row.version, value: row.value.map(<[u8]>::to_vec) }))
}

#[test]
fn a_shard_answers_as_an_ordered_map_does() -> Result<()> {
    for seed in 0..150 {
        let mut pair = Pair::new(seed);
        let progress = format!("seed {seed}");
        let _told_on_panic = TellOnPanic(&progress);
        for step in 0..1500 {
            pair.step()?;
            if step % 400 == 399 {
                pair.reopen()?;
            }
        }
        // Everything flushed and evicted: memory gives back all but its index.
        pair.shard.flush(pair.version, 1, &|_| {})?;
        pair.shard.evict(Version::MAX, u64::MAX);
        for _ in 0..50 {
            pair.check_key()?;
            pair.check_range()?;
            pair.check_changes()?;
        }
        let index = Shard::with_shape(
            0,
            Arc::<TestBackend>::default(),
            Shape { chunk_bytes: 64..64, memory_bytes: 192 * 64 },
            None,
        );
        assert!(pair.shard.memory().total_bytes <= index.memory().total_bytes);
    }
    Ok(())
}

struct TellOnPanic<'a>(&'a str);

impl Drop for TellOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
