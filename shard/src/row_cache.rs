//! Rows that were read from backends, kept in memory: one cache for all shards.
//!
//! An entry is a fact: from the version `row.version` to the version `through`, the row is the newest of its key. Time never makes a fact
//! wrong, so commits and flushes invalidate nothing. A read at a later version may still use it if memory, which was asked first and had
//! nothing, holds every version above `through`: then no version lies between. Only a rollback takes rows away; its
//! epoch makes every older fact void.
//!
//! Once the cache is full, a row pushes others out only if it was read before, not long ago: reads without locality, of a store far larger
//! than the cache, would otherwise spend a tenth of their time on entries that nobody asks for again. It is the doorkeeper of TinyLFU
//! (Einziger, Friedman and Manes, ACM Transactions on Storage 2017), with one fingerprint in each place instead of a Bloom filter.

use crate::Version;
use crate::backend::Row;
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, Weighter};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use triomphe::ThinArc;

/// What an entry takes beside its key and value: its header, the allocator's, its place in the table and in the queue.
const ENTRY_BYTES: u64 = 120;

/// Sizes the table: it grows if entries are smaller.
const TYPICAL_ENTRY_BYTES: u64 = 320;

/// Set in the hash of entries that only old reads can use, so that a reader of history does not push out the newest row of the same key.
const HISTORIC: u64 = 0x9e37_79b9_7f4a_7c15;

/// A read of one key, when memory had no version of it.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) hash: u64,
    pub(crate) at: Version,
    /// Every version above it was in memory when memory was asked.
    pub(crate) memory_floor: Version,
    /// Counts the rollbacks that had ended.
    pub(crate) epoch: u64,
}

impl Ask<'_> {
    fn is_historic(&self) -> bool {
        self.at < self.memory_floor
    }
}

struct Header {
    /// The version that wrote the row.
    version: Version,
    /// The highest version at which it was known to be the newest. Grows while the entry is in use.
    through: AtomicU64,
    epoch: u64,
    key_bytes: u32,
    is_tombstone: bool,
}

/// Header, key and value in one allocation: a hit touches the table and this.
type Entry = ThinArc<Header, u8>;

#[derive(Clone, Copy)]
struct Weight;

impl Weighter<u64, Entry> for Weight {
    fn weight(&self, _hash: &u64, entry: &Entry) -> u64 {
        ENTRY_BYTES + entry.slice.len() as u64
    }
}

/// Keys are hashes already.
#[derive(Clone, Copy, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only hashes of 64 bits are hashed");
    }
}

/// Says whether the cache has ever been full.
#[derive(Clone, Default)]
struct Full(Arc<AtomicBool>);

impl Full {
    fn is_reached(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Lifecycle<u64, Entry> for Full {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _hash: u64, _entry: Entry) {
        // Written once: the line stays shared between readers.
        if !self.is_reached() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Rows that were asked for and not let in, each known by a part of its hash.
struct Doorkeeper(Box<[AtomicU32]>);

impl Doorkeeper {
    fn new(places: usize) -> Self {
        Doorkeeper((0..places.next_power_of_two()).map(|_| AtomicU32::new(0)).collect())
    }

    /// Whether it was here before. Remembers it if not, instead of whoever had its place.
    fn knows(&self, hash: u64) -> bool {
        let place = &self.0[hash as usize & (self.0.len() - 1)];
        // Never 0, which is nobody.
        let fingerprint = (hash >> 32) as u32 | 1;
        if place.load(Ordering::Relaxed) == fingerprint {
            return true;
        }
        place.store(fingerprint, Ordering::Relaxed);
        false
    }
}

/// The cache. Which rows stay is decided by use (S3-FIFO), and a scan of the store leaves it alone.
pub struct RowCache {
    entries: Cache<u64, Entry, Weight, BuildHasherDefault<Hashed>, Full>,
    full: Full,
    doorkeeper: Doorkeeper,
}

impl fmt::Debug for RowCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowCache").field("rows", &self.rows()).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl RowCache {
    /// A cache of at most about `bytes`.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let rows = (bytes / TYPICAL_ENTRY_BYTES) as usize;
        let full = Full::default();
        let entries = Cache::with(rows, bytes, Weight, BuildHasherDefault::default(), full.clone());
        RowCache { entries, full, doorkeeper: Doorkeeper::new(rows) }
    }

    /// Bytes that it may hold.
    #[must_use]
    pub fn capacity_bytes(&self) -> u64 {
        self.entries.capacity()
    }

    /// Bytes that it holds now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// Rows that it holds now.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.entries.len() as u64
    }

