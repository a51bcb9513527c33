//! Making a run durable.

use super::RocksBackend;
use super::change_part::{PartBuilder, push_part_key};
use super::changes::{KeysByVersion, VersionKeys};
use super::ingest::Ingestion;
use super::layout::{CHANGES, VERSIONS};
use super::meta::Witness;
use crate::backend::{Applied, Run};
use crate::{Error, Result, Version};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn apply(backend: &RocksBackend, run: &dyn Run, through: Version, epoch: u64) -> Result<Applied> {
    let RocksBackend { db, path, meta, .. } = backend;
    // 1. The epoch, before anything is written under it: from then on an older writer is refused.
    meta.enter_epoch(db, path, epoch)?;
    let mut applied = Applied::default();

    // 2. The changes, before the rows that they name: whatever row is on disk, a retraction finds it through them.
    applied.bytes += write_changes(backend, run.changes(), through)?;
    failpoint!(backend, "flush::after_changes");

    // 3. The rows, all at once, before the mark that says they are there.
    backend.versions_options.adapt(db, path)?;
    let mut rows = Ingestion::new(backend, VERSIONS);
    let mut witness = None;
    for row in run.rows() {
        witness.get_or_insert_with(|| Witness { version: row.version, key: row.key.to_vec() });
        rows.put_row(row)?;
    }
    applied.rows = rows.entries();
    applied.bytes += rows.ingest()?;
    failpoint!(backend, "flush::after_versions");

    // 4. The mark: until it is durable the commit log keeps the run, and applying it again changes nothing.
    meta.raise_mark(db, path, through, witness)?;
    failpoint!(backend, "flush::after_mark");
    Ok(applied)
}

/// Writes changes, of which none is above `last`; those of a version that has some on disk already are merged with them.
pub(super) fn write_changes<'k>(
    backend: &RocksBackend,
    changes: impl Iterator<Item = (Version, &'k [u8])>,
    last: Version,
) -> Result<u64> {
    let mut changes = changes.peekable();
    let Some(&(first, _)) = changes.peek() else { return Ok(0) };
    let mut ingestion = Ingestion::new(backend, CHANGES);
    // Those that are on disk already, if the log is replayed or slots have come here.
    let mut known = KeysByVersion::from(backend, first);
    if known.next_version()?.is_some_and(|known| known <= last) {
        while let Some(&(version, _)) = changes.peek() {
            let keys = std::iter::from_fn(|| changes.next_if(|change| change.0 == version)).map(|(_, key)| key);
            merge_version(version, keys, &known.of_version(version)?, &mut ingestion)?;
        }
    } else {
        let mut put = |key: &[u8], value: &[u8]| ingestion.put(key, value);
        let mut builder = PartBuilder::default();
        for (version, key) in changes {
            builder.push(version, key, &mut put)?;
        }
        builder.finish(&mut put)?;
    }
    ingestion.ingest()
}

/// Writes the parts of a version that has `old` keys on disk and `new` ones in the run. Nothing is written if all are there.
fn merge_version<'k>(
    version: Version,
    new: impl Iterator<Item = &'k [u8]>,
    old: &'k VersionKeys,
    ingestion: &mut Ingestion<'_>,
) -> Result<()> {
    let known = old.keys.len();
    let mut keys: BTreeSet<&[u8]> = old.keys.iter().map(Vec::as_slice).collect();
    keys.extend(new);
    if keys.len() == known {
        return Ok(());
    }
    // Old parts that no new one replaces go, lest their keys stand twice.
    let mut entries: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for first in &old.parts {
        let mut part_key = Vec::new();
        push_part_key(&mut part_key, version, first);
        entries.insert(part_key, None);
    }
    let mut keep = |key: &[u8], value: &[u8]| {
        entries.insert(key.to_vec(), Some(value.to_vec()));
        Ok::<_, Error>(())
    };
    let mut builder = PartBuilder::default();
    for key in keys {
        builder.push(version, key, &mut keep)?;
    }
    builder.finish(&mut keep)?;
    for (key, value) in &entries {
        match value {
            Some(value) => ingestion.put(key, value)?,
            None => ingestion.delete(key)?,
        }
    }
    Ok(())
}
