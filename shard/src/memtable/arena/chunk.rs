//! A chunk: a piece of the log in one allocation. Entries are appended to it, never moved, and go with it.

#![expect(unsafe_code, reason = "a chunk hands out raw memory that is written once and then shared")]

use super::address::{Address, CHUNK_BYTES_MAX, Position};
use super::entry::{EntryRef, NewEntry, entry_bytes};
use crate::Version;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const ALIGN: usize = 64;

#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) number: u32,
    /// The version of its first entry.
    pub(super) first_version: Version,
    base: NonNull<u8>,
    bytes: usize,
    /// How many bytes hold published entries, one after the other.
    used: AtomicUsize,
}

// SAFETY: the memory belongs to the chunk alone. Bytes below `used` never change after the release that published them, but
// for atomics; bytes above it are touched by the chunk's one writer alone.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, ALIGN).expect("a chunk has at most CHUNK_BYTES_MAX bytes")
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// The end of what is published.
    pub(super) fn end(&self) -> Position {
        Position::new(self.number, self.used())
    }

    /// The published entries from `offset` on that start before `end`.
    pub(super) fn entries(&self, mut offset: usize, end: usize) -> impl Iterator<Item = (Address, EntryRef<'_>)> {
        let used = self.used().min(end);
        std::iter::from_fn(move || {
            (offset < used).then(|| {
                // SAFETY: below `used` entry follows entry from 0 on, and `offset` is where one begins: the callers' positions
                // are ends of what was published, and each step below leads to the next entry.
                let entry = unsafe { EntryRef::at(self.base.add(offset)) };
                let address = Address::new(self.number, offset);
                offset += entry.bytes();
                (address, entry)
            })
        })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `ChunkWriter::new`; entries own nothing.
        unsafe { dealloc(self.base.as_ptr(), Chunk::layout(self.bytes)) }
    }
}

/// The right to append to a chunk: there is one for each.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    chunk: Arc<Chunk>,
    used: usize,
}

impl ChunkWriter {
    /// A new chunk with room for `bytes`; its number was never used before.
    pub(crate) fn new(number: u32, bytes: usize, first_version: Version) -> Self {
        assert!(number > 0 && bytes > 0 && bytes <= CHUNK_BYTES_MAX, "a chunk of {bytes} bytes");
        let layout = Chunk::layout(bytes);
        // SAFETY: the layout's size is not 0.
        let base = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        let chunk = Chunk { number, first_version, base, bytes, used: AtomicUsize::new(0) };
        ChunkWriter { chunk: Arc::new(chunk), used: 0 }
    }

    pub(super) fn chunk(&self) -> &Arc<Chunk> {
        &self.chunk
    }

    pub(crate) fn bytes(&self) -> usize {
        self.chunk.bytes
    }

    pub(crate) fn number(&self) -> u32 {
        self.chunk.number
    }

    #[inline]
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.chunk.bytes - self.used >= bytes
    }

    /// Appends and publishes `entry`, which must fit.
    #[inline]
    pub(crate) fn append(&mut self, entry: &NewEntry<'_>) -> Address {
        let offset = self.used;
        let bytes = entry_bytes(entry.key.len(), entry.value.map_or(0, <[u8]>::len));
        assert!(self.fits(bytes), "the caller saw that it fits");
        // SAFETY: the bytes lie within the chunk and above `used`, where only this writer goes; offsets are multiples of 8.
        unsafe { EntryRef::write(self.chunk.base.add(offset), entry) };
        self.used = offset + bytes;
        // Release: whoever sees the new end sees the entry.
        self.chunk.used.store(self.used, Ordering::Release);
        Address::new(self.chunk.number, offset)
    }
}
