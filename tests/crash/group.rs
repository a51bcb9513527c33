//! What every commit writes: one key for ever its own, and a group of keys on all shards, all with its stamp.

use crate::line::Stamp;
use shingle::Batch;
use std::collections::BTreeMap;

pub(crate) const SHARDS: usize = 4;
/// Enough that each of the few shards has one, whatever the hash.
const KEYS: usize = 24;

/// The keys of one of the groups.
pub(crate) fn keys(group: u64) -> impl Iterator<Item = String> {
    (0..KEYS).map(move |n| format!("group/{group}/{n:02}"))
}

pub(crate) fn own_key(stamp: Stamp) -> String {
    format!("stamp/{stamp:016x}")
}

/// The stamp and, after it, bytes that make records of many sizes; a few so large that the log needs new segments all the time.
pub(crate) fn value(stamp: Stamp) -> Vec<u8> {
    let dice = usize::try_from(stamp.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).expect("eight bits");
    let padding = if dice % 12 == 0 { 6000 } else { dice / 4 };
    let mut value = stamp.to_be_bytes().to_vec();
    value.resize(value.len() + padding, 0xa5);
    value
}

pub(crate) fn batch(group: u64, stamp: Stamp) -> Batch {
    let value = value(stamp);
    let mut batch = Batch::new();
    batch.put(own_key(stamp), &value);
    for key in keys(group) {
        batch.put(key, &value);
    }
    batch
}

/// The stamp of a commit from everything that its version wrote; says what is wrong if it is not one whole commit.
pub(crate) fn stamp_of(writes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<Stamp, String> {
    let first = writes.values().next().cloned().flatten().ok_or("a delete, which nobody made")?;
    let stamp = first.first_chunk().map(|bytes| Stamp::from_be_bytes(*bytes)).ok_or("a value without a stamp")?;
    let group = writes
        .keys()
        .find_map(|key| std::str::from_utf8(key).ok()?.strip_prefix("group/")?.split('/').next()?.parse().ok())
        .ok_or_else(|| format!("stamp {stamp:x}: no key of a group"))?;
    let expected: BTreeMap<_, _> =
        keys(group).chain([own_key(stamp)]).map(|key| (key.into_bytes(), Some(value(stamp)))).collect();
    if *writes == expected {
        return Ok(stamp);
    }
    let differs = |key: &&Vec<u8>| writes.get(*key) != expected.get(*key);
    let wrong: Vec<_> =
        writes.keys().chain(expected.keys()).filter(differs).map(|k| String::from_utf8_lossy(k)).collect();
    Err(format!("stamp {stamp:x}, group {group}: only a part of the commit is there, or more; these differ: {wrong:?}"))
}
