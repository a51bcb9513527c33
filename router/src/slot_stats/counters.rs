//! What is counted for each slot while the store runs: by threads that must not wait for one another.

use super::decaying::{Clock, Decaying};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One point read in so many is counted, and counts for all of them.
pub const READS_SAMPLED: u32 = 64;

thread_local! {
    /// How many reads this thread leaves out until it counts one, and where its gaps are drawn from.
    static SAMPLING: Cell<Sampling> = const { Cell::new(Sampling { left_out: 0, state: 0x9e37_79b9 }) };
}

#[derive(Clone, Copy, Debug)]
struct Sampling {
    left_out: u32,
    state: u32,
}

impl Sampling {
    /// The next gap: from 0 to twice the mean. Were they equal, a thread that reads two keys in turns would be seen reading one of them.
    fn drawn(self) -> Self {
        let mut state = self.state;
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        Sampling { left_out: state % (2 * READS_SAMPLED - 1), state }
    }
}

/// One slot's counts, in one cache line.
#[derive(Debug, Default)]
#[repr(align(32))]
struct Counter {
    writes: Decaying,
    reads: Decaying,
    /// Bytes of keys and values written and, where they were measured, those that were there before. Says what share of its shard a slot is.
    bytes: AtomicU64,
    /// Keys, when they were measured last.
    keys: AtomicU64,
}

/// What is known of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotCount {
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) bytes: u64,
    pub(crate) keys: u64,
}

/// The counts of all slots: 32 B each.
#[derive(Debug)]
pub(crate) struct SlotCounters {
    clock: Clock,
    slots: Box<[Counter]>,
    /// The version at which keys and bytes were measured; 0: never.
    measured_at: AtomicU64,
}

impl SlotCounters {
    pub(crate) fn new(slots: u32) -> Self {
        Self::resumed(0, vec![SlotCount::default(); slots as usize])
    }

    pub(crate) fn resumed(measured_at: u64, counts: Vec<SlotCount>) -> Self {
        let counter = |count: SlotCount| Counter {
            writes: Decaying::resumed(count.writes),
            reads: Decaying::resumed(count.reads),
            bytes: AtomicU64::new(count.bytes),
            keys: AtomicU64::new(count.keys),
        };
        let slots = counts.into_iter().map(counter).collect();
        SlotCounters { clock: Clock::new(), slots, measured_at: AtomicU64::new(measured_at) }
    }

    /// Counts the writes of one batch: to be called once for it, and the result once for each write.
    #[inline]
    pub(crate) fn writing(&self) -> impl Fn(u32, usize) + '_ {
        let now = self.clock.now();
        move |slot, bytes| {
            let counter = &self.slots[slot as usize];
            counter.writes.add(now, 1);
            // As the count of writes: cheap rather than complete.
            counter.bytes.store(counter.bytes.load(Relaxed) + bytes as u64, Relaxed);
        }
    }

    /// Counts a read, once in [`READS_SAMPLED`]; only then `slot` is asked.
    #[inline]
    pub(crate) fn read(&self, slot: impl FnOnce() -> u32) {
        let sampling = SAMPLING.get();
        if sampling.left_out == 0 {
            SAMPLING.set(sampling.drawn());
            self.slots[slot() as usize].reads.add(self.clock.now(), u64::from(READS_SAMPLED));
        } else {
            SAMPLING.set(Sampling { left_out: sampling.left_out - 1, ..sampling });
        }
    }

    /// Takes over what was measured at a version.
    pub(crate) fn measured(&self, version: u64, keys_and_bytes: &[(u64, u64)]) {
        for (counter, &(keys, bytes)) in self.slots.iter().zip(keys_and_bytes) {
            counter.keys.store(keys, Relaxed);
            counter.bytes.store(bytes, Relaxed);
        }
        self.measured_at.store(version, Relaxed);
    }

    pub(crate) fn measured_at(&self) -> Option<u64> {
        Some(self.measured_at.load(Relaxed)).filter(|&version| version > 0)
    }

    pub(crate) fn counts(&self) -> Vec<SlotCount> {
        let now = self.clock.now();
        let count = |counter: &Counter| SlotCount {
            writes: counter.writes.get(now),
            reads: counter.reads.get(now),
            bytes: counter.bytes.load(Relaxed),
            keys: counter.keys.load(Relaxed),
        };
        self.slots.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampled_reads_are_about_as_many_as_there_were_on_each_slot() {
        const READS: u64 = 1_000_000;
        let counters = SlotCounters::new(4);
        (0..READS).for_each(|n| counters.read(|| (n % 4) as u32));
        for count in counters.counts() {
            // A standard deviation of 1.6 %; the gaps are the same in every run.
            assert!(count.reads.abs_diff(READS / 4) < READS / 4 / 12, "{count:?}");
        }
    }

    #[test]
    fn writes_are_all_counted_with_their_bytes() {
        let counters = SlotCounters::new(2);
        let count = counters.writing();
        (0..100).for_each(|n| count(u32::from(n % 4 == 0), 10));
        let counts = counters.counts();
        assert_eq!((counts[0].writes, counts[0].bytes), (75, 750));
        assert_eq!((counts[1].writes, counts[1].bytes), (25, 250));
        assert_eq!(counters.measured_at(), None);
    }
}
