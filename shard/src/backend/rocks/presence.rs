//! Which keys have rows here, as one filter in memory over the whole instance: a key that is not there costs one line of memory instead of a
//! seek that asks the filter of every table.
//!
//! A blocked bloom filter (Putze, Sanders and Singler, *Cache-, Hash- and Space-Efficient Bloom Filters*, 2007). It is part of the block
//! cache's budget and never grows: where it would be too full to be of use it is given up, and the tables' own filters remain.
//!
//! # Never a wrong no
//! Every row comes in through [`Additions`], which adds its key before the row can be seen, thus before memory lets go of it. Rows that were there when
//! the instance was opened are added by a thread of its own; until it is through, the filter does not answer.

use super::RocksShared;
use super::layout::VERSIONS;
use super::row::{decode_prefix, split_row_key};
use crate::key_hash;
use parking_lot::{Condvar, Mutex};
use rocksdb::properties::ESTIMATE_NUM_KEYS;
use rocksdb::{DB, ReadOptions};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// The part of the block cache's budget that the filters of all instances take.
pub(super) const CACHE_PARTS: u64 = 16;

/// Bits that a key sets, all in one line of memory.
const PROBES: u32 = 6;

/// A filter with more of its bits set, one in so many, says yes too often to be worth asking.
const FULL_PARTS: u64 = 2;

/// Bits a key below which reading all rows at opening is not worth it. With six probes, 8 bits let 2% of the absent keys through.
const BITS_PER_ROW_MIN: u64 = 8;

/// Keys that are added together, so that the processor fetches their lines side by side.
const ADDED_TOGETHER: usize = 64;

/// Rows that the thread reads between two looks at whether the instance closes.
const ROWS_PER_LOOK: usize = 4096;

/// The filter does not know every key yet, or no longer.
const SILENT: u8 = 0;
const ANSWERS: u8 = 1;
const GIVEN_UP: u8 = 2;

/// One line of memory.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; 8]);

/// Which of a store's instances fills its filter: one at a time, for the node has better things to do.
#[derive(Debug, Default)]
pub(super) struct Turn {
    taken: Mutex<bool>,
    /// With its lock: the turn is free, or somebody who waits for it shall stop.
    changed: Condvar,
}

impl Turn {
    /// Waits for the turn and does `read` in it, unless `stop` comes first.
    fn take(&self, stop: &AtomicBool, read: impl FnOnce()) {
        let mut taken = self.taken.lock();
        while *taken {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            self.changed.wait(&mut taken);
        }
        *taken = true;
        drop(taken);
        let _given_back = GiveBack(self);
        read();
    }

    /// Ends the reading of one instance, and its waiting: who closes must not wait until others have read theirs.
    fn end(&self, stop: &AtomicBool) {
        let _taken = self.taken.lock();
        stop.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }
}

/// Also after a panic, the turn is the next one's.
struct GiveBack<'a>(&'a Turn);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock() = false;
        self.0.changed.notify_all();
    }
}

/// Filter and thread of one instance. Dropping it ends the thread.
pub(super) struct Presence {
    filter: Arc<Filter>,
    turn: Arc<Turn>,
    reader: Option<JoinHandle<()>>,
}

struct Filter {
    lines: Box<[Line]>,
    state: AtomicU8,
    stop: AtomicBool,
    /// Who adds, and how many bits are set.
    bits_set: Mutex<u64>,
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("bytes", &size_of_val(&*self.filter.lines)).finish_non_exhaustive()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.turn.end(&self.filter.stop);
        if let Some(reader) = self.reader.take() {
            // A panic there has left the filter silent, and has been printed.
            let _panicked = reader.join();
        }
    }
}

