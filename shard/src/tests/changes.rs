//! Paging through what one large version wrote.

use super::backend::TestBackend;
use super::random::mix;
use crate::backend::{ChangesFrom, Page, PageLimit};
use crate::{Op, Ops, OpsBuf, Result, RowCache, Shard, ShardOptions, Version};
use std::sync::Arc;

fn apply(shard: &Shard, version: Version, keys: u64, value: Option<&[u8]>) {
    let mut ops = OpsBuf::default();
    for key in 0..keys {
        ops.push(Op { key: &mix(key).to_be_bytes(), value });
    }
    shard.apply(version, Ops::new(ops.as_bytes()));
}

#[test]
fn pages_of_a_large_version_follow_one_another() -> Result<()> {
    let options = ShardOptions { memory_hint_bytes: 1 << 20, row_cache: Some(Arc::new(RowCache::new(1 << 20))) };
    let shard = Shard::new(0, Arc::new(TestBackend::default()), options);
    let keys = 30_000;
    for version in 1..=3 {
        apply(&shard, version, keys, Some(&version.to_be_bytes()));
    }
    // Two readers, one behind the other, and a flush and an eviction on their way.
    let limit = PageLimit { rows: 777, bytes: usize::MAX };
    let mut found: [Vec<(Version, Vec<u8>)>; 2] = Default::default();
    let mut page = Page::default();
    let mut rounds = 0;
    let mut finished = [false; 2];
    while finished != [true; 2] {
        for reader in 0..2 {
            if finished[reader] || (reader == 1 && rounds < 20) {
                continue;
            }
            let from = match found[reader].last() {
                Some((version, key)) => ChangesFrom::Within(*version, key),
                None => ChangesFrom::After(0),
            };
            shard.changes(from, 3, limit, &mut page)?;
            finished[reader] = page.finished;
            let rows = (0..page.len()).filter_map(|index| page.get(index));
            found[reader].extend(rows.map(|row| (row.version, row.key.to_vec())));
        }
        rounds += 1;
        if rounds == 30 {
            shard.flush(3, 1, &|_| {})?;
        }
        if rounds == 40 {
            assert!(shard.evict(3, u64::MAX) > 0);
        }
    }
    let mut sorted: Vec<_> = (0..keys).map(|key| mix(key).to_be_bytes().to_vec()).collect();
    sorted.sort();
    let expected: Vec<_> = (1..=3).flat_map(|version| sorted.iter().map(move |key| (version, key.clone()))).collect();
    assert!(found[0] == expected && found[1] == expected);
    Ok(())
}

#[test]
fn a_list_of_what_was_rolled_back_is_not_served() -> Result<()> {
    let options = ShardOptions { memory_hint_bytes: 1 << 20, row_cache: Some(Arc::new(RowCache::new(1 << 20))) };
    let shard = Shard::new(0, Arc::new(TestBackend::default()), options);
    apply(&shard, 1, 5000, Some(b"value"));
    apply(&shard, 2, 5000, None);
    let (mut page, limit) = (Page::default(), PageLimit { rows: 10, bytes: usize::MAX });
    shard.changes(ChangesFrom::After(1), 2, limit, &mut page)?;
    let last = page.get(9).map(|row| (row.version, row.key.to_vec())).unwrap_or_default();
    assert_eq!(last.0, 2);
    shard.rollback(1, 1)?;
    shard.changes(ChangesFrom::Within(2, &last.1), 2, limit, &mut page)?;
    assert!(page.finished && page.is_empty());
    Ok(())
}
