//! How the keys that a version wrote stand in the `changes` family.
//!
//! ```text
//! key   := version (u64, big-endian) │ first key of the part
//! value := (key length (LEB128) │ key)*: the part's other keys, ascending
//! ```
//! An entry of its own for every key would cost a flush as much as the rows do. Parts are named by their first key, so that
//! the part in which a key would stand is found by one seek.

use crate::Version;

/// A part ends with the key that reaches this size: about one block.
const PART_BYTES: usize = 4 << 10;

const VERSION_BYTES: usize = 8;

/// Appends the key of the part of `version` that begins with `first`.
pub(super) fn push_part_key(out: &mut Vec<u8>, version: Version, first: &[u8]) {
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(first);
}

/// The version and the first key of a part; `None` if the part's key is too short.
pub(super) fn split_part_key(part_key: &[u8]) -> Option<(Version, &[u8])> {
    let (version, first) = part_key.split_first_chunk::<VERSION_BYTES>()?;
    Some((Version::from_be_bytes(*version), first))
}

/// Reads the keys of a part after its first. An item is `None` where the part is broken; nothing follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartKeys<'a> {
    rest: &'a [u8],
}

impl<'a> PartKeys<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        PartKeys { rest: value }
    }
}

impl<'a> Iterator for PartKeys<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let key =
            take_length(&mut self.rest).and_then(|length| self.rest.split_at_checked(length)).map(|(key, rest)| {
                self.rest = rest;
                key
            });
        if key.is_none() {
            self.rest = &[];
        }
        Some(key)
    }
}

/// Packs keys, handed over by version and then by key, into parts.
#[derive(Debug, Default)]
pub(super) struct PartBuilder {
    part_key: Vec<u8>,
    others: Vec<u8>,
    version: Version,
}

impl PartBuilder {
    /// Adds a key; a part that it does not belong to any more goes to `emit` as key and value.
    pub(super) fn push<E>(
        &mut self,
        version: Version,
        key: &[u8],
        emit: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let full = self.part_key.len() + self.others.len() >= PART_BYTES;
        if !self.part_key.is_empty() && (version != self.version || full) {
            self.finish(emit)?;
        }
        if self.part_key.is_empty() {
            self.version = version;
            push_part_key(&mut self.part_key, version, key);
        } else {
            push_length(&mut self.others, key.len());
            self.others.extend_from_slice(key);
        }
        Ok(())
    }

    /// Hands over the last part, if there is one.
    pub(super) fn finish<E>(&mut self, emit: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        if !self.part_key.is_empty() {
            emit(&self.part_key, &self.others)?;
            self.part_key.clear();
            self.others.clear();
        }
        Ok(())
    }
}

fn push_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Takes a length of at most four LEB128 bytes: keys are far shorter than what those can say.
fn take_length(from: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    fn pack(changes: &BTreeSet<(Version, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut parts = Vec::new();
        let mut emit = |key: &[u8], value: &[u8]| {
            parts.push((key.to_vec(), value.to_vec()));
            Ok::<_, Infallible>(())
        };
        let mut builder = PartBuilder::default();
        for (version, key) in changes {
            builder.push(*version, key, &mut emit).expect("infallible");
        }
        builder.finish(&mut emit).expect("infallible");
        parts
    }

    proptest! {
        #[test]
        fn packed_keys_come_back(
            changes in prop::collection::btree_set((0..3u64, prop::collection::vec(any::<u8>(), 1..300)), 0..200)
        ) {
            let parts = pack(&changes);
            prop_assert!(parts.is_sorted_by(|a, b| a.0 < b.0));
            let mut unpacked = Vec::new();
            for (key, value) in &parts {
                let (version, first) = split_part_key(key).expect("packed above");
                unpacked.push((version, first.to_vec()));
                for key in PartKeys::new(value) {
                    unpacked.push((version, key.expect("packed above").to_vec()));
                }
            }
            prop_assert_eq!(unpacked, changes.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read_without_panic_and_end(bytes: Vec<u8>) {
            let read = PartKeys::new(&bytes).count();
            prop_assert!(read <= bytes.len());
        }
    }

    #[test]
    fn the_longest_keys_stand_in_parts_of_their_own() {
        let long = |byte| vec![byte; crate::KEY_BYTES_MAX];
        let parts = pack(&BTreeSet::from([(1, long(b'a')), (1, long(b'b'))]));
        assert_eq!(parts.len(), 2);
        let parts = pack(&BTreeSet::from([(1, vec![b'a']), (1, long(b'b'))]));
        assert_eq!(PartKeys::new(&parts[0].1).collect::<Vec<_>>(), vec![Some(&long(b'b')[..])]);
    }

    #[test]
    fn a_broken_part_says_so_once() {
        assert_eq!(PartKeys::new(b"\x01a\x05b").collect::<Vec<_>>(), vec![Some(&b"a"[..]), None]);
        assert_eq!(PartKeys::new(b"\xff\xff\xff\xff\xff").collect::<Vec<_>>(), vec![None]);
    }
}