impl Presence {
    /// The filter of a freshly opened instance. `db` is only read.
    pub(super) fn open(db: &Arc<DB>, shared: &RocksShared) -> Self {
        let filter = Arc::new(Filter::new(shared.share.cache_bytes() / (CACHE_PARTS - 1)));
        let rows = db.property_int_value_cf(super::family(db, VERSIONS), ESTIMATE_NUM_KEYS).ok().flatten();
        let mut reader = None;
        if rows.is_some_and(|rows| rows * BITS_PER_ROW_MIN <= filter.bits()) {
            let (db, theirs, turn) = (Arc::clone(db), Arc::clone(&filter), Arc::clone(&shared.presence_turn));
            let read = move || turn.take(&theirs.stop, || theirs.add_all(&db));
            // Without a thread the filter stays silent, which costs time and nothing else.
            reader = std::thread::Builder::new().name("shingle-presence".into()).spawn(read).ok();
        } else {
            filter.state.store(GIVEN_UP, Ordering::Relaxed);
        }
        Presence { filter, turn: Arc::clone(&shared.presence_turn), reader }
    }

    /// False if the instance has no row of `key` for certain.
    #[inline]
    pub(super) fn may_hold(&self, key: &[u8]) -> bool {
        self.filter.state.load(Ordering::Acquire) != ANSWERS || self.filter.may_hold(key_hash(key))
    }

    /// For rows that are about to come in.
    pub(super) fn additions(&self) -> Additions<'_> {
        Additions { filter: &self.filter, hashes: Vec::with_capacity(ADDED_TOGETHER) }
    }
}

/// Keys on their way into the filter. Complete after [`Additions::finish`], before the rows may be seen.
pub(super) struct Additions<'a> {
    filter: &'a Filter,
    hashes: Vec<u64>,
}

impl Additions<'_> {
    #[inline]
    pub(super) fn add(&mut self, key: &[u8]) {
        let hash = key_hash(key);
        // The versions of a key follow one another.
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
            if self.hashes.len() == ADDED_TOGETHER {
                self.finish();
            }
        }
    }

    pub(super) fn finish(&mut self) {
        self.filter.add(&self.hashes);
        self.hashes.clear();
    }
}

impl Filter {
    fn new(bytes: u64) -> Self {
        let lines = (bytes / size_of::<Line>() as u64).max(1);
        Filter {
            lines: (0..lines).map(|_| Line::default()).collect(),
            state: AtomicU8::new(SILENT),
            stop: AtomicBool::new(false),
            bits_set: Mutex::new(0),
        }
    }

    fn bits(&self) -> u64 {
        size_of_val(&*self.lines) as u64 * 8
    }

