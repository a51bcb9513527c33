//! Keys that are not there: the filters alone can say so, at two thirds of the cost of a seek that asks them.

use super::RocksBackend;
use super::error::classify;
use super::layout::VERSIONS;
use super::row::push_row_key;
use crate::{Result, Version};
use rocksdb::PerfMetric;
use rocksdb::perf::{PerfContext, PerfStatsLevel, set_perf_stats};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

/// What asking the filters first saves for a key that is not there, as a part of what it costs in vain for one that is: 0.4 against 4.4 µs.
const PRESENT_COSTS: u32 = 11;

/// Reads that the memory of past reads reaches back over, about.
const SCORE_MAX: u32 = 16 * PRESENT_COSTS;

/// Whether the reads of late were of keys that are not there. It is a guess: readers do not wait for one another to keep it.
#[derive(Debug, Default)]
pub(super) struct Absences {
    score: AtomicU32,
}

impl Absences {
    #[inline]
    pub(super) fn are_likely(&self) -> bool {
        self.score.load(Ordering::Relaxed) >= SCORE_MAX / 2
    }

    #[inline]
    pub(super) fn note(&self, absent: bool) {
        let score = self.score.load(Ordering::Relaxed);
        let next = if absent { (score + 1).min(SCORE_MAX) } else { score.saturating_sub(PRESENT_COSTS) };
        // Where all reads are alike, nothing is written and no cache line moves between processors.
        if next != score {
            self.score.store(next, Ordering::Relaxed);
        }
    }
}

thread_local! {
    static PROBE: RefCell<Probe> = RefCell::default();
}

#[derive(Default)]
struct Probe {
    counts: PerfContext,
    row_key: Vec<u8>,
}

/// Whether any table may hold a row of `key` at version `at` or below.
///
/// A point look-up asks the filter of every table that could hold the row key, and searches those whose filter does not say no: it
/// then touches a block of data. One that touches none has proved that there is no row. Where a filter cannot be read, or is partitioned, blocks are
/// touched as well, and the caller has to seek.
pub(super) fn tables_may_hold(backend: &RocksBackend, key: &[u8], at: Version) -> Result<bool> {
    PROBE.with_borrow_mut(|Probe { counts, row_key }| {
        row_key.clear();
        push_row_key(row_key, key, at);
        // Each time: whoever else uses RocksDB on this thread may have switched the counting off.
        set_perf_stats(PerfStatsLevel::EnableCount);
        let touched = |counts: &PerfContext| {
            counts.metric(PerfMetric::BlockCacheHitCount) + counts.metric(PerfMetric::BlockReadCount)
        };
        let before = touched(counts);
        let found = backend.db.get_pinned_cf(super::family(&backend.db, VERSIONS), row_key);
        let after = touched(counts);
        set_perf_stats(PerfStatsLevel::Disable);
        Ok(found.map_err(|e| classify(&backend.path, &e))?.is_some() || after != before)
    })
}
