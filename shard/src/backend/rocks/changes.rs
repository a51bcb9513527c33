//! Which keys each version wrote: pages for readers, and single versions for those who rewrite them.

use super::RocksBackend;
use super::change_part::{PartKeys, push_part_key, split_part_key};
use super::iterators::Lease;
use super::row::{decode_value, push_row_key};
use crate::backend::{ChangesFrom, Page, PageLimit, RowRef};
use crate::{Result, Version};
use std::sync::atomic::Ordering;

pub(super) fn changes(
    backend: &RocksBackend,
    after: ChangesFrom<'_>,
    through: Version,
    limit: PageLimit,
    page: &mut Page,
) -> Result<()> {
    page.clear();
    // Before the iterators, which go on seeing changes whose rows are gone when the last of both have been removed.
    let strays_to = backend.strays_to.load(Ordering::Acquire);
    let mut parts = backend.changes.lease();
    let mut rows = backend.points.lease();
    match after {
        ChangesFrom::After(version) => match version.checked_add(1) {
            Some(first) => parts.seek(|target| push_part_key(target, first, &[])),
            None => {
                page.finished = true;
                return Ok(());
            }
        },
        ChangesFrom::Within(version, key) => seek_part_of(backend, &mut parts, version, key)?,
    }
    while let Some((part_key, value)) = parts.entry()? {
        let (version, first) = split_part_key(part_key).ok_or_else(|| backend.broken("part of changes"))?;
        if version > through {
            break;
        }
        for key in std::iter::once(Some(first)).chain(PartKeys::new(value)) {
            let key = key.ok_or_else(|| backend.broken("part of changes"))?;
            if matches!(after, ChangesFrom::Within(seen, last) if seen == version && key <= last) {
                continue;
            }
            if push_row(backend, &mut rows, version, key, strays_to, page)?
                && (page.len() >= limit.rows || page.bytes() >= limit.bytes)
            {
                return Ok(());
            }
        }
        parts.next();
    }
    page.finished = true;
    Ok(())
}

/// Moves to the part of `version` in which `key` stands or would stand, or else to what follows it.
fn seek_part_of(backend: &RocksBackend, parts: &mut Lease<'_>, version: Version, key: &[u8]) -> Result<()> {
    parts.seek_for_prev(|target| push_part_key(target, version, key));
    if let Some((part_key, _)) = parts.entry()? {
        let (found, _) = split_part_key(part_key).ok_or_else(|| backend.broken("part of changes"))?;
        if found == version {
            return Ok(());
        }
    }
    parts.seek(|target| push_part_key(target, version, key));
    Ok(())
}

/// Appends the row of `key` at exactly `version`; false if it is not there yet, or no more.
fn push_row(
    backend: &RocksBackend,
    rows: &mut Lease<'_>,
    version: Version,
    key: &[u8],
    strays_to: Version,
    page: &mut Page,
) -> Result<bool> {
    rows.seek(|target| push_row_key(target, key, version));
    match rows.entry()? {
        Some((row_key, tagged)) if row_key == rows.target() => {
            let value = decode_value(tagged).ok_or_else(|| backend.broken("row"))?;
            page.push(RowRef { key, version, value });
            Ok(true)
        }
        // Changes are written before their rows and deleted after them: a flush or a retraction is under way, or was cut short and
        // will be made again.
        _ if version > backend.meta.mark().min(backend.retracted_to.load(Ordering::Acquire)) => Ok(false),
        // The same in the midst of a pruning; whoever reads so far back learns from the floor that it is too late.
        _ if version <= backend.pruned_to.load(Ordering::Acquire) => Ok(false),
        _ if version <= strays_to.max(backend.strays_to.load(Ordering::Acquire)) => Ok(false),
        _ => Err(backend.broken("row of a change: it is missing")),
    }
}

/// The keys of one version as they stand on disk.
#[derive(Debug, Default)]
pub(super) struct VersionKeys {
    /// First keys of its parts, ascending.
    pub(super) parts: Vec<Vec<u8>>,
    /// All its keys, ascending.
    pub(super) keys: Vec<Vec<u8>>,
}

/// Parts that are stepped over before a seek skips the others.
const STEPS_MAX: usize = 8;

/// Reads the keys of versions that rise from call to call.
pub(super) struct KeysByVersion<'a> {
    backend: &'a RocksBackend,
    parts: Lease<'a>,
}

impl<'a> KeysByVersion<'a> {
    pub(super) fn from(backend: &'a RocksBackend, first: Version) -> Self {
        let mut parts = backend.changes.lease();
        parts.seek(|target| push_part_key(target, first, &[]));
        KeysByVersion { backend, parts }
    }

    /// The version of the part at which it stands.
    pub(super) fn next_version(&self) -> Result<Option<Version>> {
        let Some((part_key, _)) = self.parts.entry()? else { return Ok(None) };
        let (version, _) = split_part_key(part_key).ok_or_else(|| self.backend.broken("part of changes"))?;
        Ok(Some(version))
    }

    /// All keys of `version`.
    pub(super) fn of_version(&mut self, version: Version) -> Result<VersionKeys> {
        let mut found = VersionKeys::default();
        let mut steps = 0;
        while self.next_version()?.is_some_and(|next| next < version) {
            if steps == STEPS_MAX {
                self.parts.seek(|target| push_part_key(target, version, &[]));
                break;
            }
            steps += 1;
            self.parts.next();
        }
        while let Some((part_key, value)) = self.parts.entry()? {
            let broken = || self.backend.broken("part of changes");
            let (part_version, first) = split_part_key(part_key).ok_or_else(broken)?;
            if part_version != version {
                break;
            }
            found.parts.push(first.to_vec());
            found.keys.push(first.to_vec());
            for key in PartKeys::new(value) {
                found.keys.push(key.ok_or_else(broken)?.to_vec());
            }
            self.parts.next();
        }
        Ok(found)
    }
}
