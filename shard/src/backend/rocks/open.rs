//! Making an instance, and opening one that must be what it is said to be.

use super::RocksBackend;
use super::error::{classify, classify_io};
use super::exit::OpenInstance;
use super::file_checksum;
use super::ingest;
use super::iterators::{IteratorPool, Purpose};
use super::layout::{CHANGES, META, VERSIONS, current_file};
use super::meta::{Identity, Meta, Witness};
use super::metadata::VersionsOptions;
use super::options::RocksOptions;
use super::presence::Presence;
use super::read;
use super::shared::RocksShared;
use crate::{Error, Result};
use rocksdb::{ColumnFamilyDescriptor, DB, Options};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

const FAMILIES: [&str; 3] = [META, VERSIONS, CHANGES];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Makes the instance, or goes on where making it was cut short.
    Create,
    /// Refuses what is not there whole.
    Open,
}

pub(super) fn open(
    path: &Path,
    identity: &Identity,
    options: &RocksOptions,
    shared: &RocksShared,
    mode: Mode,
) -> Result<RocksBackend> {
    options.validate()?;
    if mode == Mode::Create {
        create_dir(path).map_err(|e| classify_io(path, &e))?;
    }
    let mut instance_options = shared.instance(options);
    check_families(path, &instance_options, mode)?;
    let versions_options = VersionsOptions::new(path, &instance_options, options, shared);
    let versions_options = versions_options.map_err(|e| classify_io(path, &e))?;
    let changes_options = shared.changes_family(&instance_options, options);
    instance_options.create_if_missing(mode == Mode::Create);
    instance_options.create_missing_column_families(mode == Mode::Create);
    // Not among the families' options, with which files are written: RocksDB computes the checksum again when it takes one in.
    file_checksum::keep(&mut instance_options);
    let families = [
        ColumnFamilyDescriptor::new(META, shared.meta_family()),
        ColumnFamilyDescriptor::new(VERSIONS, versions_options.now().clone()),
        ColumnFamilyDescriptor::new(CHANGES, changes_options.clone()),
    ];
    let open = OpenInstance::new();
    let db = DB::open_cf_descriptors(&instance_options, path, families).map_err(|e| classify(path, &e))?;
    open.opened();
    let db = Arc::new(db);
    versions_options.adapt(&db, path)?;
    let meta = Meta::open(&db, path, identity, mode == Mode::Create)?;
    ingest::prepare_dir(path)?;
    let presence = Presence::open(&db, shared);
    let pool = |purpose| IteratorPool::new(&db, path.into(), purpose);
    let backend = RocksBackend {
        presence,
        points: pool(Purpose::Points),
        passing: pool(Purpose::PassingPoints),
        rows: pool(Purpose::Rows),
        passing_rows: pool(Purpose::PassingRows),
        changes: pool(Purpose::Changes),
        super_versions: AtomicU64::new(0),
        meta,
        retracted_to: AtomicU64::new(u64::MAX),
        pruned_to: AtomicU64::new(0),
        strays_to: AtomicU64::new(0),
        share: Arc::clone(&shared.share),
        reclaim: super::reclaim::Reclaim::default(),
        next_file: AtomicU64::new(0),
        target_file_size: options.target_file_size_base,
        versions_options,
        changes_options,
        instance_options,
        statistics: options.enable_statistics,
        path: path.into(),
        db,
        _open: open,
    };
    check_witness(&backend)?;
    Ok(backend)
}

/// Refuses an instance that has lost what it once said was durable.
fn check_witness(backend: &RocksBackend) -> Result<()> {
    let Some(Witness { version, key }) = backend.meta.witness() else { return Ok(()) };
    match read::get(backend, &key, version)? {
        Some(row) if row.version == version => Ok(()),
        _ => Err(Error::Damaged {
            path: backend.path.clone(),
            what: format!(
                "rows of version {version} are gone although they were durable: its manifest may have been cut"
            ),
        }),
    }
}

/// Makes the directory and its entry in the one above durable.
fn create_dir(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)?;
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => fs::File::open(".")?.sync_all(),
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Refuses a directory that holds no instance, or one of another making: before anything in it is opened for writing.
fn check_families(path: &Path, options: &Options, mode: Mode) -> Result<()> {
    let foreign = |what: String| Err(Error::Foreign { path: path.into(), what });
    if !current_file(path).try_exists().map_err(|e| classify_io(path, &e))? {
        return match mode {
            Mode::Create => Ok(()),
            Mode::Open if holds_tables(path) => {
                Err(Error::Damaged { path: path.into(), what: "the file CURRENT is missing".into() })
            }
            Mode::Open => foreign("there is no shard in it".into()),
        };
    }
    let found = DB::list_cf(options, path).map_err(|e| classify(path, &e))?;
    if let Some(unknown) = found.iter().find(|name| !FAMILIES.contains(&name.as_str())) {
        return foreign(format!("it has a column family {unknown:?}"));
    }
    if let Some(missing) = FAMILIES.iter().find(|name| !found.iter().any(|f| f == *name)).filter(|_| mode == Mode::Open)
    {
        return foreign(format!("it has no column family {missing:?}"));
    }
    Ok(())
}

/// Whether RocksDB has ever written a table or a manifest here.
fn holds_tables(path: &Path) -> bool {
    let Ok(entries) = fs::read_dir(path) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("MANIFEST-") || Path::new(&name).extension().is_some_and(|e| e == "sst")
    })
}
