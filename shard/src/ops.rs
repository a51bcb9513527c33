//! The writes of one commit to one shard, packed: the form in which they stand in the commit log and reach a memtable.
//!
//! ```text
//! op := key length (u32, little-endian) │ value length (u32, little-endian; TOMBSTONE: delete) │ key │ value
//! ```
//! Written to disk as part of the commit log: a change here is a change of format.

use crate::Version;

/// The value length that stands for a delete; no value is as long.
const TOMBSTONE: u32 = u32::MAX;

const HEADER_BYTES: usize = 8;

/// One write: a put, or a delete if `value` is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<'a> {
    /// The key that is written.
    pub key: &'a [u8],
    /// The new value; `None` deletes the key.
    pub value: Option<&'a [u8]>,
}

impl Op<'_> {
    /// How many bytes the write takes when it is packed.
    #[inline]
    #[must_use]
    pub fn packed_bytes(&self) -> usize {
        HEADER_BYTES + self.key.len() + self.value.map_or(0, <[u8]>::len)
    }
}

/// What one version writes to one shard, with the hash of each key in the order of the writes: hashed once, used wherever the write goes.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'a> {
    /// The version that writes.
    pub version: Version,
    /// The writes.
    pub ops: Ops<'a>,
    /// [`key_hash`](crate::key_hash) of each key.
    pub key_hashes: &'a [u64],
}

/// A growing list of packed writes.
#[derive(Clone, Debug, Default)]
pub struct OpsBuf {
    bytes: Vec<u8>,
}

impl OpsBuf {
    /// An empty list with room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        OpsBuf { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends one write. The key and the value must have been checked against their bounds.
    #[inline]
    pub fn push(&mut self, op: Op<'_>) {
        let value = op.value.unwrap_or_default();
        let value_len = if op.value.is_some() { value.len() as u32 } else { TOMBSTONE };
        self.bytes.reserve(HEADER_BYTES + op.key.len() + value.len());
        self.bytes.extend_from_slice(&(op.key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&value_len.to_le_bytes());
        self.bytes.extend_from_slice(op.key);
        self.bytes.extend_from_slice(value);
    }

    /// The packed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets every write, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Reads packed writes, first to last. `None` ends the list; [`Ops::count_if_sound`] tells a whole list from a broken one.
#[derive(Clone, Copy, Debug)]
pub struct Ops<'a> {
    rest: &'a [u8],
}

impl<'a> Ops<'a> {
    /// Reads `bytes` as packed by [`OpsBuf`].
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Ops { rest: bytes }
    }

    /// How many writes the list has, if it is whole: every length stays within the bytes and none is left over.
    #[must_use]
    pub fn count_if_sound(mut self) -> Option<usize> {
        let count = self.by_ref().count();
        self.rest.is_empty().then_some(count)
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = Op<'a>;

    #[inline]
    fn next(&mut self) -> Option<Op<'a>> {
        let (header, rest) = self.rest.split_first_chunk::<HEADER_BYTES>()?;
        let [k0, k1, k2, k3, v0, v1, v2, v3] = *header;
        let key_len = u32::from_le_bytes([k0, k1, k2, k3]) as usize;
        let value_len = u32::from_le_bytes([v0, v1, v2, v3]);
        let (key, rest) = rest.split_at_checked(key_len)?;
        let (value, rest) = match value_len {
            TOMBSTONE => (None, rest),
            len => rest.split_at_checked(len as usize).map(|(value, rest)| (Some(value), rest))?,
        };
        self.rest = rest;
        Some(Op { key, value })
    }
}
