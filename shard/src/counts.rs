//! How many reads and writes a shard has served, and from where.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Threads count in stripes of their own, so that no read waits for a cache line that another has just written: an increment that is shared by two cores
/// costs as much as a read from memory.
const STRIPES: usize = 16;

/// Point reads and writes of one shard since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Point reads that memory answered.
    pub reads_from_memory: u64,
    /// Point reads that the cache of rows answered.
    pub reads_from_row_cache: u64,
    /// Point reads that went to the backend.
    pub reads_from_backend: u64,
    /// Writes applied: keys put and deleted.
    pub writes: u64,
}

/// One cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe {
    memory: AtomicU64,
    row_cache: AtomicU64,
    backend: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct ReadCounter {
    stripes: [Stripe; STRIPES],
}

thread_local! {
    /// The thread's stripe; `STRIPES` until it has one.
    static STRIPE: Cell<usize> = const { Cell::new(STRIPES) };
}

static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

#[inline]
fn stripe() -> usize {
    STRIPE.with(|stripe| {
        if stripe.get() == STRIPES {
            stripe.set(NEXT_STRIPE.fetch_add(1, Relaxed) % STRIPES);
        }
        stripe.get()
    })
}

impl ReadCounter {
    #[inline]
    pub(crate) fn read_from_memory(&self) {
        self.stripes[stripe()].memory.fetch_add(1, Relaxed);
    }

    #[inline]
    pub(crate) fn read_from_row_cache(&self) {
        self.stripes[stripe()].row_cache.fetch_add(1, Relaxed);
    }

    #[inline]
    pub(crate) fn read_from_backend(&self) {
        self.stripes[stripe()].backend.fetch_add(1, Relaxed);
    }

    /// What was read, beside `writes`, which the memtable counts.
    pub(crate) fn counts(&self, writes: u64) -> Counts {
        let mut counts = Counts { writes, ..Counts::default() };
        for stripe in &self.stripes {
            counts.reads_from_memory += stripe.memory.load(Relaxed);
            counts.reads_from_row_cache += stripe.row_cache.load(Relaxed);
            counts.reads_from_backend += stripe.backend.load(Relaxed);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_more_threads_than_stripes() {
        const EACH: u64 = 10_000;
        let counter = ReadCounter::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..EACH).for_each(|_| counter.read_from_memory()));
            }
        });
        let expected = Counts { reads_from_memory: 2 * STRIPES as u64 * EACH, ..Counts::default() };
        assert_eq!(counter.counts(0), expected);
    }
}
