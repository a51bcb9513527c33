//! Taking back the newest versions.
//!
//! Deletions are ingested as rows are: durable when the ingestion returns, without RocksDB's log, and without a memtable that
//! a long retraction would fill.

use super::RocksBackend;
use super::change_part::{PartKeys, push_part_key, split_part_key};
use super::ingest::Ingestion;
use super::iterators::Lease;
use super::layout::{CHANGES, VERSIONS};
use super::row::push_row_key;
use crate::{Result, Version};
use std::sync::atomic::Ordering;

/// Bytes of row keys that are sorted and deleted at a time.
const SLICE_BYTES: usize = 16 << 20;

pub(super) fn retract(backend: &RocksBackend, keep: Version, epoch: u64) -> Result<u64> {
    let RocksBackend { db, path, meta, .. } = backend;
    meta.enter_epoch(db, path, epoch)?;
    // 1. The witness goes before the row that it names.
    meta.dismiss_witness(db, path, keep)?;
    failpoint!(backend, "retract::after_witness");

    backend.retracted_to.fetch_min(keep, Ordering::AcqRel);
    let Some(first) = keep.checked_add(1) else { return Ok(0) };
    let mut retracted = 0;
    // The iterator goes on seeing the parts as they were, whatever is deleted behind it.
    let mut parts = backend.changes.lease();
    parts.seek(|target| push_part_key(target, first, &[]));
    loop {
        let mut slice = take_slice(backend, &mut parts)?;
        if slice.parts.is_empty() {
            return Ok(retracted);
        }
        retracted += slice.rows.len() as u64;
        // 2. The rows of a slice go before the changes that name them: after a crash they are found again.
        slice.rows.sort_unstable();
        delete(backend, VERSIONS, &slice.rows)?;
        failpoint!(backend, "retract::after_versions");
        // 3. The changes of the slice.
        delete(backend, CHANGES, &slice.parts)?;
        failpoint!(backend, "retract::after_changes");
    }
}

/// What is deleted at a time: whole parts of changes, ascending, and the keys of their rows.
#[derive(Default)]
struct Slice {
    parts: Vec<Vec<u8>>,
    rows: Vec<Vec<u8>>,
}

fn take_slice(backend: &RocksBackend, parts: &mut Lease<'_>) -> Result<Slice> {
    let mut slice = Slice::default();
    let mut bytes = 0;
    while bytes < SLICE_BYTES {
        let Some((part_key, value)) = parts.entry()? else { break };
        let (version, first) = split_part_key(part_key).ok_or_else(|| backend.broken("part of changes"))?;
        for key in std::iter::once(Some(first)).chain(PartKeys::new(value)) {
            let key = key.ok_or_else(|| backend.broken("part of changes"))?;
            let mut row_key = Vec::with_capacity(key.len() + 16);
            push_row_key(&mut row_key, key, version);
            bytes += row_key.len();
            slice.rows.push(row_key);
        }
        slice.parts.push(part_key.to_vec());
        parts.next();
    }
    Ok(slice)
}

fn delete(backend: &RocksBackend, family: &'static str, keys: &[Vec<u8>]) -> Result<()> {
    let mut ingestion = Ingestion::new(backend, family);
    for key in keys {
        ingestion.delete(key)?;
    }
    ingestion.ingest().map(|_| ())
}
