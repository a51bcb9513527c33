//! A backend of either kind, and what tests do with it.

use crate::fixture::{Directory, EPOCH, TestRun};
use shingle_shard::Version;
use shingle_shard::backend::{Applied, Backend, MemoryBackend, RocksBackend};
use std::path::{Path, PathBuf};

/// Key, version and value.
pub(crate) type TestRow<'a> = (&'a [u8], Version, Option<&'a [u8]>);

impl TestRun {
    pub(crate) fn of<'a>(rows: impl IntoIterator<Item = TestRow<'a>>) -> Self {
        let rows = rows.into_iter().map(|(key, version, value)| ((key.to_vec(), version), value.map(<[u8]>::to_vec)));
        TestRun { rows: rows.collect() }
    }
}

impl Directory {
    /// One on a disk of the test's choice.
    pub(crate) fn within(disk: &Path) -> Self {
        let temp = tempfile::tempdir_in(disk).expect("the disk can be written");
        Directory { temp, ..Directory::new() }
    }
}

/// Files with this extension, of the shard's own directory.
pub(crate) fn files(directory: &Directory, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.shard()).expect("the shard was made");
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// A backend that can be closed and opened again, if that means anything for it.
pub(crate) enum Subject {
    Memory(MemoryBackend),
    Rocks { directory: Directory, open: Option<Box<RocksBackend>> },
}

impl Subject {
    pub(crate) fn memory() -> Self {
        Subject::Memory(MemoryBackend::new())
    }

    pub(crate) fn rocks() -> Self {
        let directory = Directory::new();
        let open = Some(Box::new(directory.create().expect("a new directory takes a shard")));
        Subject::Rocks { directory, open }
    }

    pub(crate) fn all() -> [Self; 2] {
        [Self::memory(), Self::rocks()]
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        match self {
            Subject::Memory(backend) => backend,
            Subject::Rocks { open, .. } => open.as_deref().expect("open between two calls of reopen"),
        }
    }

    pub(crate) fn reopen(&mut self) {
        if let Subject::Rocks { directory, open } = self {
            *open = None;
            *open = Some(Box::new(directory.open().expect("it was closed just now")));
        }
    }

    /// Brings files to lower levels, where there are any.
    pub(crate) fn compact(&self) {
        if let Subject::Rocks { open: Some(backend), .. } = self {
            backend.compact().expect("nothing is wrong with it");
        }
    }

    pub(crate) fn apply(&self, rows: &[TestRow<'_>], through: Version) -> Applied {
        let run = TestRun::of(rows.iter().copied());
        self.backend().apply(&run, through, EPOCH).expect("nothing is wrong with it")
    }
}
