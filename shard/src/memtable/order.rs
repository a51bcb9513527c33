//! The order of keys over the log, for scans: sorted runs that scanners build, and writers never wait for.
//!
//! A run covers a stretch of the log and names the newest entry of each key there; the older versions hang below it. Each
//! scan sorts what was appended since the last one, as one more run; runs of like size are merged, so that there are few.
//! Whoever asks for a version that the runs already cover takes no lock. What is flushed leaves the runs: the backend has it in
//! order, and closer together than it lies in memory.

use super::Memtable;
use super::arena::{Address, ChunkTable, EntryRef, OrderKey, Position};
use super::cursor::Cursor;
use super::segment::Flushable;
use super::sort::{sorted, word};
use super::versions::newest_at_most;
use super::writer::FIRST_CHUNK;
use crate::{KeyRange, Order, Version};
use arc_swap::Guard;
use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Runs are merged to no more than this: such a merge takes about 20 ms, and a scan may have to wait for it.
const MERGED_SLOTS_MAX: usize = 1 << 20;

/// So many entries are looked at one by one rather than sorted, where the order does not matter.
const REST_MAX: usize = 2000;

/// One key of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// The key's first 8 bytes: most comparisons need no more.
    word: u64,
    address: Address,
}

impl Slot {
    /// The slot's entry. The table was loaded together with the run.
    #[inline]
    pub(super) fn entry(self, chunks: &ChunkTable) -> EntryRef<'_> {
        chunks.entry(self.address).expect("runs are trimmed before chunks are evicted")
    }

    #[inline]
    pub(super) fn prefetch(self, chunks: &ChunkTable) {
        chunks.prefetch(self.address);
    }

    /// By key alone.
    #[inline]
    pub(super) fn cmp_key(self, other: Slot, chunks: &ChunkTable) -> Ordering {
        if self.address == other.address {
            return Ordering::Equal;
        }
        self.word.cmp(&other.word).then_with(|| self.entry(chunks).key().cmp(other.entry(chunks).key()))
    }

    /// Whether both name the same entry.
    #[inline]
    pub(super) fn is(self, other: Slot) -> bool {
        self.address == other.address
    }

    #[inline]
    pub(super) fn is_newer(self, other: Slot) -> bool {
        self.address > other.address
    }
}

/// A stretch of the log in the order of its keys.
#[derive(Debug)]
pub(super) struct Run {
    newest: Version,
    /// Keys ascending, none twice.
    slots: Box<[Slot]>,
}

impl Run {
    /// `keys` are sorted, and none is newer than `newest`.
    fn new(keys: &[OrderKey], newest: Version) -> Self {
        let first = keys.iter().filter(|key| !key.is_repeated());
        Run { newest, slots: first.map(|key| Slot { word: key.word(), address: key.address() }).collect() }
    }

    fn merged(chunks: &ChunkTable, older: &Run, newer: &Run) -> Self {
        let (mut a, mut b) = (&*older.slots, &*newer.slots);
        let mut slots = Vec::with_capacity(a.len() + b.len());
        while let (Some((&x, after_x)), Some((&y, after_y))) = (a.split_first(), b.split_first()) {
            let order = x.cmp_key(y, chunks);
            slots.push(if order.is_lt() { x } else { y });
            if order.is_le() {
                a = after_x;
            }
            if order.is_ge() {
                b = after_y;
            }
        }
        slots.extend_from_slice(a);
        slots.extend_from_slice(b);
        Run { newest: older.newest.max(newer.newest), slots: slots.into_boxed_slice() }
    }

    fn bytes(&self) -> u64 {
        size_of_val::<[Slot]>(&self.slots) as u64
    }

    /// How many keys come before `key`; `key` itself counts if `and_itself`.
    pub(super) fn position(&self, chunks: &ChunkTable, key: &[u8], and_itself: bool) -> usize {
        let key_word = word(key);
        self.slots.partition_point(|slot| {
            let order = slot.word.cmp(&key_word).then_with(|| slot.entry(chunks).key().cmp(key));
            order.is_lt() || (and_itself && order.is_eq())
        })
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

/// The runs over the log from one position to another, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    list: Vec<Arc<Run>>,
    /// Every version up to it is in the backend; every later one that is in memory lies after `start`.
    floor: Version,
    start: Position,
    end: Position,
    /// Every version up to it that is in memory lies before `end`.
    covered: Version,
}

impl Runs {
    /// None, over a backend that holds everything up to `floor`.
    pub(super) fn new(floor: Version) -> Self {
        let start = Position::of_chunk(FIRST_CHUNK);
        Runs { list: Vec::new(), floor, start, end: start, covered: 0 }
    }

    /// These and one more, which goes from their end to `end`.
    fn with(&self, chunks: &ChunkTable, mut run: Run, end: Position, covered: Version) -> Self {
        let mut list = self.list.clone();
        if !run.slots.is_empty() {
            while let Some(last) = list.pop_if(|last| {
                let (older, newer) = (last.slots.len(), run.slots.len());
                older <= newer * 2 && older + newer <= MERGED_SLOTS_MAX
            }) {
                run = Run::merged(chunks, &last, &run);
            }
            list.push(Arc::new(run));
        }
        Runs { list, end, covered: self.covered.max(covered), ..*self }
    }

