//! Reading everything: first every file by its checksum, then every entry by its meaning.

use super::RocksBackend;
use super::change_part::{PartKeys, split_part_key};
use super::error::{classify, classify_text};
use super::file_checksum;
use super::layout::{CHANGES, VERSIONS};
use super::row::{decode_prefix, decode_value, split_row_key};
use crate::backend::RowRef;
use crate::{Result, Version};
use rocksdb::{DB, DBRawIteratorWithThreadMode, ReadOptions};

/// Reading ahead makes the disk read in long strokes.
const READAHEAD_BYTES: usize = 2 << 20;

pub(super) fn verify(
    backend: &RocksBackend,
    row: &mut dyn FnMut(RowRef<'_>) -> Result<()>,
    change: &mut dyn FnMut(Version, &[u8]) -> Result<()>,
) -> Result<()> {
    file_checksum::verify(&backend.db).map_err(|what| classify_text(&backend.path, &what))?;
    let mut key = Vec::new();
    each_entry(backend, VERSIONS, |row_key, tagged| {
        let (prefix, version) = split_row_key(row_key).ok_or_else(|| backend.broken("row"))?;
        decode_prefix(prefix, &mut key).ok_or_else(|| backend.broken("row"))?;
        let value = decode_value(tagged).ok_or_else(|| backend.broken("row"))?;
        row(RowRef { key: &key, version, value })
    })?;
    each_entry(backend, CHANGES, |part_key, value| {
        let (version, first) = split_part_key(part_key).ok_or_else(|| backend.broken("part of changes"))?;
        change(version, first)?;
        for key in PartKeys::new(value) {
            change(version, key.ok_or_else(|| backend.broken("part of changes"))?)?;
        }
        Ok(())
    })
}

fn each_entry(backend: &RocksBackend, family: &str, mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options.set_total_order_seek(true);
    options.fill_cache(false);
    options.set_readahead_size(READAHEAD_BYTES);
    let mut iterator: DBRawIteratorWithThreadMode<'_, DB> =
        backend.db.raw_iterator_cf_opt(super::family(&backend.db, family), options);
    iterator.seek_to_first();
    while let Some((key, value)) = iterator.item() {
        visit(key, value)?;
        iterator.next();
    }
    iterator.status().map_err(|e| classify(&backend.path, &e))
}
