//! Backends to test, and runs to give them.

use shingle_shard::backend::{
    Applied, Backend, ChangesFrom, Identity, MemoryBackend, Page, PageLimit, RocksBackend, RocksOptions, RocksShared,
    RowRef, Run,
};
use shingle_shard::{KeyRange, Order, Result, Version};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The epoch of writers that no test fences.
pub const EPOCH: u64 = 1;

/// A run: rows by key, and by version within one.
#[derive(Clone, Debug, Default)]
pub struct TestRun {
    pub rows: BTreeMap<(Vec<u8>, Version), Option<Vec<u8>>>,
}

impl TestRun {
    pub fn of<'a>(rows: impl IntoIterator<Item = (&'a [u8], Version, Option<&'a [u8]>)>) -> Self {
        let rows = rows.into_iter().map(|(key, version, value)| ((key.to_vec(), version), value.map(<[u8]>::to_vec)));
        TestRun { rows: rows.collect() }
    }
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
pub struct Directory {
    temp: tempfile::TempDir,
    pub options: RocksOptions,
}

impl Directory {
    pub fn new() -> Self {
        let options = RocksOptions { target_file_size_base: 64 << 10, ..RocksOptions::default() };
        Directory { temp: tempfile::tempdir().expect("the temporary directory can be written"), options }
    }

    pub fn shard(&self) -> PathBuf {
        self.temp.path().join("000")
    }

    pub fn identity() -> Identity {
        Identity { store: "7f3a".into(), shard: 3, format: 1 }
    }

    pub fn create(&self) -> Result<RocksBackend> {
        RocksBackend::create(&self.shard(), &Self::identity(), &self.options, &self.shared()?)
    }

    pub fn open(&self) -> Result<RocksBackend> {
        RocksBackend::open(&self.shard(), &Self::identity(), &self.options, &self.shared()?)
    }

    pub fn shared(&self) -> Result<RocksShared> {
        RocksShared::new(&self.options, 1)
    }

    /// Files with this extension, of the shard's own directory.
    pub fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.shard()).expect("the shard was made");
        let paths = entries.map(|entry| entry.expect("the directory can be read").path());
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }
}

/// A backend that can be closed and opened again, if that means anything for it.
pub enum Subject {
    Memory(Arc<MemoryBackend>),
    Rocks { directory: Directory, open: Option<RocksBackend> },
}

impl Subject {
    pub fn memory() -> Self {
        Subject::Memory(Arc::new(MemoryBackend::new()))
    }

    pub fn rocks() -> Self {
        let directory = Directory::new();
        let open = Some(directory.create().expect("a new directory takes a shard"));
        Subject::Rocks { directory, open }
    }

    pub fn all() -> [Self; 2] {
        [Self::memory(), Self::rocks()]
    }

    pub fn backend(&self) -> &dyn Backend {
        match self {
            Subject::Memory(backend) => backend.as_ref(),
            Subject::Rocks { open, .. } => open.as_ref().expect("open between two calls of reopen"),
        }
    }

    pub fn reopen(&mut self) {
        if let Subject::Rocks { directory, open } = self {
            *open = None;
            *open = Some(directory.open().expect("it was closed just now"));
        }
    }

    /// Brings files to lower levels, where there are any.
    pub fn compact(&self) {
        if let Subject::Rocks { open: Some(backend), .. } = self {
            backend.compact().expect("nothing is wrong with it");
        }
    }

    pub fn apply(&self, rows: &[(&[u8], Version, Option<&[u8]>)], through: Version) -> Applied {
        let run = TestRun::of(rows.iter().copied());
        self.backend().apply(&run, through, EPOCH).expect("nothing is wrong with it")
    }
}

/// A row with its key, as tests compare it.
pub type Found = (Vec<u8>, Version, Option<Vec<u8>>);

fn found(row: RowRef<'_>) -> Found {
    (row.key.to_vec(), row.version, row.value.map(<[u8]>::to_vec))
}

/// All rows of a scan, in pages of at most `limit`.
pub fn scan(
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
pub fn changes(backend: &dyn Backend, after: Version, through: Version, limit: PageLimit) -> Result<Vec<Found>> {
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
pub const UNLIMITED: PageLimit = PageLimit { rows: usize::MAX, bytes: usize::MAX };
