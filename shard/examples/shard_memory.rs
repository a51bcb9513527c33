//! What a shard's memory costs for each write, read and scan: `cargo run --release --example shard_memory [keys]`.

#![expect(clippy::print_stdout, reason = "figures for people")]

mod keys;

use keys::{key, mix};
use shingle_shard::backend::{
    Applied, Backend, BackendStats, ChangesFrom, MovingCursor, Page, PageLimit, Pressure, PruneCursor, PruneSlice, Row,
    RowRef, Run, StagedRows,
};
use shingle_shard::{KeyRange, Op, Ops, OpsBuf, Order, Result, Shard, ShardOptions, Version, key_hash};
use std::hint::black_box;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Instant;

/// Keeps nothing, so that what is measured is memory.
#[derive(Debug)]
struct Nothing;

impl Backend for Nothing {
    fn get(&self, _: &[u8], _: Version) -> Result<Option<Row>> {
        Ok(None)
    }
    fn scan(&self, _: &KeyRange, _: Version, _: Order, _: PageLimit, page: &mut Page) -> Result<()> {
        page.clear();
        page.finished = true;
        Ok(())
    }
    fn changes(&self, _: ChangesFrom<'_>, _: Version, _: PageLimit, page: &mut Page) -> Result<()> {
        page.clear();
        page.finished = true;
        Ok(())
    }
    fn applied_through(&self) -> Version {
        0
    }
    fn apply(&self, run: &dyn Run, _: Version, _: u64) -> Result<Applied> {
        let bytes = run.rows().map(|row| row.key.len() + row.value.map_or(0, <[u8]>::len)).sum::<usize>();
        let bytes = bytes + run.changes().map(|(_, key)| key.len()).sum::<usize>();
        Ok(Applied { rows: run.rows().count() as u64, bytes: bytes as u64 })
    }
    fn retract(&self, _: Version, _: u64) -> Result<u64> {
        Ok(0)
    }
    fn prunable(
        &self,
        _floor: Version,
        cursor: &mut PruneCursor,
        _changes_max: usize,
        slice: &mut PruneSlice,
    ) -> Result<()> {
        slice.clear();
        cursor.finished = true;
        Ok(())
    }
    fn remove(&self, _slice: &PruneSlice, _epoch: u64) -> Result<()> {
        Ok(())
    }
    fn reclaim(&self) -> Result<()> {
        Ok(())
    }
    fn newest_changes(&self, _after: Version, _visit: &mut dyn FnMut(Version, &[u8]) -> ControlFlow<()>) -> Result<()> {
        Ok(())
    }
    fn rows(
        &self,
        cursor: &mut MovingCursor,
        _through: Version,
        _pick: &dyn Fn(&[u8]) -> bool,
        _limit: PageLimit,
        page: &mut Page,
    ) -> Result<()> {
        page.clear();
        cursor.finished = true;
        Ok(())
    }
    fn changed(
        &self,
        cursor: &mut MovingCursor,
        _through: Version,
        _pick: &dyn Fn(&[u8]) -> bool,
        _most: usize,
        found: &mut Vec<(Version, Vec<u8>)>,
    ) -> Result<()> {
        found.clear();
        cursor.finished = true;
        Ok(())
    }
    fn bring_in_changes(&self, _changes: &[(Version, Vec<u8>)], _through: Version, _epoch: u64) -> Result<u64> {
        Ok(0)
    }
    fn stage_rows(&self) -> Result<Box<dyn StagedRows + '_>> {
        unreachable!("no slot moves here")
    }
    fn forget_changes(&self, cursor: &mut MovingCursor, _pick: &dyn Fn(&[u8]) -> bool, _epoch: u64) -> Result<u64> {
        cursor.finished = true;
        Ok(0)
    }
    fn expect_strays(&self, _through: Version) {}
    fn verify(
        &self,
        _: &mut dyn FnMut(RowRef<'_>) -> Result<()>,
        _: &mut dyn FnMut(Version, &[u8]) -> Result<()>,
    ) -> Result<()> {
        Ok(())
    }
    fn stats(&self) -> BackendStats {
        BackendStats::default()
    }
    fn pressure(&self) -> Pressure {
        Pressure::default()
    }
}

fn report(what: &str, count: u64, started: Instant) {
    println!("{what:<42} {:>8.1} ns", started.elapsed().as_nanos() as f64 / count as f64);
}

/// Writes of `batch` random keys a version.
fn batches(keys: u64, writes: u64, batch: u64, in_order: bool) -> Vec<OpsBuf> {
    let value = [7; 100];
    (0..writes / batch)
        .map(|number| {
            let mut ops = OpsBuf::default();
            for write in number * batch..(number + 1) * batch {
                let key = key(if in_order { write } else { mix(write) % keys });
                ops.push(Op { key: &key, value: Some(&value) });
            }
            ops
        })
        .collect()
}

fn main() -> Result<()> {
    let keys: u64 = std::env::args().nth(1).and_then(|keys| keys.parse().ok()).unwrap_or(1_000_000);
    let options = ShardOptions { memory_hint_bytes: keys as usize * 2 * 192, row_cache: None };
    let shard = Shard::new(0, Arc::new(Nothing), options);
    let mut version = 0;
    let mut apply = |what: &str, batches: &[OpsBuf], ops: u64| {
        let started = Instant::now();
        for batch in batches {
            version += 1;
            shard.apply(version, Ops::new(batch.as_bytes()));
        }
        report(what, ops, started);
        version
    };
    apply("apply, new keys, 1000 a version", &batches(keys, keys, 1000, true), keys);
    apply("apply, updates, 1000 a version", &batches(keys, keys / 2, 1000, false), keys / 2);
    let version = apply("apply, updates, 10 a version", &batches(keys, keys / 2, 10, false), keys / 2);

    let reads = 1_000_000;
    let wanted: Vec<_> = (0..reads).map(|n| key(mix(n + 77) % keys)).collect();
    let absent: Vec<_> = (0..reads).map(|n| key(keys + n)).collect();
    for (what, wanted, at) in [
        ("get, present, newest", &wanted, version),
        ("get, present, 1000 versions ago", &wanted, version - 1000),
        ("get, absent", &absent, version),
    ] {
        let started = Instant::now();
        for key in wanted {
            black_box(shard.get(key, key_hash(key), at)?);
        }
        report(what, reads, started);
    }
    let started = Instant::now();
    for key in &wanted {
        black_box(shard.written_after(key, key_hash(key), version - 1)?);
    }
    report("written_after", reads, started);

    let mut page = Page::default();
    let started = Instant::now();
    shard.scan(&KeyRange::all(), version, Order::Ascending, PageLimit { rows: 1, bytes: 1 << 20 }, &mut page)?;
    report("first scan: sorts all, for each entry", 2 * keys, started);
    let scans = 20_000;
    let limit = PageLimit { rows: 100, bytes: 1 << 20 };
    let started = Instant::now();
    for key in &wanted[..scans] {
        let range = KeyRange { start: Bound::Included(key.to_vec()), end: Bound::Unbounded };
        shard.scan(&range, version, Order::Ascending, limit, &mut page)?;
        black_box(page.len());
    }
    report("scan of 100 keys, for each scan", scans as u64, started);

    let started = Instant::now();
    let memory = shard.memory();
    let flushed = shard.flush(version, 1, &|_| {})?;
    report("sort and flush, for each row", flushed.keys, started);
    println!("memory: {memory:?}, then {:?}", shard.memory());
    let started = Instant::now();
    let freed = shard.evict(version, u64::MAX);
    println!("evicted {freed} bytes in {:?}", started.elapsed());
    Ok(())
}
