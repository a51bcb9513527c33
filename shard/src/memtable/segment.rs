//! Segments: what other stores call memtables. Runs of whole chunks with whole versions, flushed and evicted as one.

use super::arena::Position;
use crate::Version;
use std::collections::VecDeque;
use std::ops::Range;

/// What a segment is waiting for. Before it is sealed a segment is the active one, and the writer's; after it is evicted
/// nothing of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    /// Complete, and to be flushed.
    Sealed,
    /// In the backend, and still readable until memory is needed.
    Flushed,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Numbers of its chunks.
    pub(super) chunks: Range<u32>,
    pub(super) oldest: Version,
    pub(super) newest: Version,
    /// Bytes of entries.
    pub(super) used_bytes: u64,
    /// Bytes of its chunks.
    pub(super) chunk_bytes: u64,
    pub(super) state: Lifecycle,
}

/// The sealed segments, oldest first: the flushed ones come before the others.
#[derive(Debug, Default)]
pub(super) struct Segments {
    pub(super) list: VecDeque<Segment>,
}

/// Sealed segments that can be flushed as one run.
#[derive(Clone, Debug)]
pub(crate) struct Flushable {
    pub(super) chunks: Range<u32>,
    /// Everything up to this version is in the backend once the run is.
    pub(crate) through: Version,
    /// How many of them.
    pub(super) segments: usize,
}

impl Segments {
    fn sealed(&self) -> impl Iterator<Item = &Segment> {
        self.list.iter().filter(|segment| segment.state == Lifecycle::Sealed)
    }

    /// The oldest sealed segments with no version above `through`: one, or more while they have at most `bytes_max` together.
    /// `None`: no version up to `through` is waiting in a segment that could be flushed.
    pub(super) fn flushable(&self, through: Version, bytes_max: u64) -> Option<Flushable> {
        let mut bytes = 0;
        let mut found: Option<Flushable> = None;
        for segment in self.sealed().take_while(|segment| segment.newest <= through) {
            bytes += segment.used_bytes;
            match &mut found {
                Some(_) if bytes > bytes_max => break,
                Some(found) => {
                    found.chunks.end = segment.chunks.end;
                    found.through = segment.newest;
                    found.segments += 1;
                }
                None => {
                    found = Some(Flushable { chunks: segment.chunks.clone(), through: segment.newest, segments: 1 });
                }
            }
        }
        found
    }

    /// The oldest version that is sealed and not flushed.
    pub(super) fn oldest_unflushed(&self) -> Option<Version> {
        self.sealed().map(|segment| segment.oldest).next()
    }

    /// Marks what was flushed, and returns its bytes.
    pub(super) fn mark_flushed(&mut self, flushed: &Flushable) -> u64 {
        let segments = self.list.iter_mut().filter(|segment| segment.state == Lifecycle::Sealed).take(flushed.segments);
        segments.fold(0, |bytes, segment| {
            segment.state = Lifecycle::Flushed;
            bytes + segment.used_bytes
        })
    }
}

impl Flushable {
    pub(crate) fn start(&self) -> Position {
        Position::of_chunk(self.chunks.start)
    }

    pub(crate) fn end(&self) -> Position {
        Position::of_chunk(self.chunks.end)
    }
}
