//! Backends to test, and runs to give them.

use shingle_shard::backend::{
    Backend, ChangesFrom, Identity, Page, PageLimit, RocksBackend, RocksOptions, RocksShared, RowRef, Run,
};
use shingle_shard::{KeyRange, Order, Result, Version};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The epoch of writers that no test fences.
pub(crate) const EPOCH: u64 = 1;

/// A run: rows by key, and by version within one.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestRun {
    pub(crate) rows: BTreeMap<(Vec<u8>, Version), Option<Vec<u8>>>,
}

impl Run for TestRun {
    fn rows(&self) -> Box<dyn Iterator<Item = RowRef<'_>> + '_> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by(|((ka, va), _), ((kb, vb), _)| ka.cmp(kb).then(vb.cmp(va)));
        Box::new(rows.into_iter().map(|((key, version), value)| RowRef {
            key,
            version: *version,
            value: value.as_deref(),
        }))
    }

    fn changes(&self) -> Box<dyn Iterator<Item = (Version, &[u8])> + '_> {
        let mut changes: Vec<_> = self.rows.keys().map(|(key, version)| (*version, key.as_slice())).collect();
        changes.sort();
        Box::new(changes.into_iter())
    }
}

/// A directory with one RocksDB shard in it, opened when it is asked for.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) temp: tempfile::TempDir,
    pub(crate) options: RocksOptions,
}

impl Directory {
    pub(crate) fn new() -> Self {
        let options = RocksOptions { target_file_size_base: 64 << 10, ..RocksOptions::default() };
        Directory { temp: tempfile::tempdir().expect("the temporary directory can be written"), options }
    }

    pub(crate) fn shard(&self) -> PathBuf {
        self.temp.path().join("000")
    }

    pub(crate) fn identity() -> Identity {
        Identity { store: "7f3a".into(), shard: 3, format: 1 }
    }

    pub(crate) fn create(&self) -> Result<RocksBackend> {
        RocksBackend::create(&self.shard(), &Self::identity(), &self.options, &self.shared()?)
    }

    pub(crate) fn open(&self) -> Result<RocksBackend> {
        RocksBackend::open(&self.shard(), &Self::identity(), &self.options, &self.shared()?)
    }

    pub(crate) fn shared(&self) -> Result<RocksShared> {
        RocksShared::new(&self.options, 1)
    }
}

/// A row with its key, as tests compare it.
pub(crate) type Found = (Vec<u8>, Version, Option<Vec<u8>>);

fn found(row: RowRef<'_>) -> Found {
    (row.key.to_vec(), row.version, row.value.map(<[u8]>::to_vec))
}

/// All rows of a scan, in pages of at most `limit`.
pub(crate) fn scan(
    backend: &dyn Backend,
    range: &KeyRange,
    at: Version,
    order: Order,
    limit: PageLimit,
) -> Result<Vec<Found>> {
    use std::ops::Bound;
    let mut rest = range.clone();
    let (mut rows, mut page) = (Vec::new(), Page::default());
    loop {
        backend.scan(&rest, at, order, limit, &mut page)?;
        assert!(page.len() <= limit.rows.max(1), "a page of {} rows", page.len());
        assert!(page.finished || !page.is_empty(), "a page without progress");
        rows.extend((0..page.len()).filter_map(|i| page.get(i)).map(found));
        if page.finished {
            return Ok(rows);
        }
        let last = rows.last().expect("no page is empty but the last").0.clone();
        match order {
            Order::Ascending => rest.start = Bound::Excluded(last),
            Order::Descending => rest.end = Bound::Excluded(last),
        }
    }
}

/// All changes, in pages of at most `limit`, resumed within versions.
pub(crate) fn changes(backend: &dyn Backend, after: Version, through: Version, limit: PageLimit) -> Result<Vec<Found>> {
    let (mut rows, mut page): (Vec<Found>, _) = (Vec::new(), Page::default());
    loop {
        let from = match rows.last() {
            None => ChangesFrom::After(after),
            Some((key, version, _)) => ChangesFrom::Within(*version, key),
        };
        backend.changes(from, through, limit, &mut page)?;
        assert!(page.finished || !page.is_empty(), "a page without progress");
        let more: Vec<_> = (0..page.len()).filter_map(|i| page.get(i)).map(found).collect();
        let finished = page.finished;
        rows.extend(more);
        if finished {
            return Ok(rows);
        }
    }
}

/// A limit that never ends a page.
pub(crate) const UNLIMITED: PageLimit = PageLimit { rows: usize::MAX, bytes: usize::MAX };
