//! Removing what was superseded at or below a floor.
//!
//! Deletions are ingested as rows are. The changes of a slice are neighbours: one range deletion hides them, whatever their number.

use super::RocksBackend;
use super::change_part::{PartKeys, push_part_key, split_part_key};
use super::ingest::Ingestion;
use super::iterators::Lease;
use super::layout::{CHANGES, VERSIONS};
use super::row::{VERSION_BYTES, decode_value, push_row_key, split_row_key};
use crate::backend::prune::{KeyJudge, PruneCursor, PruneSlice, SLICE_KEY_BYTES_MAX, Verdict};
use crate::{Result, Version};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

/// Rows of one key that are stepped over before a seek skips the others: a seek costs about as much as eight steps.
const STEPS_MAX: u32 = 8;

pub(super) fn prunable(
    backend: &RocksBackend,
    floor: Version,
    cursor: &mut PruneCursor,
    changes_max: usize,
    slice: &mut PruneSlice,
) -> Result<()> {
    slice.clear();
    slice.floor = floor;
    let mut named = take_changes(backend, floor, cursor, changes_max, slice)?;
    named.sort_unstable();
    let Some(first) = &cursor.first else { return Ok(()) };
    let mut rows = backend.passing.lease();
    let mut versions = Vec::new();
    for of_key in named.chunk_by(|a, b| a.0 == b.0) {
        let key = of_key[0].0.as_slice();
        versions.clear();
        versions.extend(of_key.iter().map(|(_, version)| *version));
        let mut judge = KeyJudge::new(key, &versions, first);
        judge_rows(backend, &mut rows, key, &mut judge, slice)?;
        slice.keys += u64::from(judge.counts);
    }
    Ok(())
}

/// Takes the next changes at or below the floor, in whole parts: their keys and versions.
fn take_changes(
    backend: &RocksBackend,
    floor: Version,
    cursor: &mut PruneCursor,
    changes_max: usize,
    slice: &mut PruneSlice,
) -> Result<Vec<(Vec<u8>, Version)>> {
    let mut parts = backend.changes.lease();
    match &cursor.seen {
        // Right behind it, and not at the beginning: deletions of whole slices lie there.
        Some((version, key)) => parts.seek(|target| {
            push_part_key(target, *version, key);
            target.push(0);
        }),
        None => parts.seek_to_first(),
    }
    let (mut named, mut bytes) = (Vec::new(), 0);
    let mut ends: Option<[(Version, Vec<u8>); 2]> = None;
    cursor.finished = true;
    while let Some((part_key, value)) = parts.entry()? {
        let (version, first) = split_part_key(part_key).ok_or_else(|| backend.broken("part of changes"))?;
        if version > floor {
            break;
        }
        if named.len() >= changes_max || bytes >= SLICE_KEY_BYTES_MAX {
            cursor.finished = false;
            break;
        }
        for key in std::iter::once(Some(first)).chain(PartKeys::new(value)) {
            let key = key.ok_or_else(|| backend.broken("part of changes"))?;
            named.push((key.to_vec(), version));
            bytes += key.len();
        }
        let last = (version, named.last().map_or_else(|| first.to_vec(), |(key, _)| key.clone()));
        match &mut ends {
            Some(ends) => ends[1] = last,
            None => ends = Some([(version, first.to_vec()), last]),
        }
        parts.next();
    }
    if let Some([first, last]) = &ends {
        cursor.first.get_or_insert_with(|| first.clone());
        cursor.seen = Some(last.clone());
    }
    slice.change_count = named.len() as u64;
    slice.changes = ends;
    Ok(named)
}

fn judge_rows(
    backend: &RocksBackend,
    rows: &mut Lease<'_>,
    key: &[u8],
    judge: &mut KeyJudge<'_>,
    slice: &mut PruneSlice,
) -> Result<()> {
    rows.seek(|target| push_row_key(target, key, slice.floor));
    let mut steps = 0;
    while let Some((row_key, tagged)) = rows.entry()? {
        let (prefix, version) = split_row_key(row_key).ok_or_else(|| backend.broken("row"))?;
        let target = rows.target();
        if prefix != &target[..target.len() - VERSION_BYTES] {
            break;
        }
        let value = decode_value(tagged).ok_or_else(|| backend.broken("row"))?;
        match judge.judge(version, value.is_none()) {
            Verdict::Goes => {
                slice.push(key, version, value.map_or(0, <[u8]>::len));
                steps = 0;
            }
            Verdict::Stays => steps += 1,
            Verdict::Done => break,
        }
        match judge.next_named(version).filter(|_| steps > STEPS_MAX) {
            Some(next) => {
                rows.seek(|target| push_row_key(target, key, next));
                steps = 0;
            }
            None => rows.next(),
        }
    }
    Ok(())
}

pub(super) fn remove(backend: &RocksBackend, slice: &PruneSlice, epoch: u64) -> Result<()> {
    let RocksBackend { db, path, meta, .. } = backend;
    meta.enter_epoch(db, path, epoch)?;
    // 1. A witness that is about to go says no more that nothing was lost.
    if meta.witness().is_some_and(|witness| {
        let order = |row: &(Vec<u8>, Version)| row.0.cmp(&witness.key).then(witness.version.cmp(&row.1));
        slice.rows.binary_search_by(order).is_ok()
    }) {
        meta.release_witness(db, path)?;
    }
    backend.pruned_to.fetch_max(slice.floor, Ordering::AcqRel);
    failpoint!(backend, "prune::before_versions");
    // 2. The rows of a slice go before the changes that name them: after a crash they are found again.
    let mut rows = Ingestion::new(backend, VERSIONS);
    let mut row_key = Vec::new();
    for (key, version) in &slice.rows {
        row_key.clear();
        push_row_key(&mut row_key, key, *version);
        rows.delete(&row_key)?;
        backend.reclaim.deleted(&row_key);
    }
    rows.ingest()?;
    failpoint!(backend, "prune::after_versions");
    // 3. The changes of the slice.
    if let Some([first, last]) = &slice.changes {
        let (mut begin, mut end) = (Vec::new(), Vec::new());
        push_part_key(&mut begin, first.0, &first.1);
        push_part_key(&mut end, last.0, &last.1);
        end.push(0);
        let mut changes = Ingestion::new(backend, CHANGES);
        changes.delete_range(&begin, &end)?;
        changes.ingest()?;
    }
    failpoint!(backend, "prune::after_changes");
    Ok(())
}

/// Hands the changes above `after` to `visit`, newest version first, until it breaks. Their order within a version is none.
pub(super) fn newest_changes(
    backend: &RocksBackend,
    after: Version,
    visit: &mut dyn FnMut(Version, &[u8]) -> ControlFlow<()>,
) -> Result<()> {
    let mut parts = backend.changes.lease();
    parts.seek_to_last();
    while let Some((part_key, value)) = parts.entry()? {
        let (version, first) = split_part_key(part_key).ok_or_else(|| backend.broken("part of changes"))?;
        if version <= after {
            break;
        }
        for key in std::iter::once(Some(first)).chain(PartKeys::new(value)) {
            if visit(version, key.ok_or_else(|| backend.broken("part of changes"))?).is_break() {
                return Ok(());
            }
        }
        parts.prev();
    }
    Ok(())
}
