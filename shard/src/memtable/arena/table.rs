//! The chunks that are in memory: an immutable list, replaced whole.

#![expect(unsafe_code, reason = "an address becomes a reference here, and nowhere else")]

use super::address::{Address, Position};
use super::chunk::{Chunk, ChunkWriter};
use super::entry::EntryRef;
use super::prefetch::prefetch;
use crate::Version;
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes that a processor's cache loads at once.
const LINE_BYTES: usize = 64;

/// The lines of an entry with a key of 32 bytes and a value of 100.
const ENTRY_LINES: usize = 3;

/// A chunk, and its base beside it: one load less on the way to an entry.
#[derive(Clone, Debug)]
struct Mapped {
    base: NonNull<u8>,
    chunk: Arc<Chunk>,
}

/// All chunks from the oldest in memory to the newest, without a gap in their numbers. What it holds stays alive as long
/// as it does.
#[derive(Clone, Debug)]
pub(crate) struct ChunkTable {
    /// The number of the first chunk: older addresses are evicted.
    first: u32,
    chunks: Vec<Mapped>,
}

// SAFETY: `base` is the base of the chunk beside it, which may be sent and shared.
unsafe impl Send for ChunkTable {}
// SAFETY: as above.
unsafe impl Sync for ChunkTable {}

impl ChunkTable {
    pub(crate) fn new(first: u32) -> Self {
        ChunkTable { first, chunks: Vec::new() }
    }

    /// This table and one chunk more.
    pub(crate) fn with(&self, writer: &ChunkWriter) -> Self {
        let chunk = Arc::clone(writer.chunk());
        assert_eq!(chunk.number as usize, self.first as usize + self.chunks.len(), "numbers follow one another");
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        chunks.extend_from_slice(&self.chunks);
        chunks.push(Mapped { base: chunk.base(), chunk });
        ChunkTable { first: self.first, chunks }
    }

    /// This table without the chunks below `first`.
    pub(crate) fn from(&self, first: u32) -> Self {
        let gone = first.saturating_sub(self.first) as usize;
        ChunkTable { first: first.max(self.first), chunks: self.chunks[gone.min(self.chunks.len())..].to_vec() }
    }

    /// Where the oldest entry in memory lies, or later ones will.
    pub(crate) fn start(&self) -> Position {
        Position::of_chunk(self.first)
    }

    /// The end of what is published.
    pub(crate) fn tail(&self) -> Position {
        self.chunks.last().map_or(self.start(), |mapped| mapped.chunk.end())
    }

    /// The entry at `address`; `None` if it is evicted. The table must be loaded after the address.
    #[inline]
    pub(crate) fn entry(&self, address: Address) -> Option<EntryRef<'_>> {
        let base = self.chunks.get(address.chunk().wrapping_sub(self.first) as usize)?.base;
        // SAFETY: an address is that of a published entry of its memtable, whose tables never mix with another's; the chunk with
        // that number is alive as long as `self`.
        Some(unsafe { EntryRef::at(base.add(address.offset())) })
    }

    /// Asks the processor for the entry's header and key, and most often its value.
    #[inline]
    pub(crate) fn prefetch(&self, address: Address) {
        if let Some(mapped) = self.chunks.get(address.chunk().wrapping_sub(self.first) as usize) {
            let place = mapped.base.as_ptr().wrapping_add(address.offset());
            for line in 0..ENTRY_LINES {
                prefetch(place.wrapping_add(line * LINE_BYTES));
            }
        }
    }

    /// The published entries between two positions, oldest first. Positions are where an entry begins or chunks end.
    pub(crate) fn entries(&self, from: Position, to: Position) -> impl Iterator<Item = (Address, EntryRef<'_>)> {
        let from = from.max(self.start());
        let skip = from.chunk().saturating_sub(self.first) as usize;
        self.chunks.iter().skip(skip).take_while(move |mapped| mapped.chunk.number <= to.chunk()).flat_map(
            move |mapped| {
                let number = mapped.chunk.number;
                let begin = if number == from.chunk() { from.offset() } else { 0 };
                let end = if number == to.chunk() { to.offset() } else { usize::MAX };
                mapped.chunk.entries(begin, end)
            },
        )
    }

    /// A position before every entry whose version is at least `version`, and at most a chunk before the first of them.
    pub(crate) fn before_version(&self, version: Version) -> Position {
        let index = self.chunks.partition_point(|mapped| mapped.chunk.first_version < version);
        Position::of_chunk(self.first + index.saturating_sub(1) as u32)
    }

    /// The chunks, newest first, each as the positions of its start and end.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (Position, Position)> {
        self.chunks.iter().rev().map(|mapped| (Position::of_chunk(mapped.chunk.number), mapped.chunk.end()))
    }
}
