//! The writer: appends entries and links them into their chains. The protocol with readers stands in the module's head.

use super::Memtable;
use super::arena::{ChunkTable, ChunkWriter, EntryRef, NewEntry, entry_bytes};
use super::index::Hash;
use super::segment::{Lifecycle, Segment};
use super::versions::Lineage;
use crate::{Hashed, Op, Ops, Version, key_hash};
use std::ops::Range;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// The number of the first chunk of all: 0 would make an address of 0, which stands for none.
pub(super) const FIRST_CHUNK: u32 = 1;

/// Writes that are hashed, and whose memory is asked for, ahead of their turn.
const LOOKAHEAD: usize = 16;

#[derive(Debug)]
pub(super) struct Writer {
    /// The chunk that is appended to; `None` until the segment's first write.
    chunk: Option<ChunkWriter>,
    next_chunk: u32,
    next_chunk_bytes: usize,
    chunk_bytes: Range<usize>,
    /// Versions up to this are in the backend since before the memtable was made: writing them again is left out.
    held: Version,
    /// The newest version that was written.
    pub(super) version: Version,
    /// Entries written since the memtable was made.
    writes: u64,
    active: Active,
}

/// The active segment.
#[derive(Debug, Default)]
struct Active {
    /// The number of its first chunk.
    first_chunk: Option<u32>,
    oldest: Version,
    newest: Version,
    used_bytes: u64,
    chunk_bytes: u64,
}

impl Writer {
    pub(super) fn new(chunk_bytes: Range<usize>, held: Version) -> Self {
        Writer {
            chunk: None,
            next_chunk: FIRST_CHUNK,
            next_chunk_bytes: chunk_bytes.start,
            chunk_bytes,
            held,
            version: held,
            writes: 0,
            active: Active::default(),
        }
    }

    /// Makes it forget versions above `keep`.
    pub(super) fn roll_back(&mut self, keep: Version) {
        self.held = self.held.min(keep);
        self.active.oldest = self.active.oldest.min(keep);
        self.active.newest = self.active.newest.min(keep);
    }
}

/// One write on its way into the log.
#[derive(Clone, Copy)]
struct Write<'a> {
    version: Version,
    op: Op<'a>,
    hash: Hash,
}

impl Memtable {
    /// Writes `ops`. Versions never fall; one may come in several calls.
    pub(crate) fn apply(&self, version: Version, ops: Ops<'_>) {
        self.write(ops.map(|op| Write { version, op, hash: Hash::of(key_hash(op.key)) }));
    }

