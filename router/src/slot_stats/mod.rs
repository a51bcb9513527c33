//! What is known of each slot: keys, bytes, reads and writes.

mod counters;
mod decaying;
mod file;
mod measure;
#[cfg(test)]
mod tests;

pub use counters::READS_SAMPLED;
pub(crate) use counters::SlotCounters;
pub use decaying::HALF_LIFE;
pub use measure::MeasureProgress;

use crate::core::Core;
use crate::layout::Layout;
use shingle_shard::{Shard, Version};
use std::sync::Arc;

/// What is known of each slot. Reads and writes are counted; keys and bytes are estimates until they are measured.
///
/// - `writes`: every write of a batch, also of one that is refused later.
/// - `reads`: point reads, sampled: one in 64 is counted, and counts as 64. Scans are not counted.
/// - Both lose half of their weight in ten minutes, and nothing while the store is closed.
/// - `bytes`: what the engine says that the slot's shard takes, history and unflushed writes included, shared out by what was written to each of
///   its slots since the store was made or measured. What was pruned or overwritten is taken to be spread like the rest.
/// - `keys`: as they were when they were measured; before, the rows on disk of the slot's shard, shared out like its bytes.
///
/// What was counted is kept in a file when the store is closed, and about once a minute while something is flushed. After a crash it is as it was then.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SlotStatistics {
    /// The version at which keys and bytes were measured; `None`: never.
    pub measured_at: Option<Version>,
    /// After this time, in seconds, a read or a write counts half.
    pub half_life_secs: u64,
    /// Each shard, by number: the sums of its slots.
    pub shards: Vec<ShardLoad>,
    /// Each slot, by number.
    pub slots: Vec<SlotStats>,
}

/// What is known of the slots of one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ShardLoad {
    /// The shard's number.
    pub number: usize,
    /// How many slots live on it.
    pub slots: u64,
    /// Keys, estimated.
    pub keys: u64,
    /// Bytes, estimated.
    pub bytes: u64,
    /// Point reads, the recent ones above all.
    pub reads: u64,
    /// Writes, the recent ones above all.
    pub writes: u64,
}

/// What is known of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SlotStats {
    /// The slot's number.
    pub slot: u32,
    /// The shard that it lives on.
    pub shard: usize,
    /// Keys, estimated.
    pub keys: u64,
    /// Bytes, estimated.
    pub bytes: u64,
    /// Point reads, the recent ones above all.
    pub reads: u64,
    /// Writes, the recent ones above all.
    pub writes: u64,
}

impl SlotStats {
    /// Reads and writes.
    #[must_use]
    pub fn heat(&self) -> u64 {
        self.reads.saturating_add(self.writes)
    }
}

impl ShardLoad {
    fn add(&mut self, slot: &SlotStats) {
        self.slots += 1;
        self.keys += slot.keys;
        self.bytes += slot.bytes;
        self.reads += slot.reads;
        self.writes += slot.writes;
    }

    /// Reads and writes.
    #[must_use]
    pub fn heat(&self) -> u64 {
        self.reads.saturating_add(self.writes)
    }
}

/// What a shard has to share out among its slots.
#[derive(Clone, Copy, Debug, Default)]
struct ShardTotal {
    slots: u64,
    weight: u64,
    bytes: u64,
    rows: u64,
}

impl ShardTotal {
    /// What a slot of this weight has of `whole`; all have the same where none has any.
    fn part(&self, whole: u64, weight: u64) -> u64 {
        let (part, of) = if self.weight == 0 { (1, self.slots) } else { (weight, self.weight) };
        (u128::from(whole) * u128::from(part) / u128::from(of.max(1))) as u64
    }
}

impl Core {
    /// Writes what is known of the slots to its file.
    pub(crate) fn save_slot_stats(&self) {
        if let Some(disk) = &self.disk {
            let store_id = disk.manifest.lock().store_id;
            // Estimates, which a store does without.
            let _not_needed = self.shards.now().counters.save(&Layout { dir: &disk.dir }, &store_id);
        }
    }

    pub(crate) fn slot_stats(&self) -> SlotStatistics {
        let topology = self.shards.keep();
        let (map, counts) = (&topology.map, topology.counters.counts());
        let measured_at = topology.counters.measured_at();
        let total = |shard: &Arc<Shard>| {
            let backend = shard.backend().stats();
            let bytes = backend.live_bytes + shard.memory().unflushed_bytes;
            ShardTotal { bytes, rows: backend.rows_estimate, ..ShardTotal::default() }
        };
        let mut totals: Vec<_> = topology.all().iter().map(total).collect();
        for (shard, count) in map.iter().zip(&counts) {
            totals[shard].slots += 1;
            totals[shard].weight = totals[shard].weight.saturating_add(count.bytes);
        }
        let stats = |(slot, (shard, count)): (u32, (usize, &counters::SlotCount))| {
            let total = totals[shard];
            let keys = if measured_at.is_some() { count.keys } else { total.part(total.rows, count.bytes) };
            let bytes = total.part(total.bytes, count.bytes);
            SlotStats { slot, shard, keys, bytes, reads: count.reads, writes: count.writes }
        };
        let slots: Vec<_> = (0..).zip(map.iter().zip(&counts)).map(stats).collect();
        let shard = |number| ShardLoad { number, ..ShardLoad::default() };
        let mut shards: Vec<_> = (0..totals.len()).map(shard).collect();
        slots.iter().for_each(|slot: &SlotStats| shards[slot.shard].add(slot));
        SlotStatistics { measured_at, half_life_secs: HALF_LIFE.as_secs(), shards, slots }
    }
}
