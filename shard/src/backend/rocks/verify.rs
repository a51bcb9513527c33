//! Reading everything: first every block by its checksum, then every entry by its meaning.

use super::RocksBackend;
use super::change_part::{PartKeys, split_part_key};
use super::error::classify;
use super::layout::{CHANGES, VERSIONS};
use super::row::{decode_prefix, decode_value, split_row_key};
use crate::backend::RowRef;
use crate::{Result, Version};
use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, DB, DBRawIteratorWithThreadMode, ReadOptions};
use std::ffi::CStr;

/// Reading ahead makes the disk read in long strokes.
const READAHEAD_BYTES: usize = 2 << 20;

pub(super) fn verify(
    backend: &RocksBackend,
    row: &mut dyn FnMut(RowRef<'_>) -> Result<()>,
    change: &mut dyn FnMut(Version, &[u8]) -> Result<()>,
) -> Result<()> {
    verify_blocks(backend)?;
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

/// Checks every block of every file, those of filters and indexes included: iterating would pass over a damaged filter.
fn verify_blocks(backend: &RocksBackend) -> Result<()> {
    let mut message = std::ptr::null_mut();
    #[expect(unsafe_code, reason = "rocksdb has no safe name for rocksdb_verify_checksum")]
    // SAFETY: the pointer is the open database's, which `backend.db` keeps open during the call. RocksDB leaves `message` null or
    // makes it a C string of its own allocation, which is read before it is freed, once.
    let damage = unsafe {
        ffi::rocksdb_verify_checksum(backend.db.as_raw_ptr(), &raw mut message);
        (!message.is_null()).then(|| {
            let text = CStr::from_ptr(message).to_string_lossy().into_owned();
            ffi::rocksdb_free(message.cast());
            text
        })
    };
    match damage {
        Some(what) => Err(super::error::classify_text(&backend.path, &what)),
        None => Ok(()),
    }
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
