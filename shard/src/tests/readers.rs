//! Readers on many threads get exact answers while the shard is written, flushed, evicted and rolled back.

use super::backend::TestBackend;
use super::random::{Random, mix};
use crate::backend::{ChangesFrom, Page, PageLimit};
use crate::memtable::Shape;
use crate::{KeyRange, Op, Ops, OpsBuf, Order, Result, RowCache, Shard, Version, key_hash};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

const KEYS: u64 = 40;
const READERS: usize = 3;
const VERSIONS: Version = 20_000;

fn key(number: u64) -> Vec<u8> {
    format!("key{:0width$}", number, width = 1 + (number % 3) as usize * 6).into_bytes()
}

/// What `version` writes to the key: a pure function, so that a reader knows what to expect.
fn written(number: u64, version: Version) -> Option<Option<Vec<u8>>> {
    let random = mix(number << 40 ^ version);
    random.is_multiple_of(6).then(|| {
        (!random.is_multiple_of(7))
            .then(|| format!("{number}@{version}").repeat(1 + (random % 5) as usize).into_bytes())
    })
}

struct Stage {
    shard: Shard,
    visible: AtomicU64,
    /// Versions above the first and up to the second were rolled back.
    holes: RwLock<Vec<(Version, Version)>>,
    /// The version that each reader reads at; 0: none.
    reading: [AtomicU64; READERS],
    done: AtomicBool,
}

impl Stage {
    fn was_rolled_back(&self, version: Version) -> bool {
        let holes = self.holes.read();
        // Their ends rise; holes within later holes do no harm.
        let later = &holes[holes.partition_point(|(_, last)| *last < version)..];
        later.iter().any(|(keep, _)| *keep < version)
    }

    fn expected(&self, number: u64, at: Version) -> Option<(Version, Option<Vec<u8>>)> {
        (1..=at)
            .rev()
            .filter(|version| !self.was_rolled_back(*version))
            .find_map(|version| Some((version, written(number, version)?)))
    }

    /// A version to read at, which the writer will not roll back before the reader is done.
    fn enter(&self, reader: usize, random: &mut Random) -> Version {
        loop {
            let back = *random.of(&[1, 3, 50]);
            let at = self.visible.load(SeqCst).saturating_sub(random.below(back));
            self.reading[reader].store(at, SeqCst);
            if at <= self.visible.load(SeqCst) {
                return at;
            }
        }
    }

    fn read(&self, reader: usize) -> Result<()> {
        let _end = End(self);
        let mut random = Random(reader as u64);
        let mut page = Page::default();
        while !self.done.load(SeqCst) {
            let at = self.enter(reader, &mut random);
            for _ in 0..40 {
                let number = random.below(KEYS);
                let key = key(number);
                let row = self.shard.get_row(&key, key_hash(&key), at)?.map(|row| (row.version, row.value));
                assert_eq!(row, self.expected(number, at), "key {number} at {at}");
            }
            if random.one_in(4) {
                let order = *random.of(&[Order::Ascending, Order::Descending]);
                let all = PageLimit { rows: usize::MAX, bytes: usize::MAX };
                self.shard.scan(&KeyRange::all(), at, order, all, &mut page)?;
                let found = (0..page.len()).filter_map(|index| page.get(index));
                let mut found: Vec<_> =
                    found.map(|row| (row.key.to_vec(), row.version, row.value.map(<[u8]>::to_vec))).collect();
                let mut expected: Vec<_> = (0..KEYS)
                    .filter_map(|number| {
                        self.expected(number, at).map(|(version, value)| (key(number), version, value))
                    })
                    .filter(|(_, _, value)| value.is_some())
                    .collect();
                expected.sort();
                if order == Order::Descending {
                    found.reverse();
                }
                assert_eq!(found, expected, "scan at {at}");
            }
            if random.one_in(4) {
                let after = at.saturating_sub(5);
                let all = PageLimit { rows: usize::MAX, bytes: usize::MAX };
                self.shard.changes(ChangesFrom::After(after), at, all, &mut page)?;
                let found = (0..page.len()).filter_map(|index| page.get(index));
                let found: Vec<_> =
                    found.map(|row| (row.version, row.key.to_vec(), row.value.map(<[u8]>::to_vec))).collect();
                let mut expected = Vec::new();
                for version in after + 1..=at {
                    let rolled_back = self.was_rolled_back(version);
                    let writes = (0..KEYS).filter_map(|number| Some((version, key(number), written(number, version)?)));
                    expected.extend(writes.filter(|_| !rolled_back));
                }
                expected.sort();
                assert_eq!(found, expected, "changes after {after} through {at}");
            }
            self.reading[reader].store(0, SeqCst);
        }
        Ok(())
    }