    #[inline]
    pub(crate) fn get(&self, ask: Ask<'_>) -> Option<Row> {
        if ask.is_historic()
            && let Some(entry) = self.entries.get(&(ask.hash ^ HISTORIC)).filter(|entry| answers(entry, ask))
        {
            return Some(row_of(&entry));
        }
        let entry = self.entries.get(&ask.hash).filter(|entry| answers(entry, ask))?;
        if ask.at > entry.header.header.through.load(Ordering::Relaxed) {
            entry.header.header.through.fetch_max(ask.at, Ordering::Relaxed);
        }
        Some(row_of(&entry))
    }

    /// Keeps what the backend answered.
    pub(crate) fn insert(&self, ask: Ask<'_>, row: &Row) {
        let hash = if ask.is_historic() { ask.hash ^ HISTORIC } else { ask.hash };
        match self.entries.peek(&hash) {
            Some(entry)
                if entry.header.header.version == row.version
                    && entry.header.header.epoch == ask.epoch
                    && key_of(&entry) == ask.key =>
            {
                entry.header.header.through.fetch_max(ask.at, Ordering::Relaxed);
                return;
            }
            // It takes the place of its own older fact.
            Some(_) => {}
            None if self.full.is_reached() && !self.doorkeeper.knows(hash) => return,
            None => {}
        }
        let header = Header {
            version: row.version,
            through: AtomicU64::new(ask.at),
            epoch: ask.epoch,
            key_bytes: ask.key.len() as u32,
            is_tombstone: row.value.is_none(),
        };
        let bytes = [ask.key, row.value.as_deref().unwrap_or_default()].concat();
        self.entries.insert(hash, ThinArc::from_header_and_slice(header, &bytes));
    }
}

fn answers(entry: &Entry, ask: Ask<'_>) -> bool {
    let header = &entry.header.header;
    let through = header.through.load(Ordering::Relaxed);
    header.epoch == ask.epoch
        && header.version <= ask.at
        && (ask.at <= through || ask.memory_floor <= through)
        && key_of(entry) == ask.key
}

fn key_of(entry: &Entry) -> &[u8] {
    &entry.slice[..entry.header.header.key_bytes as usize]
}

