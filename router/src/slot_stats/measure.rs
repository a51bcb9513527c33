//! Measuring: every key is read, and counted for its slot.

use crate::Result;
use crate::core::Core;
use crate::snapshot::Snapshot;
use rayon::prelude::*;
use shingle_shard::backend::{Page, PageLimit};
use shingle_shard::{KeyRange, Order, Shard};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is read at a time from a shard.
const PAGE: PageLimit = PageLimit { rows: 4096, bytes: 1 << 20 };

/// How far a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MeasureProgress {
    /// Keys read so far, over all shards.
    pub keys: u64,
    /// Rows that the store has, old versions of keys included, as its engines estimate them.
    pub rows_estimate: u64,
}

impl Core {
    /// Reads the newest version of every key, and counts keys and bytes for each slot.
    pub(crate) fn measure_slots(self: &Arc<Self>, progress: &(dyn Fn(MeasureProgress) + Sync)) -> Result<()> {
        let snapshot = Snapshot::newest(self);
        let topology = snapshot.topology();
        let rows_estimate = topology.all().iter().map(|shard| shard.backend().stats().rows_estimate).sum();
        let read = AtomicU64::new(0);
        let report = |keys: usize| {
            let keys = read.fetch_add(keys as u64, Relaxed) + keys as u64;
            progress(MeasureProgress { keys, rows_estimate });
        };
        let measure = |shard: &Arc<Shard>| measure_shard(shard, &snapshot, &report);
        let parts: Vec<_> =
            self.workers.upkeep.run(|| topology.all().par_iter().map(measure).collect::<Result<_>>())?;
        let mut sum = vec![(0, 0); topology.map.slots() as usize];
        for part in parts {
            sum.iter_mut().zip(part).for_each(|(sum, (keys, bytes))| *sum = (sum.0 + keys, sum.1 + bytes));
        }
        topology.counters.measured(snapshot.version(), &sum);
        Ok(())
    }
}

/// Keys and bytes of each slot that lives on this shard.
fn measure_shard(shard: &Shard, snapshot: &Snapshot, report: &(dyn Fn(usize) + Sync)) -> Result<Vec<(u64, u64)>> {
    let (map, slots) = (&snapshot.topology().map, snapshot.topology().slots);
    let mut found = vec![(0, 0); map.slots() as usize];
    let mut range = KeyRange { start: Bound::Unbounded, end: Bound::Unbounded };
    let mut page = Page::default();
    loop {
        shard.scan(&range, snapshot.version(), Order::Ascending, PAGE, &mut page)?;
        snapshot.check()?;
        for row in (0..page.len()).filter_map(|index| page.get(index)) {
            let slot = slots.slot_of(row.key);
            // A shard may hold rows of slots that are on their way to it, or from it.
            if map.shard_of(slot) == shard.number() {
                let (keys, bytes) = &mut found[slot as usize];
                *keys += 1;
                *bytes += (row.key.len() + row.value.map_or(0, <[u8]>::len)) as u64;
            }
        }
        report(page.len());
        let last = page.len().checked_sub(1).and_then(|last| page.get(last)).map(|row| row.key.to_vec());
        match last {
            Some(last) if !page.finished => range.start = Bound::Excluded(last),
            _ => return Ok(found),
        }
    }
}
