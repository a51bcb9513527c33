//! Keys, values and versions: their bounds, and ranges of keys.

use crate::{Error, Result};
use std::ops::Bound;
use xxhash_rust::xxh3::xxh3_64;

/// The number of a commit: given in order, unique for the life of the store, never used again.
pub type Version = u64;

/// The longest key, in bytes. The shortest is one byte.
pub const KEY_BYTES_MAX: usize = 64 << 10;

/// The longest value, in bytes. A value may be empty.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// Hash of a whole key: what the memtable's index uses, and the router's slots where the routing key is the whole key.
#[inline]
#[must_use]
pub fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// Refuses a key that is empty or longer than [`KEY_BYTES_MAX`].
#[inline]
pub fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX { Err(Error::KeyLength { bytes: key.len() }) } else { Ok(()) }
}

/// Refuses a value that is longer than [`VALUE_BYTES_MAX`].
#[inline]
pub fn check_value(value: &[u8]) -> Result<()> {
    if value.len() > VALUE_BYTES_MAX { Err(Error::ValueLength { bytes: value.len() }) } else { Ok(()) }
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// A range of keys in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Where the range begins.
    pub start: Bound<Vec<u8>>,
    /// Where the range ends.
    pub end: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        KeyRange { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// Every key that begins with `prefix`; every key at all if `prefix` is empty.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let start = if prefix.is_empty() { Bound::Unbounded } else { Bound::Included(prefix.to_vec()) };
        // The first key after the prefix: its last byte below 0xff, plus one. All 0xff: nothing follows.
        let end = match prefix.iter().rposition(|&b| b != 0xff) {
            Some(last) => {
                let mut end = prefix[..=last].to_vec();
                end[last] += 1;
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        KeyRange { start, end }
    }

    /// Whether `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let after_start = match &self.start {
            Bound::Included(start) => key >= start.as_slice(),
            Bound::Excluded(start) => key > start.as_slice(),
            Bound::Unbounded => true,
        };
        after_start && !self.ends_before(key)
    }

    /// Whether `key` lies after the end of the range.
    #[must_use]
    pub fn ends_before(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Included(end) => key > end.as_slice(),
            Bound::Excluded(end) => key >= end.as_slice(),
            Bound::Unbounded => false,
        }
    }

    /// Whether no key can lie in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
            (_, Bound::Excluded(end)) => end.is_empty(),
            (Bound::Unbounded, Bound::Included(_)) | (_, Bound::Unbounded) => false,
        }
    }
}

impl std::fmt::Display for KeyRange {
    /// As Rust writes ranges, an excluded start with a leading `>`: `"a".."b"`, `>"a"..="b"`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quoted = |key: &Vec<u8>| format!("\"{}\"", key.escape_ascii());
        match &self.start {
            Bound::Included(start) => write!(f, "{}..", quoted(start))?,
            Bound::Excluded(start) => write!(f, ">{}..", quoted(start))?,
            Bound::Unbounded => f.write_str("..")?,
        }
        match &self.end {
            Bound::Included(end) => write!(f, "={}", quoted(end)),
            Bound::Excluded(end) => f.write_str(&quoted(end)),
            Bound::Unbounded => Ok(()),
        }
    }
}
