//! Entries come sorted whatever their keys have in common.

use super::backend::TestBackend;
use super::random::Random;
use crate::backend::{Page, PageLimit};
use crate::{KeyRange, Op, Ops, OpsBuf, Order, Result, RowCache, Shard, ShardOptions};
use std::collections::BTreeSet;
use std::sync::Arc;

fn check(keys: &[Vec<u8>]) -> Result<()> {
    let options = ShardOptions { memory_hint_bytes: 1 << 20, row_cache: Some(Arc::new(RowCache::new(1 << 20))) };
    let backend = Arc::new(TestBackend::default());
    let shard = Shard::new(0, backend, options);
    let mut expected = BTreeSet::new();
    for (version, keys) in (1..).zip(keys.chunks(keys.len().div_ceil(3))) {
        let mut ops = OpsBuf::default();
        for key in keys {
            ops.push(Op { key, value: Some(b"") });
            expected.insert(key.clone());
        }
        shard.apply(version, Ops::new(ops.as_bytes()));
    }
    let mut page = Page::default();
    shard.scan(&KeyRange::all(), 3, Order::Ascending, PageLimit { rows: usize::MAX, bytes: usize::MAX }, &mut page)?;
    let found = (0..page.len()).filter_map(|index| page.get(index)).map(|row| row.key.to_vec());
    assert!(found.eq(expected), "the scan's order");
    // The backend checks the order of what it is given.
    assert!(shard.flush(3, 1, &|_| {})?.keys >= page.len() as u64);
    Ok(())
}

#[test]
fn keys_with_a_long_common_prefix_are_sorted() -> Result<()> {
    let mut random = Random(1);
    let mut keys = Vec::new();
    for _ in 0..3000 {
        let mut key = vec![7; 1000];
        key.extend_from_slice(&random.below(500).to_be_bytes());
        key.truncate(key.len() - random.below(3) as usize);
        keys.push(key);
    }
    check(&keys)
}

#[test]
fn keys_that_grow_by_a_word_each_are_sorted() -> Result<()> {
    // Each pair shares one word more: the worst case for a sort that goes word by word.
    let keys: Vec<_> = (0..1000).rev().map(|words| vec![9; words * 8 + 1]).collect();
    check(&keys)
}

#[test]
fn accounts_with_many_slots_are_sorted() -> Result<()> {
    let mut random = Random(2);
    let mut keys = Vec::new();
    for _ in 0..20_000 {
        let mut key = vec![random.below(20) as u8; 20];
        key.extend_from_slice(&[0; 24]);
        key.extend_from_slice(&random.below(300).to_be_bytes());
        keys.push(key);
    }
    check(&keys)
}

#[test]
fn keys_of_zeros_are_told_apart_by_their_length() -> Result<()> {
    let mut random = Random(3);
    let keys: Vec<_> = (0..5000).map(|_| vec![0; 1 + random.below(100) as usize]).collect();
    check(&keys)
}
