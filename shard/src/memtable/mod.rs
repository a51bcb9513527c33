//! The versions of one shard that are in memory: a log of entries, a hash index over it, and sorted runs for scans.
//!
//! ```text
//! index: bucket ─► newest entry ─next─► older entry of another key ─next─► …      one chain per bucket
//!                      │older
//!                      ▼
//!              version before it, of the same key                               one list per key
//!
//! log:  │ segment: flushed │ segment: sealed │ segment: active ───► appends      addresses grow
//!       └ evicted from here                                    └ tail
//! ```
//! There is one log and one index however often memory is sealed and flushed: a read costs one look-up, not one per
//! memtable. Entries never move. Chains are in falling order of addresses, so that eviction leaves the index alone: the
//! first evicted address ends a chain.
//!
//! # Readers and the writer
//! One writer at a time changes chains; readers lock nothing. A chain holds the newest entry of each of its keys, the
//! others hang below it. To put N, the new version of O's key, the writer
//! 1. appends N, with N.next = the front of the chain and N.older = O,
//! 2. stores N in the bucket's head (release),
//! 3. unlinks O: the entry P before it gets P.next = O.next (release). If O was the front, N.next was O.next from the start.
//!
//! A reader loads the head (acquire) and follows `next`. What can go wrong is that it finds nothing of a key that is there:
//! from an old head it reaches P, and P no longer leads to O. Then it has seen step 3, so a second look at the head
//! sees step 2 or something later, thus another head: it tries again. A miss counts only if the head did not change.
//! What it does find is exact. From a head H it meets the newest entry E of its key up to H; entries after H are not yet
//! visible to it. Versions of the key before E were unlinked before H was published, and come back only by a
//! rollback, which takes away E alone and only if no reader may still ask for it.
//!
//! A rollback takes entries from the newest to the oldest. To take N, which is then the front of its chain, it
//! 1. links N.older at its place in the order of addresses: first its own `next`, then the link that leads to it,
//! 2. stores N.next as the head.
//!
//! So a head can come back, and a reader could take a changed chain for an unchanged one: it loaded H, N came
//! and unlinked O, the reader missed O, N went, the head is H again. Therefore a rollback first counts up `rollbacks`: a
//! reader that sees a head which a rollback stored sees the count as well. A miss counts only if neither has changed.
//! Entries that a rollback took are never linked again and no version is used twice, so no other head comes back.
//!
//! Chunks that a reader needs stay alive: it loads the chunk table after the head, so that the table knows every address that it
//! meets, and holds the table while it reads. Addresses that the table no longer knows were flushed before they were evicted.

mod arena;
mod cursor;
mod evict;
mod index;
mod log;
mod order;
mod rollback;
mod segment;
mod sort;
mod usage;
mod versions;
mod writer;

pub(crate) use arena::{Address, ChunkTable, EntryRef, OrderKey};
pub(crate) use log::{Written, written_by};
pub(crate) use order::Ordered;
pub(crate) use sort::sorted;
pub use usage::Memory;
#[cfg(test)]
pub(crate) use versions::steps_to;

use crate::Version;
use arc_swap::{ArcSwap, Guard};
use index::{Hash, Index};
use order::Runs;
use parking_lot::Mutex;
use segment::Segments;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use usage::Usage;
use writer::Writer;

/// Everything that one shard has in memory.
#[derive(Debug)]
pub(crate) struct Memtable {
    index: Index,
    chunks: ArcSwap<ChunkTable>,
    /// Replaced by the holder of `ordering` alone.
    runs: ArcSwap<Runs>,
    /// How many rollbacks have begun.
    rollbacks: AtomicU64,
    /// Every version above it is in memory, unless it was rolled back. It rises before memory is evicted.
    evicted_through: AtomicU64,
    /// The newest version of which some part was applied.
    applied: AtomicU64,
    usage: Usage,

    // Locks, in the order in which they are taken.
    /// Who writes. Held by no reader.
    writer: Mutex<Writer>,
    /// Who changes `runs`, and who evicts. Never taken by who only applies.
    ordering: Mutex<()>,
    /// The segments that are sealed, oldest first.
    segments: Mutex<Segments>,
}

/// The sizes of things, apart from the defaults so that tests can make them tiny.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Bytes of a segment's first chunk and of its largest ones; each chunk is twice the one before.
    pub(crate) chunk_bytes: Range<usize>,
    /// The memory that the index is made for.
    pub(crate) memory_bytes: usize,
}

impl Shape {
    pub(crate) fn for_memory(memory_bytes: usize) -> Self {
        Shape { chunk_bytes: 64 << 10..4 << 20, memory_bytes }
    }
}

impl Memtable {
    /// An empty one over a backend that holds everything up to `held`.
    pub(crate) fn new(shape: Shape, held: Version) -> Self {
        let index = Index::for_memory(shape.memory_bytes);
        Memtable {
            usage: Usage::new(index.bytes() as u64),
            index,
            chunks: ArcSwap::from_pointee(ChunkTable::new(writer::FIRST_CHUNK)),
            runs: ArcSwap::from_pointee(Runs::new(held)),
            rollbacks: AtomicU64::new(0),
            evicted_through: AtomicU64::new(held),
            applied: AtomicU64::new(held),
            writer: Mutex::new(Writer::new(shape.chunk_bytes, held)),
            ordering: Mutex::new(()),
            segments: Mutex::new(Segments::default()),
        }
    }

    /// Hands the newest entry of `key`, if it has one in memory, to `read`.
    #[inline]
    pub(crate) fn with_newest<R>(
        &self,
        key: &[u8],
        key_hash: u64,
        read: impl FnOnce(&ChunkTable, EntryRef<'_>) -> R,
    ) -> Option<R> {
        let hash = Hash::of(key_hash);
        let bucket = self.index.bucket(hash);
        loop {
            let rollbacks = self.rollbacks.load(Ordering::Acquire);
            let head = bucket.load();
            if !head.may_hold(hash.tag()) {
                return None;
            }
            // After the head, so that it knows the head's chunk.
            let chunks = self.chunks.load();
            let mut next = head.front();
            while let Some(entry) = next.and_then(|address| chunks.entry(address)) {
                if entry.is_of(hash.check(), key) {
                    return Some(read(&chunks, entry));
                }
                next = entry.next();
            }
            if bucket.load() == head && self.rollbacks.load(Ordering::Acquire) == rollbacks {
                return None;
            }
        }
    }

    /// Hands the newest entry of `key` whose version is at most `at`, if memory has one, to `read`.
    #[inline]
    pub(crate) fn with_version<R>(
        &self,
        key: &[u8],
        key_hash: u64,
        at: Version,
        read: impl FnOnce(EntryRef<'_>) -> R,
    ) -> Option<R> {
        self.with_newest(key, key_hash, |chunks, entry| versions::newest_at_most(chunks, entry, at).map(read)).flatten()
    }

    /// The chunks as they are now.
    pub(crate) fn chunks(&self) -> Guard<Arc<ChunkTable>> {
        self.chunks.load()
    }

    /// The same, to be kept.
    pub(crate) fn chunks_full(&self) -> Arc<ChunkTable> {
        self.chunks.load_full()
    }

    /// Every version above it that exists is in memory. To be asked after memory was: it may have grown meanwhile.
    #[inline]
    pub(crate) fn evicted_through(&self) -> Version {
        self.evicted_through.load(Ordering::Acquire)
    }

    /// Entries written since the memtable was made.
    pub(crate) fn writes(&self) -> u64 {
        self.usage.writes()
    }

    pub(crate) fn memory(&self) -> Memory {
        self.usage.memory()
    }
}
