//! Going through the log: what each version wrote, and what is to be flushed.

use super::Memtable;
use super::arena::{Address, ChunkTable, Position};
use super::segment::Flushable;
use crate::Version;
use std::sync::atomic::Ordering::Relaxed;

/// The entries of one version, in the order of keys.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) version: Version,
    pub(crate) entries: Vec<Address>,
    /// Where the entries of later versions begin.
    pub(crate) end: Position,
}

/// What the oldest version that is at least `version` wrote; `from` is a position before it.
pub(crate) fn written_by(chunks: &ChunkTable, from: Position, version: Version) -> Option<Written> {
    let mut later =
        chunks.entries(from, chunks.tail()).filter(|(_, entry)| entry.version() >= version && !entry.is_dead());
    let (first, entry) = later.next()?;
    let mut written = Written { version: entry.version(), entries: vec![first], end: first.position() };
    for (address, entry) in later {
        written.end = address.position();
        if entry.version() != written.version {
            break;
        }
        written.entries.push(address);
    }
    let key = |address: &Address| chunks.entry(*address).map(|entry| entry.key());
    written.entries.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    Some(written)
}

impl Memtable {
    /// The oldest segments that wait to be flushed and have no version above `through`: one, or several of together at most
    /// `bytes_max`.
    pub(crate) fn flushable(&self, through: Version, bytes_max: u64) -> Option<Flushable> {
        self.segments.lock().flushable(through, bytes_max)
    }

    /// The oldest version that is in memory and not flushed.
    pub(crate) fn oldest_unflushed(&self) -> Option<Version> {
        // The active segment first: what is sealed meanwhile is then seen among the sealed.
        let active = self.oldest_active();
        self.segments.lock().oldest_unflushed().or(active)
    }

    /// Notes that the backend has it all, durably.
    pub(crate) fn mark_flushed(&self, flushed: &Flushable) {
        let bytes = self.segments.lock().mark_flushed(flushed);
        self.usage.sealed.fetch_sub(bytes, Relaxed);
    }
}