    /// These without what lies before `start`.
    fn from(&self, start: Position, floor: Version) -> Self {
        let mut runs = Runs { list: Vec::new(), floor, start, end: self.end.max(start), covered: self.covered };
        for run in &self.list {
            let after = |slot: &Slot| slot.address.position() >= start;
            if run.slots.iter().all(after) {
                runs.list.push(Arc::clone(run));
            } else if run.slots.iter().any(after) {
                let slots = run.slots.iter().copied().filter(after).collect();
                runs.list.push(Arc::new(Run { newest: run.newest, slots }));
            }
        }
        runs
    }

    fn bytes(&self) -> u64 {
        self.list.iter().map(|run| run.bytes()).sum()
    }
}

/// Memory in the order of keys, as it is at one moment.
pub(crate) struct Ordered {
    runs: Guard<Arc<Runs>>,
    chunks: Guard<Arc<ChunkTable>>,
}

impl Ordered {
    /// The newest entry of each key of `range`, among those up to the moment; it may be a dead one, or newer than what is
    /// asked for: what is, lies below it.
    pub(crate) fn cursor<'a>(&'a self, range: &'a KeyRange, order: Order) -> Cursor<'a> {
        Cursor::new(&self.chunks, self.runs.list.iter().map(|run| &**run), range, order)
    }

    /// The entries of `range` in stretches of the log that hold a version above `after`, in no order: at least the newest of each key.
    pub(crate) fn written_since<'a>(
        &'a self,
        range: &'a KeyRange,
        after: Version,
    ) -> impl Iterator<Item = EntryRef<'a>> + 'a {
        let runs = self.runs.list.iter().filter(move |run| run.newest > after);
        runs.flat_map(|run| Cursor::new(&self.chunks, std::iter::once(&**run), range, Order::Ascending))
    }

    /// Every version up to it is in the backend, and not here unless memory has a newer one of its key.
    pub(crate) fn floor(&self) -> Version {
        self.runs.floor
    }

    /// The entries that are in no run yet.
    pub(crate) fn unsorted(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.chunks.entries(self.runs.end, self.chunks.tail()).map(|(_, entry)| entry)
    }

    /// The newest version of the entry's key that is at most `at` and no newer than the entry.
    #[inline]
    pub(crate) fn version_of<'a>(&'a self, entry: EntryRef<'a>, at: Version) -> Option<EntryRef<'a>> {
        newest_at_most(&self.chunks, entry, at)
    }
}

impl Memtable {
    /// Memory in the order of keys, with at least every version up to `at` that the backend lacks; all of them must be applied.
    pub(crate) fn ordered(&self, at: Version) -> Ordered {
        self.ordered_if(at, |runs, chunks| runs.covered >= at || runs.end >= chunks.tail())
    }

    /// Memory in the order of keys as far as it is sorted, and a little unsorted rest.
    pub(crate) fn ordered_mostly(&self) -> Ordered {
        self.ordered_if(Version::MAX, |runs, chunks| chunks.entries(runs.end, chunks.tail()).nth(REST_MAX).is_none())
    }

    fn ordered_if(&self, at: Version, suffices: impl Fn(&Runs, &ChunkTable) -> bool) -> Ordered {
        let mut is_extended = false;
        loop {
            let runs = self.runs.load();
            let chunks = self.chunks.load();
            // Else memory was evicted between the two loads, and runs that need less of it are there already.
            if runs.start >= chunks.start() {
                // What was appended after the extension is no version that the caller may ask for.
                if is_extended || suffices(&runs, &chunks) {
                    return Ordered { runs, chunks };
                }
                self.extend_runs(at);
                is_extended = true;
            }
        }
    }

    fn extend_runs(&self, at: Version) {
        let _ordering = self.ordering.lock();
        let runs = self.runs.load();
        if runs.covered < at {
            // Before the tail: versions below `applied` are complete, and the tail will be behind them.
            let complete = self.applied.load(Acquire).saturating_sub(1);
            let chunks = self.chunks.load();
            self.push_run(&runs, &chunks, chunks.tail(), at.min(complete));
        }
    }

    /// Sorts what comes after `runs` up to `end`. The caller holds `ordering`, and nobody evicts.
    fn push_run(&self, runs: &Runs, chunks: &ChunkTable, end: Position, covered: Version) {
        if runs.end < end {
            let keys = sorted(chunks, runs.end, end);
            let newest = keys.iter().map(|key| key.address()).max().and_then(|newest| chunks.entry(newest));
            let runs = runs.with(chunks, Run::new(&keys, newest.map_or(0, EntryRef::version)), end, covered);
            self.usage.runs.store(runs.bytes(), Relaxed);
            self.runs.store(Arc::new(runs));
        }
    }

    /// Has everything up to `through` looked for in the backend, which has it.
    pub(crate) fn begin_after(&self, through: Version) {
        let _ordering = self.ordering.lock();
        let mut runs = Runs::clone(&self.runs.load());
        runs.floor = runs.floor.max(through);
        self.runs.store(Arc::new(runs));
        self.evicted_through.fetch_max(through, AcqRel);
    }

    /// Forgets the order of what the backend has.
    pub(crate) fn release_order(&self, flushed: &Flushable) {
        let _ordering = self.ordering.lock();
        let runs = self.runs.load().from(flushed.end(), flushed.through);
        self.usage.runs.store(runs.bytes(), Relaxed);
        self.runs.store(Arc::new(runs));
    }
}
