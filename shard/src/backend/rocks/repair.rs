//! RocksDB's own repair, and what it must not have lost.
//!
//! It makes a new manifest of the tables that it finds, each in the family that the table names. Tables that were ingested name none: RocksDB 11.8 gives them up, and with
//! them everything that was not compacted since. Such a repair is refused, for it would open, and answer wrongly.

use super::error::{classify, classify_io};
use super::layout::{CHANGES, EPOCH_KEY, IDENTITY_KEY, MARK_KEY, META, VERSIONS};
use crate::{Error, Result};
use rocksdb::{DB, IteratorMode, Options};
use std::fs;
use std::path::Path;

/// Repairs the instance at `path`, which nobody has open, in place. An error: it is of no use now.
pub(super) fn repair(path: &Path, options: &Options) -> Result<()> {
    DB::repair(options, path).map_err(|e| classify(path, &e))?;
    let lost = lost_tables(path).map_err(|e| classify_io(path, &e))?;
    if lost > 0 {
        return Err(damaged(path, format!("RocksDB's repair gave up {lost} tables")));
    }
    let families = DB::list_cf(options, path).map_err(|e| classify(path, &e))?;
    let db = DB::open_cf_for_read_only(options, path, families.iter().filter(|name| *name != META), false)
        .map_err(|e| classify(path, &e))?;
    let mut strangers = 0_u64;
    for entry in db.iterator(IteratorMode::Start) {
        let (key, _) = entry.map_err(|e| classify(path, &e))?;
        strangers += u64::from(![IDENTITY_KEY, MARK_KEY, EPOCH_KEY].contains(&&*key));
    }
    let missing = [VERSIONS, CHANGES].into_iter().find(|name| !families.iter().any(|found| found == name));
    match (strangers, missing) {
        (0, None) => Ok(()),
        (0, Some(family)) => Err(damaged(path, format!("RocksDB's repair lost the family {family:?}"))),
        (strangers, _) => Err(damaged(
            path,
            format!("RocksDB's repair put {strangers} entries of ingested tables into the wrong family"),
        )),
    }
}

fn damaged(path: &Path, what: String) -> Error {
    Error::Damaged { path: path.into(), what }
}

/// Tables that could not be read are moved to this directory.
fn lost_tables(path: &Path) -> std::io::Result<usize> {
    match fs::read_dir(path.join("lost")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        entries => {
            let names = entries?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>()?;
            Ok(names.iter().filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "sst")).count())
        }
    }
}
