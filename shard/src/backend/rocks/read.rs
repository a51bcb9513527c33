//! Point reads: one seek finds a key's newest row at a version, as newer versions sort first.

use super::RocksBackend;
use super::row::{VERSION_BYTES, decode_value, push_row_key, split_row_key};
use crate::backend::Row;
use crate::{Result, Version};

pub(super) fn get(backend: &RocksBackend, key: &[u8], at: Version) -> Result<Option<Row>> {
    if !backend.presence.may_hold(key) {
        return Ok(None);
    }
    let mut iterator = backend.points.lease();
    iterator.seek(|target| push_row_key(target, key, at));
    let Some((row_key, tagged)) = iterator.entry()? else { return Ok(None) };
    let (prefix, version) = split_row_key(row_key).ok_or_else(|| backend.broken("row"))?;
    let target = iterator.target();
    if prefix != &target[..target.len() - VERSION_BYTES] {
        return Ok(None);
    }
    let value = decode_value(tagged).ok_or_else(|| backend.broken("row"))?;
    Ok(Some(Row { version, value: value.map(<[u8]>::to_vec) }))
}
