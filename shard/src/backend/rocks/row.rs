//! How a row stands in the `versions` family.
//!
//! ```text
//! key   := escaped key │ 0x00 0x01 │ !version (u64, big-endian): a key's newest version comes first
//! value := tag (1 byte) │ value
//! ```
//! In the escaped key each 0x00 stands as 0x00 0xff, so that byte order is kept and no key is a prefix of another. Escaped
//! key and terminator together are the row's prefix: what the bloom filters hold.

use crate::Version;
use memchr::memchr;

const ESCAPED_ZERO: [u8; 2] = [0x00, 0xff];
const TERMINATOR: [u8; 2] = [0x00, 0x01];
/// Follows every row of a key, precedes every row of the next: between the terminator and an escaped zero.
const AFTER_TERMINATOR: [u8; 2] = [0x00, 0x02];

/// Bytes of the version at the end of a row's key.
pub(super) const VERSION_BYTES: usize = 8;

/// Written to disk, never renumbered.
const TAG_TOMBSTONE: u8 = 0;
/// Written to disk, never renumbered.
const TAG_VALUE: u8 = 1;

/// Appends the prefix of all rows of `key`. It precedes each of them.
#[inline]
pub(super) fn push_prefix(out: &mut Vec<u8>, key: &[u8]) {
    push_escaped(out, key);
    out.extend_from_slice(&TERMINATOR);
}

/// Appends what follows all rows of `key` and precedes every row of the next key.
#[inline]
pub(super) fn push_end(out: &mut Vec<u8>, key: &[u8]) {
    push_escaped(out, key);
    out.extend_from_slice(&AFTER_TERMINATOR);
}

/// Appends the key of the row of `key` at `version`.
#[inline]
pub(super) fn push_row_key(out: &mut Vec<u8>, key: &[u8], version: Version) {
    push_prefix(out, key);
    push_version(out, version);
}

/// Appends `version` as it stands at the end of a row's key.
#[inline]
pub(super) fn push_version(out: &mut Vec<u8>, version: Version) {
    out.extend_from_slice(&(!version).to_be_bytes());
}

fn push_escaped(out: &mut Vec<u8>, mut key: &[u8]) {
    while let Some(zero) = memchr(0, key) {
        out.extend_from_slice(&key[..zero]);
        out.extend_from_slice(&ESCAPED_ZERO);
        key = &key[zero + 1..];
    }
    out.extend_from_slice(key);
}

/// The prefix and the version of a row's key; `None` if it is too short to be one.
#[inline]
pub(super) fn split_row_key(row_key: &[u8]) -> Option<(&[u8], Version)> {
    let (prefix, version) = row_key.split_last_chunk::<VERSION_BYTES>()?;
    Some((prefix, !Version::from_be_bytes(*version)))
}

/// Turns a prefix into one that follows all its rows, as [`push_end`] makes it.
pub(super) fn end_of_prefix(prefix: &mut [u8]) {
    if let Some(last) = prefix.last_mut() {
        *last = AFTER_TERMINATOR[1];
    }
}

/// Replaces `key` by the key that `prefix` stands for; `None` if it is no prefix of a row.
#[inline]
pub(super) fn decode_prefix(prefix: &[u8], key: &mut Vec<u8>) -> Option<()> {
    key.clear();
    let mut escaped = prefix.strip_suffix(&TERMINATOR)?;
    while let Some(zero) = memchr(0, escaped) {
        key.extend_from_slice(&escaped[..=zero]);
        escaped = escaped[zero..].strip_prefix(&ESCAPED_ZERO)?;
    }
    key.extend_from_slice(escaped);
    Some(())
}

/// Replaces `out` by the tagged value.
#[inline]
pub(super) fn encode_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    out.clear();
    match value {
        Some(value) => {
            out.push(TAG_VALUE);
            out.extend_from_slice(value);
        }
        None => out.push(TAG_TOMBSTONE),
    }
}

/// The value behind its tag, `Some(None)` for a tombstone; `None` if the tag is none that was ever written.
#[inline]
pub(super) fn decode_value(tagged: &[u8]) -> Option<Option<&[u8]>> {
    match tagged {
        [TAG_TOMBSTONE] => Some(None),
        [TAG_VALUE, value @ ..] => Some(Some(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row_key(key: &[u8], version: Version) -> Vec<u8> {
        let mut out = Vec::new();
        push_row_key(&mut out, key, version);
        out
    }

    /// Keys in which the bytes that escaping is about are frequent.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![3 => Just(0x00), 2 => Just(0x01), 2 => Just(0xff), 1 => Just(0x02), 1 => any::<u8>()],
            0..12,
        )
    }

    proptest! {
        #[test]
        fn order_is_by_key_then_newest_first(a in key(), b in key(), va: u64, vb: u64) {
            let expected = a.cmp(&b).then(vb.cmp(&va));
            prop_assert_eq!(row_key(&a, va).cmp(&row_key(&b, vb)), expected);
        }

        #[test]
        fn a_row_key_comes_back(key in key(), version: u64) {
            let encoded = row_key(&key, version);
            let (prefix, decoded_version) = split_row_key(&encoded).expect("it has a version");
            let mut decoded = vec![7];
            decode_prefix(prefix, &mut decoded).expect("it was encoded just now");
            prop_assert_eq!(decoded, key);
            prop_assert_eq!(decoded_version, version);
        }

        #[test]
        fn no_prefix_begins_another(a in key(), b in key()) {
            prop_assume!(a != b);
            let (mut prefix_a, mut prefix_b) = (Vec::new(), Vec::new());
            push_prefix(&mut prefix_a, &a);
            push_prefix(&mut prefix_b, &b);
            prop_assert!(!prefix_a.starts_with(&prefix_b));
        }

        #[test]
        fn a_keys_end_lies_between_its_rows_and_the_next_keys(a in key(), b in key(), version: u64) {
            let mut end = Vec::new();
            push_end(&mut end, &a);
            let mut from_prefix = Vec::new();
            push_prefix(&mut from_prefix, &a);
            end_of_prefix(&mut from_prefix);
            prop_assert_eq!(&from_prefix, &end);
            prop_assert!(row_key(&a, 0) < end);
            prop_assert_eq!(row_key(&b, version) < end, b <= a);
        }
    }

    #[test]
    fn what_was_never_encoded_is_refused() {
        let mut key = Vec::new();
        assert_eq!(split_row_key(b"1234567"), None);
        for broken in [&b""[..], b"a", b"a\x00", b"a\x00\x02", b"a\x00\x00\x01", b"a\x00\x02b\x00\x01"] {
            assert_eq!(decode_prefix(broken, &mut key), None, "{broken:?}");
        }
        for broken in [&b""[..], b"\x00a", b"\x02", b"\x02a"] {
            assert_eq!(decode_value(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn values_come_back() {
        let mut tagged = Vec::new();
        for value in [None, Some(&b""[..]), Some(b"\x00"), Some(b"value")] {
            encode_value(&mut tagged, value);
            assert_eq!(decode_value(&tagged), Some(value));
        }
    }
}
