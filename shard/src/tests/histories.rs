//! Keys with many versions, and values of every size.

use super::backend::TestBackend;
use crate::{Op, Ops, OpsBuf, Result, RowCache, Shard, ShardOptions, VALUE_BYTES_MAX, Version, key_hash};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

fn shard() -> Shard {
    let options = ShardOptions { memory_hint_bytes: 1 << 20, row_cache: Some(Arc::new(RowCache::new(1 << 20))) };
    Shard::new(0, Arc::new(TestBackend::default()), options)
}

fn put(shard: &Shard, version: Version, key: &[u8], value: &[u8]) {
    let mut ops = OpsBuf::default();
    ops.push(Op { key, value: Some(value) });
    shard.apply(version, Ops::new(ops.as_bytes()));
}

#[test]
fn every_version_of_a_hot_key_is_found_in_few_steps() -> Result<()> {
    let shard = shard();
    let (key, versions) = (b"hot", 100_000);
    for version in 1..=versions {
        put(&shard, version * 2, key, &version.to_le_bytes());
    }
    let mut longest = 0;
    for version in 1..=versions {
        for at in [version * 2, version * 2 + 1] {
            let found = shard.get(key, key_hash(key), at)?;
            assert_eq!(found, Some(version.to_le_bytes().to_vec()), "at {at}");
        }
        let steps = shard
            .memtable
            .with_newest(key, key_hash(key), |chunks, entry| crate::memtable::steps_to(chunks, entry, version * 2));
        longest = longest.max(steps.expect("the key is in memory"));
    }
    assert_eq!(shard.get(key, key_hash(key), 1)?, None);
    // Of the 12 500 stops at most three for each of their 14 powers of two, two steps apart where no jump leads on; up to
    // seven versions before the first stop and after the last.
    assert!(longest <= 7 + 2 * 3 * 14 + 7, "{longest} steps");
    Ok(())
}

#[test]
fn a_hot_key_keeps_its_history_over_rollbacks_and_evictions() -> Result<()> {
    let shard = shard();
    let key = b"hot";
    let mut expected = Vec::new();
    let mut version = 0;
    for round in 0..200_u64 {
        for _ in 0..37 {
            version += 1;
            put(&shard, version, key, &version.to_le_bytes());
            expected.push(version);
        }
        let keep = version - round % 23;
        shard.rollback(keep, 1)?;
        expected.retain(|version| *version <= keep);
        if round % 10 == 9 {
            shard.flush(version, 1, &|_| {})?;
            shard.evict(version - 100, 1 << 10);
        }
        for at in (1..=version).step_by(13) {
            let newest = expected.partition_point(|version| *version <= at).checked_sub(1).map(|index| expected[index]);
            let found = shard.get(key, key_hash(key), at)?;
            assert_eq!(found, newest.map(|version| version.to_le_bytes().to_vec()), "at {at} of {version}");
        }
    }
    Ok(())
}

#[test]
fn values_from_nothing_to_the_largest_are_kept() -> Result<()> {
    let shard = shard();
    let lengths = [0, 1, 7, 8, 65_000, 65_536, 4 << 20, (4 << 20) + 1, VALUE_BYTES_MAX, 3];
    for (version, len) in (1..).zip(lengths) {
        put(&shard, version, b"value", &vec![version as u8; len]);
        put(&shard, version, &vec![1; crate::KEY_BYTES_MAX], &[version as u8]);
    }
    for (version, len) in (1..).zip(lengths) {
        let found = shard.get(b"value", key_hash(b"value"), version)?;
        assert_eq!(found, Some(vec![version as u8; len]), "a value of {len} bytes");
        let long = vec![1; crate::KEY_BYTES_MAX];
        assert_eq!(shard.get(&long, key_hash(&long), version)?, Some(vec![version as u8]));
    }
    let bytes: usize = lengths.iter().sum();
    let memory = shard.memory();
    assert!(memory.active_bytes >= bytes as u64 && memory.total_bytes >= memory.active_bytes);
    shard.flush(Version::MAX, 1, &|_| {})?;
    assert_eq!(shard.memory().unflushed_bytes, 0);
    assert!(shard.evict(Version::MAX, u64::MAX) >= bytes as u64);
    assert_eq!(shard.get(b"value", key_hash(b"value"), 9)?, Some(vec![9; VALUE_BYTES_MAX]));
    Ok(())
}

