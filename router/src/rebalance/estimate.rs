//! What copying will write, estimated before it begins.

use super::plan::Move;
use crate::slot_stats::SlotStatistics;
use shingle_shard::Shard;
use std::collections::BTreeMap;

/// What a shard has on its disk and in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    /// Bytes, compressed as far as they are on disk.
    bytes: f64,
    /// Those of them that are the index of changes.
    change_bytes: f64,
    /// Rows, every version of a key counted.
    rows: f64,
}

impl Held {
    pub(super) fn by(shard: &Shard) -> Self {
        let stats = shard.backend().stats();
        let (bytes, rows) = (stats.live_bytes as f64, stats.rows_estimate as f64);
        let unflushed = shard.memory().unflushed_bytes as f64;
        // What is not flushed yet will be as what is.
        let grown = if bytes > 0.0 { 1.0 + unflushed / bytes } else { 1.0 };
        let change_bytes = stats.changes_bytes as f64 * grown;
        Held { bytes: bytes + unflushed, change_bytes, rows: rows * grown }
    }
}

/// What goes from one shard to another.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    row_bytes: f64,
    change_bytes: f64,
    rows: f64,
}

/// Bytes that the moves write to the shards that slots go to. `versions` can be read.
///
/// Changes stand together by version. So those that arrive are merged with those that the target has of the same versions, from its own slots or from
/// another source, and both are written: of few slots on a shard of many, that is most of it.
pub(super) fn written(moves: &[Move], statistics: &SlotStatistics, held: &[Held], versions: u64) -> u64 {
    let mut weights = vec![0.0; held.len()];
    statistics.slots.iter().for_each(|slot| weights[slot.shard] += slot.bytes as f64);
    let mut loads: BTreeMap<(usize, usize), Load> = BTreeMap::new();
    for step in moves {
        let (from, weight) = (held[step.from], weights[step.from].max(1.0));
        let share = statistics.slots[step.slot as usize].bytes as f64 / weight;
        // By target first: what one source has brought is there when the next one comes.
        let load = loads.entry((step.to, step.from)).or_default();
        load.row_bytes += share * (from.bytes - from.change_bytes).max(0.0);
        load.change_bytes += share * from.change_bytes;
        load.rows += share * from.rows;
    }
    let mut there: Vec<_> = held.iter().map(|held| held.change_bytes).collect();
    let mut bytes = 0.0;
    for ((to, _), load) in loads {
        if there.len() <= to {
            there.resize(to + 1, 0.0);
        }
        // Of so many rows spread over the versions, so many versions get one at least.
        let touched = 1.0 - (-load.rows / versions.max(1) as f64).exp();
        bytes += load.row_bytes + load.change_bytes + touched * there[to];
        there[to] += load.change_bytes;
    }
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot_stats::SlotStats;

    const FULL: Held = Held { bytes: 1000.0, change_bytes: 400.0, rows: 1e6 };

    /// Two slots on each of two shards.
    fn statistics() -> SlotStatistics {
        let slot = |slot| SlotStats { slot, shard: slot as usize / 2, bytes: 500, ..SlotStats::default() };
        SlotStatistics { measured_at: None, half_life_secs: 1, shards: Vec::new(), slots: (0..4).map(slot).collect() }
    }

    fn step(slot: u32, to: usize) -> Move {
        Move { slot, from: slot as usize / 2, to }
    }

    #[test]
    fn changes_are_written_with_those_that_are_there() {
        let written = |moves: &[Move], versions| written(moves, &statistics(), &[FULL, FULL], versions);
        assert_eq!(written(&[], 1000), 0);
        assert_eq!(written(&[step(0, 2)], 1000), 500, "a new shard has nothing to merge with");
        assert_eq!(written(&[step(0, 1)], 1000), 900, "every version is touched");
        assert_eq!(written(&[step(0, 2), step(2, 2)], 1000), 1200, "the second source meets the first one's");
        assert!((500..510).contains(&written(&[step(0, 1)], 1 << 40)), "hardly any version is touched");
        assert_eq!(super::written(&[step(0, 1)], &statistics(), &[Held::default(); 2], 0), 0);
    }
}