fn row_of(entry: &Entry) -> Row {
    let header = &entry.header.header;
    let value = (!header.is_tombstone).then(|| entry.slice[header.key_bytes as usize..].to_vec());
    Row { version: header.version, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"key";

    fn ask(at: Version, memory_floor: Version) -> Ask<'static> {
        Ask { key: KEY, hash: 7, at, memory_floor, epoch: 0 }
    }

    fn row(version: Version) -> Row {
        Row { version, value: Some(version.to_string().into_bytes()) }
    }

    #[test]
    fn a_fact_holds_from_its_version_to_where_it_was_seen() {
        let cache = RowCache::new(1 << 20);
        cache.insert(ask(20, 10), &row(5));
        assert_eq!(cache.get(ask(20, 10)), Some(row(5)));
        assert_eq!(cache.get(ask(5, 4)), Some(row(5)));
        assert_eq!(cache.get(ask(4, 4)), None, "before the row was written");
    }

    #[test]
    fn memory_extends_a_fact_as_far_back_as_it_reaches() {
        let cache = RowCache::new(1 << 20);
        cache.insert(ask(20, 10), &row(5));
        assert_eq!(cache.get(ask(40, 21)), None, "version 21 may have written the key and been evicted");
        assert_eq!(cache.get(ask(40, 20)), Some(row(5)));
        assert_eq!(cache.get(ask(60, 40)), Some(row(5)), "the read at 40 has shown that it holds up to there");
        assert_eq!(cache.get(ask(60, 61)), Some(row(5)), "and the one at 60");
    }

    #[test]
    fn old_reads_leave_the_newest_row_alone() {
        let cache = RowCache::new(1 << 20);
        cache.insert(ask(30, 20), &row(25));
        cache.insert(ask(12, 20), &row(11));
        assert_eq!(cache.get(ask(30, 20)), Some(row(25)));
        assert_eq!(cache.get(ask(12, 20)), Some(row(11)));
        assert_eq!(cache.get(ask(13, 20)), None, "old facts reach as far as they were seen");
        cache.insert(ask(15, 20), &row(11));
        assert_eq!(cache.get(ask(13, 20)), Some(row(11)), "seen at 15 too, so true between");
    }

    #[test]
    fn no_fact_outlives_a_rollback() {
        let cache = RowCache::new(1 << 20);
        cache.insert(ask(20, 10), &row(5));
        assert_eq!(cache.get(Ask { epoch: 2, ..ask(20, 10) }), None);
        cache.insert(Ask { epoch: 2, ..ask(20, 10) }, &row(4));
        assert_eq!(cache.get(Ask { epoch: 2, ..ask(20, 10) }), Some(row(4)));
    }

    #[test]
    fn a_hash_that_two_keys_share_is_no_answer() {
        let cache = RowCache::new(1 << 20);
        cache.insert(ask(20, 10), &row(5));
        assert_eq!(cache.get(Ask { key: b"other", ..ask(20, 10) }), None);
    }

    #[test]
    fn tombstones_and_empty_values_differ() {
        let cache = RowCache::new(1 << 20);
        for value in [None, Some(Vec::new())] {
            let row = Row { version: 5, value };
            cache.insert(ask(20, 10), &Row { version: 6, value: None });
            cache.insert(ask(20, 10), &row);
            assert_eq!(cache.get(ask(20, 10)), Some(row));
        }
    }

    #[test]
    fn it_stays_within_its_bytes() {
        let cache = RowCache::new(1 << 20);
        for hash in 0..100_000_u64 {
            let key = hash.to_be_bytes();
            let ask = Ask { key: &key, hash: crate::key_hash(&key), at: 20, memory_floor: 10, epoch: 0 };
            cache.insert(ask, &Row { version: 5, value: Some(vec![0; 100]) });
        }
        assert!(cache.bytes() <= 1 << 20, "{} bytes", cache.bytes());
        assert!(cache.rows() > 1000);
    }

    #[test]
    fn a_full_cache_lets_in_what_is_asked_for_twice() {
        let cache = RowCache::new(1 << 20);
        let ask = |key: &'static str| Ask { key: key.as_bytes(), hash: crate::key_hash(key.as_bytes()), ..ask(20, 10) };
        cache.insert(ask("early"), &row(5));
        assert_eq!(cache.get(ask("early")), Some(row(5)), "there is room");
        for hash in 0..10_000_u64 {
            let key = hash.to_be_bytes();
            let ask = Ask { key: &key, hash: crate::key_hash(&key), at: 20, memory_floor: 10, epoch: 0 };
            cache.insert(ask, &Row { version: 5, value: Some(vec![0; 100]) });
        }
        cache.insert(ask("late"), &row(5));
        assert_eq!(cache.get(ask("late")), None, "it would push out another");
        cache.insert(ask("late"), &row(5));
        assert_eq!(cache.get(ask("late")), Some(row(5)));
        cache.insert(ask("late"), &row(6));
        assert_eq!(cache.get(ask("late")), Some(row(6)), "it is in already");
    }
}