    /// The line of a hash, and the bits in it. All hashes of one shard share their remainder by the number of slots, so both come from
    /// a product, whose upper bits depend on all of the hash's.
    #[inline]
    fn place(&self, hash: u64) -> (&Line, u64) {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let line = ((u128::from(mixed) * self.lines.len() as u128) >> 64) as usize;
        (&self.lines[line], hash.rotate_left(32).wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// Word and bit of each probe: nine bits of `bits` each.
    #[inline]
    fn probes(bits: u64) -> impl Iterator<Item = (usize, u64)> {
        (0..PROBES).map(move |probe| {
            let bit = (bits >> (9 * probe + 8)) & 511;
            ((bit >> 6) as usize, 1 << (bit & 63))
        })
    }

    #[inline]
    fn may_hold(&self, hash: u64) -> bool {
        let (line, bits) = self.place(hash);
        Self::probes(bits).all(|(word, bit)| line.0[word].load(Ordering::Relaxed) & bit != 0)
    }

    fn add(&self, hashes: &[u64]) {
        if self.state.load(Ordering::Relaxed) == GIVEN_UP {
            return;
        }
        // Who adds is alone, so that a load and a store do instead of an atomic addition.
        let mut bits_set = self.bits_set.lock();
        for &hash in hashes {
            let (line, bits) = self.place(hash);
            for (word, bit) in Self::probes(bits) {
                let old = line.0[word].load(Ordering::Relaxed);
                if old & bit == 0 {
                    line.0[word].store(old | bit, Ordering::Relaxed);
                    *bits_set += 1;
                }
            }
        }
        if *bits_set > self.bits() / FULL_PARTS {
            self.state.store(GIVEN_UP, Ordering::Relaxed);
        }
    }

    /// Adds the keys of all rows that are there, then lets the filter answer.
    fn add_all(&self, db: &DB) {
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        options.set_total_order_seek(true);
        options.fill_cache(false);
        options.set_readahead_size(1 << 20);
        let mut iterator = db.raw_iterator_cf_opt(super::family(db, VERSIONS), options);
        iterator.seek_to_first();
        let mut additions = Additions { filter: self, hashes: Vec::with_capacity(ADDED_TOGETHER) };
        let (mut last, mut key) = (Vec::new(), Vec::new());
        while self.state.load(Ordering::Relaxed) != GIVEN_UP && !self.stop.load(Ordering::Relaxed) {
            for _ in 0..ROWS_PER_LOOK {
                let Some(row_key) = iterator.key() else {
                    // Damage is for the reads to report: they go to the tables if the filter stays silent.
                    if iterator.status().is_ok() {
                        additions.finish();
                        // A filter that was given up meanwhile stays so.
                        let _given_up =
                            self.state.compare_exchange(SILENT, ANSWERS, Ordering::Release, Ordering::Relaxed);
                    }
                    return;
                };
                let Some((prefix, _)) = split_row_key(row_key) else { return };
                if prefix != last {
                    if decode_prefix(prefix, &mut key).is_none() {
                        return;
                    }
                    additions.add(&key);
                    last.clear();
                    last.extend_from_slice(prefix);
                }
                iterator.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_never_denied_and_little_else_is_affirmed() {
        let filter = Filter::new(64 << 10);
        let hash = |n: u64| key_hash(&n.to_be_bytes());
        let keys = filter.bits() / 10;
        for n in (0..keys).step_by(50) {
            filter.add(&(n..n + 50).map(hash).collect::<Vec<_>>());
        }
        assert!((0..keys + 50 - keys % 50).all(|n| filter.may_hold(hash(n))));
        let affirmed = (1 << 40..(1 << 40) + 100_000).filter(|&n| filter.may_hold(hash(n))).count();
        assert!(affirmed < 3000, "{affirmed} of 100 000 absent keys at 10 bits a key");
    }

    #[test]
    fn keys_of_one_slot_spread_over_the_whole_filter() {
        let filter = Filter::new(64 << 10);
        let of_one_slot: Vec<u64> =
            (0_u64..).map(|n| key_hash(&n.to_be_bytes())).filter(|hash| hash % 4096 == 7).take(2000).collect();
        filter.add(&of_one_slot);
        let used =
            filter.lines.iter().filter(|line| line.0.iter().any(|word| word.load(Ordering::Relaxed) != 0)).count();
        assert!(used > 800, "2000 keys touch {used} of 1024 lines");
    }

    #[test]
    fn who_waits_for_the_turn_can_be_stopped() {
        let (turn, mine, theirs) = (Turn::default(), AtomicBool::new(false), AtomicBool::new(false));
        turn.take(&mine, || {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| turn.take(&theirs, || panic!("it is not its turn")));
                // It ends while the turn is still taken, or never.
                turn.end(&theirs);
                assert!(waiting.join().is_ok());
            });
        });
        let mut took = false;
        turn.take(&mine, || took = true);
        assert!(took, "the turn was given back");
    }

    #[test]
    fn a_filter_that_is_full_is_given_up() {
        let filter = Filter::new(64);
        filter.state.store(ANSWERS, Ordering::Relaxed);
        filter.add(&(0..400_u64).map(|n| key_hash(&n.to_be_bytes())).collect::<Vec<_>>());
        assert_eq!(filter.state.load(Ordering::Relaxed), GIVEN_UP);
    }
}
