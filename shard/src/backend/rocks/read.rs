//! Point reads: one seek finds a key's newest row at a version, as newer versions sort first.

use super::RocksBackend;
use super::absence::tables_may_hold;
use super::row::{VERSION_BYTES, decode_value, push_row_key, split_row_key};
use crate::backend::Row;
use crate::{Result, Version};

pub(super) fn get(backend: &RocksBackend, key: &[u8], at: Version) -> Result<Option<Row>> {
    if backend.absences.are_likely() && !tables_may_hold(backend, key, at)? {
        return Ok(None);
    }
    let mut iterator = backend.points.lease();
    iterator.seek(|target| push_row_key(target, key, at));
    let found = iterator.entry()?;
    let row = match found {
        Some((row_key, tagged)) => {
            let (prefix, version) = split_row_key(row_key).ok_or_else(|| backend.broken("row"))?;
            let target = iterator.target();
            if prefix == &target[..target.len() - VERSION_BYTES] {
                let value = decode_value(tagged).ok_or_else(|| backend.broken("row"))?;
                Some(Row { version, value: value.map(<[u8]>::to_vec) })
            } else {
                None
            }
        }
        None => None,
    };
    backend.absences.note(row.is_none());
    Ok(row)
}