    /// The same for several versions.
    pub(crate) fn apply_hashed<'a>(&self, versions: impl Iterator<Item = Hashed<'a>>) {
        self.write(versions.flat_map(|Hashed { version, ops, key_hashes }| {
            ops.zip(key_hashes).map(move |(op, &hash)| Write { version, op, hash: Hash::of(hash) })
        }));
    }

    fn write<'a>(&self, writes: impl Iterator<Item = Write<'a>>) {
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        let held = writer.held;
        let mut writes = writes.filter(|write| write.version > held);
        let mut chunks = self.chunks.load();
        let none = Write { version: 0, op: Op { key: &[], value: None }, hash: Hash::of(0) };
        let mut batch = [none; LOOKAHEAD];
        loop {
            let mut len = 0;
            for (slot, write) in batch.iter_mut().zip(&mut writes) {
                self.index.prefetch(write.hash);
                *slot = write;
                len += 1;
            }
            if len == 0 {
                break;
            }
            for write in &batch[..len] {
                let head = self.index.bucket(write.hash).load();
                if let Some(front) = head.front().filter(|_| head.may_hold(write.hash.tag())) {
                    chunks.prefetch(front);
                }
            }
            for &Write { version, op, hash } in &batch[..len] {
                if version != writer.version {
                    debug_assert!(version >= writer.version, "version {version} comes after {}", writer.version);
                    writer.version = version;
                    // Before the first entry is published: who sees an entry knows that its version may be incomplete.
                    self.applied.store(version, Release);
                }
                let bytes = entry_bytes(op.key.len(), op.value.map_or(0, <[u8]>::len));
                if !writer.chunk.as_ref().is_some_and(|chunk| chunk.fits(bytes)) {
                    self.add_chunk(writer, bytes, version);
                    chunks = self.chunks.load();
                }
                let chunk = writer.chunk.as_mut().expect("added above");
                self.insert(&chunks, chunk, version, op, hash);
                writer.active.used_bytes += bytes as u64;
                writer.active.newest = version;
                writer.writes += 1;
            }
        }
        self.usage.active.store(writer.active.used_bytes, Relaxed);
        self.usage.writes.store(writer.writes, Relaxed);
    }

    #[inline]
    fn insert(&self, chunks: &ChunkTable, writer: &mut ChunkWriter, version: Version, op: Op<'_>, hash: Hash) {
        let bucket = self.index.bucket(hash);
        let head = bucket.load();
        let front = head.front().and_then(|address| Some((address, chunks.entry(address)?)));
        let found = front.filter(|_| head.may_hold(hash.tag())).and_then(|(mut address, mut entry)| {
            let mut before: Option<EntryRef<'_>> = None;
            loop {
                if entry.is_of(hash.check(), op.key) {
                    return Some((before, address, entry));
                }
                before = Some(entry);
                address = entry.next()?;
                entry = chunks.entry(address)?;
            }
        });
        let lineage = match found {
            Some((_, _, old)) if old.version() == version => Lineage::of(old),
            Some((_, address, old)) => Lineage::above(chunks, address, old),
            None => Lineage::default(),
        };
        let next = match found {
            Some((None, _, old)) => old.next(),
            _ => front.map(|(address, _)| address),
        };
        let address = writer.append(&NewEntry {
            next,
            older: lineage.older,
            express: lineage.express,
            version,
            hash: hash.check(),
            depth: lineage.depth,
            key: op.key,
            value: op.value,
        });
        // An evicted chain is forgotten with its tag, or tags would fill up for good.
        let head = if front.is_some() { head } else { super::arena::Head::EMPTY };
        bucket.store(head.pushed(hash.tag(), address));
        if let Some((before, _, old)) = found {
            // Only now, with the new entry published: see the module's head.
            if let Some(before) = before {
                before.set_next(old.next());
            }
            if old.version() == version {
                old.kill();
            }
        }
    }

    /// Begins a chunk with room for an entry of `bytes`, and publishes it.
    #[cold]
    fn add_chunk(&self, writer: &mut Writer, bytes: usize, version: Version) {
        let chunk = ChunkWriter::new(writer.next_chunk, writer.next_chunk_bytes.max(bytes), version);
        writer.next_chunk = writer.next_chunk.checked_add(1).expect("2^32 chunks of 4 MiB are 16 PiB of writes");
        writer.next_chunk_bytes = (writer.next_chunk_bytes * 2).min(writer.chunk_bytes.end);
        self.chunks.rcu(|chunks| chunks.with(&chunk));

        let active = &mut writer.active;
        if active.first_chunk.is_none() {
            active.first_chunk = Some(chunk.number());
            active.oldest = version;
        }
        active.chunk_bytes += chunk.bytes() as u64;
        self.usage.chunks.fetch_add(chunk.bytes() as u64, Relaxed);
        writer.chunk = Some(chunk);
    }

    /// Ends the active segment, if it has an entry. The newest version must be complete.
    pub(crate) fn seal(&self) {
        self.seal_through(Version::MAX);
    }

    /// The same, if no version above `through` is in it.
    pub(crate) fn seal_through(&self, through: Version) {
        let mut writer = self.writer.lock();
        if writer.active.newest > through {
            return;
        }
        let Some(first) = writer.active.first_chunk else { return };
        let active = std::mem::take(&mut writer.active);
        writer.chunk = None;
        writer.next_chunk_bytes = writer.chunk_bytes.start;
        let segment = Segment {
            chunks: first..writer.next_chunk,
            oldest: active.oldest,
            newest: active.newest,
            used_bytes: active.used_bytes,
            chunk_bytes: active.chunk_bytes,
            state: Lifecycle::Sealed,
        };
        self.usage.sealed.fetch_add(segment.used_bytes, Relaxed);
        self.usage.active.store(0, Relaxed);
        self.segments.lock().list.push_back(segment);
    }

    /// The oldest version that is in the active segment, if there is one.
    pub(crate) fn oldest_active(&self) -> Option<Version> {
        let writer = self.writer.lock();
        writer.active.first_chunk.map(|_| writer.active.oldest)
    }
}