    fn write(&self) -> Result<()> {
        let _end = End(self);
        let mut random = Random(99);
        let mut ops = OpsBuf::default();
        let mut version = 0;
        while version < VERSIONS {
            version += 1;
            ops.clear();
            for number in 0..KEYS {
                if let Some(value) = written(number, version) {
                    let key = key(number);
                    if random.one_in(8) {
                        ops.push(Op { key: &key, value: Some(b"replaced within its version") });
                    }
                    ops.push(Op { key: &key, value: value.as_deref() });
                }
            }
            self.shard.apply(version, Ops::new(ops.as_bytes()));
            self.visible.store(version, SeqCst);
            if random.one_in(40) {
                let keep = version - random.below(version.min(20));
                self.visible.store(keep, SeqCst);
                while !self.done.load(SeqCst) && self.reading.iter().any(|at| at.load(SeqCst) > keep) {
                    std::thread::yield_now();
                }
                self.shard.rollback(keep, 1)?;
                self.holes.write().push((keep, version));
            }
        }
        Ok(())
    }

    /// Flushes, and evicts all that it may.
    fn maintain(&self) -> Result<()> {
        let mut random = Random(7);
        while !self.done.load(SeqCst) {
            let visible = self.visible.load(SeqCst);
            match random.below(3) {
                0 => self.shard.seal(),
                1 => drop(self.shard.flush(visible, 1, &|_| {})?),
                _ => drop(self.shard.evict(visible.saturating_sub(random.below(30)), 1 << random.below(16))),
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

/// Nobody waits for a thread that has failed.
struct End<'a>(&'a Stage);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, SeqCst);
    }
}

/// A reader that loads a head, then misses an entry that a new one has replaced, then finds the same head again because
/// the new one was rolled back: it must not take that for a chain that never changed.
#[test]
fn a_head_that_comes_back_deceives_no_reader() -> Result<()> {
    const KEYS: u64 = 300;
    let shape = Shape { chunk_bytes: 16 << 10..16 << 10, memory_bytes: 0 };
    let shard = Shard::with_shape(0, Arc::new(TestBackend::default()), shape, Some(Arc::new(RowCache::new(1 << 16))));
    let put = |version: Version, numbers: std::ops::Range<u64>| {
        let mut ops = OpsBuf::default();
        for number in numbers {
            ops.push(Op { key: &key(number), value: Some(&version.to_le_bytes()) });
        }
        shard.apply(version, Ops::new(ops.as_bytes()));
    };
    put(1, 0..KEYS);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut random = Random(5);
            while !done.load(SeqCst) {
                let key = key(random.below(KEYS));
                assert_eq!(shard.get(&key, key_hash(&key), 1)?, Some(1_u64.to_le_bytes().to_vec()));
            }
            Ok(())
        });
        let mut random = Random(6);
        for version in 2..400_000 {
            let number = random.below(KEYS);
            put(version, number..number + 1);
            if reader.is_finished() {
                break;
            }
            shard.rollback(version - 1, 1)?;
        }
        done.store(true, SeqCst);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn readers_are_exact_whatever_goes_on() -> Result<()> {
    let shape = Shape { chunk_bytes: 256..2048, memory_bytes: 192 * 4 };
    let stage = Stage {
        shard: Shard::with_shape(0, Arc::new(TestBackend::default()), shape, Some(Arc::new(RowCache::new(1 << 16)))),
        visible: AtomicU64::new(0),
        holes: RwLock::default(),
        reading: Default::default(),
        done: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        let stage = &stage;
        let mut threads: Vec<_> = (0..READERS).map(|reader| scope.spawn(move || stage.read(reader))).collect();
        threads.push(scope.spawn(|| stage.maintain()));
        threads.push(scope.spawn(|| stage.write()));
        for thread in threads {
            let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result?;
        }
        Ok(())
    })
}