#[test]
fn the_last_write_of_a_version_wins() -> Result<()> {
    let shard = shard();
    put(&shard, 1, b"key", b"first");
    for value in [b"2a", b"2b", b"2c"] {
        put(&shard, 2, b"key", value);
    }
    assert_eq!(shard.get(b"key", key_hash(b"key"), 2)?, Some(b"2c".to_vec()));
    assert_eq!(shard.get(b"key", key_hash(b"key"), 1)?, Some(b"first".to_vec()));
    assert_eq!(shard.flush(2, 1, &|_| {})?.keys, 2, "what was replaced within its version is not flushed");
    shard.rollback(1, 1)?;
    assert_eq!(shard.get(b"key", key_hash(b"key"), 3)?, Some(b"first".to_vec()));
    Ok(())
}

#[test]
fn the_backend_is_asked_only_for_what_memory_cannot_know() -> Result<()> {
    let backend = Arc::new(TestBackend::default());
    let shard = Shard::new(
        0,
        Arc::clone(&backend) as _,
        ShardOptions { memory_hint_bytes: 1 << 20, row_cache: Some(Arc::new(RowCache::new(1 << 20))) },
    );
    let asked = |key: &[u8], at| {
        let before = backend.gets.load(SeqCst);
        let found = shard.get(key, key_hash(key), at)?;
        Ok::<_, crate::Error>((found.is_some(), backend.gets.load(SeqCst) - before))
    };
    let conflicts = |key: &[u8], after| {
        let before = backend.gets.load(SeqCst);
        let written = shard.written_after(key, key_hash(key), after)?;
        Ok::<_, crate::Error>((written, backend.gets.load(SeqCst) - before))
    };
    put(&shard, 10, b"old", b"");
    shard.flush(10, 1, &|_| {})?;
    put(&shard, 20, b"new", b"");
    assert_eq!(asked(b"old", 20)?, (true, 0), "flushed, and still in memory");
    assert_eq!(asked(b"new", 20)?, (true, 0));
    assert_eq!(asked(b"new", 19)?, (false, 1), "an older version may be in the backend");
    assert_eq!(conflicts(b"absent", 0)?, (false, 0), "nothing was evicted yet");
    assert!(shard.evict(10, u64::MAX) > 0);
    assert_eq!(asked(b"old", 20)?, (true, 1), "evicted");
    assert_eq!(conflicts(b"absent", 10)?, (false, 0), "memory has all that is newer");
    assert_eq!(conflicts(b"old", 10)?, (false, 0));
    assert_eq!(conflicts(b"old", 9)?, (true, 1));
    assert_eq!(conflicts(b"new", 9)?, (true, 0));
    assert_eq!(conflicts(b"new", 20)?, (false, 0));
    Ok(())
}

/// A shard that hardly anything is written to may have rows in one run whose versions are farther apart than 32 bits can tell.
#[test]
fn versions_far_apart_are_flushed_together_in_their_order() -> Result<()> {
    let shard = shard();
    let versions = [1, 2, 1 << 32, (1 << 32) + 1, (1 << 33) + 1, 1 << 63];
    for (at, &version) in versions.iter().enumerate() {
        put(&shard, version, &[9 - at as u8], b"one");
        put(&shard, version, &[20 + at as u8], b"another");
    }
    // The backend refuses changes that do not rise.
    assert_eq!(shard.flush(1 << 63, 1, &|_| {})?.keys, 12);
    for (at, &version) in versions.iter().enumerate() {
        assert!(!shard.written_after(&[9 - at as u8], key_hash(&[9 - at as u8]), version)?);
        assert!(shard.written_after(&[9 - at as u8], key_hash(&[9 - at as u8]), version - 1)?);
    }
    Ok(())
}
