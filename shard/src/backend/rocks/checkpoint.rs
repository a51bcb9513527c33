//! An instance's files at one moment, as an instance of its own.

use super::RocksBackend;
use super::error::{classify, classify_io};
use crate::{Error, Result};
use rocksdb::checkpoint::Checkpoint;
use std::fs::{self, File};
use std::path::Path;

/// RocksDB links tables, which never change, and copies the rest: its manifest as far as it reaches now, its options. What it has in its own
/// memtable, identity, epoch and mark, it writes to a table first.
pub(super) fn checkpoint(backend: &RocksBackend, target: &Path) -> Result<()> {
    failpoint!(backend, "checkpoint::before_links");
    let checkpoint = Checkpoint::new(&*backend.db).map_err(|e| classify(&backend.path, &e))?;
    checkpoint.create_checkpoint(target).map_err(|e| at(target, &classify(&backend.path, &e), e.as_ref()))?;
    failpoint!(backend, "checkpoint::after_links");
    sync_all(target).map_err(|e| classify_io(target, &e))
}

/// A full disk is the target's.
fn at(target: &Path, error: &Error, what: &str) -> Error {
    if matches!(error, Error::NoSpace { .. }) { super::error::classify_text(target, what) } else { error.clone() }
}

/// Makes everything durable that is no table: those were before they were taken in.
fn sync_all(target: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(target)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "sst") {
            File::open(&path)?.sync_all()?;
        }
    }
    File::open(target)?.sync_all()
}
