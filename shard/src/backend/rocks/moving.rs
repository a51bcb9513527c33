//! Slots on their way: their rows and changes are read here, brought in, and removed.

use super::RocksBackend;
use super::apply::write_changes;
use super::change_part::{PartBuilder, PartKeys, push_part_key, split_part_key};
use super::ingest::Ingestion;
use super::iterators::Lease;
use super::layout::{CHANGES, VERSIONS};
use super::row::{decode_prefix, decode_value, push_row_key, split_row_key};
use crate::backend::{Applied, MovingCursor, Page, PageLimit, RowRef, StagedRows};
use crate::{Result, Version};

/// Rows that one call looks at, whether they are picked or not: some tens of milliseconds.
const LOOKS_MAX: usize = 1 << 16;

pub(super) fn rows(
    backend: &RocksBackend,
    cursor: &mut MovingCursor,
    through: Version,
    pick: &dyn Fn(&[u8]) -> bool,
    limit: PageLimit,
    page: &mut Page,
) -> Result<()> {
    page.clear();
    let mut iterator = backend.passing_rows.lease();
    match &cursor.seen {
        Some((version, key)) => iterator.seek(|target| {
            push_row_key(target, key, *version);
            target.push(0);
        }),
        None => iterator.seek_to_first(),
    }
    let (mut prefix, mut key, mut picked) = (Vec::new(), Vec::new(), false);
    let (mut looks, mut last) = (0, 0);
    while let Some((row_key, tagged)) = iterator.entry()? {
        if looks == LOOKS_MAX || page.len() >= limit.rows || page.bytes() >= limit.bytes {
            cursor.seen = Some((last, key));
            return Ok(());
        }
        let (of_key, version) = split_row_key(row_key).ok_or_else(|| backend.broken("row"))?;
        if of_key != prefix {
            decode_prefix(of_key, &mut key).ok_or_else(|| backend.broken("row"))?;
            prefix.clear();
            prefix.extend_from_slice(of_key);
            picked = pick(&key);
        }
        if picked && version <= through {
            let value = decode_value(tagged).ok_or_else(|| backend.broken("row"))?;
            page.push(RowRef { key: &key, version, value });
        }
        (looks, last) = (looks + 1, version);
        cursor.looked += 1;
        iterator.next();
    }
    cursor.finished = true;
    Ok(())
}

/// A part of changes: its key, and the keys in it.
struct Part {
    version: Version,
    keys: Vec<Vec<u8>>,
}

/// The next part from where `cursor` stands.
fn next_part(backend: &RocksBackend, parts: &mut Lease<'_>, cursor: &mut MovingCursor) -> Result<Option<Part>> {
    let Some((part_key, value)) = parts.entry()? else {
        cursor.finished = true;
        return Ok(None);
    };
    let (version, first) = split_part_key(part_key).ok_or_else(|| backend.broken("part of changes"))?;
    let mut keys = vec![first.to_vec()];
    for key in PartKeys::new(value) {
        keys.push(key.ok_or_else(|| backend.broken("part of changes"))?.to_vec());
    }
    Ok(Some(Part { version, keys }))
}

fn seek(parts: &mut Lease<'_>, cursor: &MovingCursor) {
    match &cursor.seen {
        // Right behind it.
        Some((version, first)) => parts.seek(|target| {
            push_part_key(target, *version, first);
            target.push(0);
        }),
        None => parts.seek_to_first(),
    }
}

pub(super) fn changed(
    backend: &RocksBackend,
    cursor: &mut MovingCursor,
    through: Version,
    pick: &dyn Fn(&[u8]) -> bool,
    most: usize,
    found: &mut Vec<(Version, Vec<u8>)>,
) -> Result<()> {
    found.clear();
    let mut parts = backend.changes.lease();
    seek(&mut parts, cursor);
    let mut looks = 0;
    while looks < LOOKS_MAX && found.len() < most {
        let Some(part) = next_part(backend, &mut parts, cursor)?.filter(|part| part.version <= through) else {
            cursor.finished = true;
            break;
        };
        looks += part.keys.len();
        cursor.seen = Some((part.version, part.keys[0].clone()));
        found.extend(part.keys.into_iter().filter(|key| pick(key)).map(|key| (part.version, key)));
        parts.next();
    }
    Ok(())
}

pub(super) fn bring_in_changes(
    backend: &RocksBackend,
    changes: &[(Version, Vec<u8>)],
    through: Version,
    epoch: u64,
) -> Result<u64> {
    failpoint!(backend, "move::before_changes");
    let RocksBackend { db, path, meta, .. } = backend;
    meta.enter_epoch(db, path, epoch)?;
    let changes = changes.iter().map(|(version, key)| (*version, key.as_slice()));
    let bytes = write_changes(backend, changes, through)?;
    failpoint!(backend, "move::after_changes");
    Ok(bytes)
}

/// Files beside the instance.
struct Staged<'a> {
    backend: &'a RocksBackend,
    rows: Ingestion<'a>,
}

pub(super) fn stage_rows(backend: &RocksBackend) -> Result<Box<dyn StagedRows + '_>> {
    backend.versions_options.adapt(&backend.db, &backend.path)?;
    Ok(Box::new(Staged { backend, rows: Ingestion::new(backend, VERSIONS) }))
}

impl StagedRows for Staged<'_> {
    fn put(&mut self, row: RowRef<'_>) -> Result<()> {
        self.rows.put_row(row)
    }

    fn bytes(&self) -> u64 {
        self.rows.bytes()
    }

    fn finish(&mut self) -> Result<()> {
        self.rows.end_file()
    }

    fn bring_in(self: Box<Self>, epoch: u64) -> Result<Applied> {
        let RocksBackend { db, path, meta, .. } = self.backend;
        meta.enter_epoch(db, path, epoch)?;
        let rows = self.rows.entries();
        let bytes = self.rows.ingest()?;
        failpoint!(self.backend, "move::after_rows");
        Ok(Applied { rows, bytes })
    }
}

/// Parts of which a key goes are written anew: one name less, or another first key.
pub(super) fn forget_changes(
    backend: &RocksBackend,
    cursor: &mut MovingCursor,
    pick: &dyn Fn(&[u8]) -> bool,
    epoch: u64,
) -> Result<u64> {
    let RocksBackend { db, path, meta, .. } = backend;
    meta.enter_epoch(db, path, epoch)?;
    let mut parts = backend.changes.lease();
    seek(&mut parts, cursor);
    let mut ingestion = Ingestion::new(backend, CHANGES);
    let (mut looks, mut gone) = (0, 0);
    while looks < LOOKS_MAX {
        let Some(Part { version, keys }) = next_part(backend, &mut parts, cursor)? else { break };
        looks += keys.len();
        cursor.seen = Some((version, keys[0].clone()));
        let stay: Vec<_> = keys.iter().filter(|key| !pick(key)).collect();
        if stay.len() < keys.len() {
            gone += (keys.len() - stay.len()) as u64;
            if stay.first() != keys.first().as_ref() {
                let mut old = Vec::new();
                push_part_key(&mut old, version, &keys[0]);
                ingestion.delete(&old)?;
            }
            let mut put = |key: &[u8], value: &[u8]| ingestion.put(key, value);
            let mut builder = PartBuilder::default();
            for key in stay {
                builder.push(version, key, &mut put)?;
            }
            builder.finish(&mut put)?;
        }
        parts.next();
    }
    ingestion.ingest()?;
    failpoint!(backend, "move::after_forgetting");
    Ok(gone)
}
