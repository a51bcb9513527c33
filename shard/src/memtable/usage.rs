//! How much memory a shard's memtable takes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much memory a shard takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of entries that were not sealed yet.
    pub active_bytes: u64,
    /// Bytes of entries that were not flushed yet, the active ones among them.
    pub unflushed_bytes: u64,
    /// Bytes of all chunks whether full or not, of the index and of what keeps the order of keys.
    pub total_bytes: u64,
}

/// The figures behind [`Memory`]. They are exact at rest; each may be a moment ahead of another.
#[derive(Debug)]
pub(super) struct Usage {
    index_bytes: u64,
    pub(super) active: AtomicU64,
    /// Entries written.
    pub(super) writes: AtomicU64,
    /// Sealed and not flushed.
    pub(super) sealed: AtomicU64,
    pub(super) chunks: AtomicU64,
    pub(super) runs: AtomicU64,
}

impl Usage {
    pub(super) fn new(index_bytes: u64) -> Self {
        Usage {
            index_bytes,
            active: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            sealed: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            runs: AtomicU64::new(0),
        }
    }

    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Relaxed)
    }

    pub(super) fn memory(&self) -> Memory {
        let active_bytes = self.active.load(Relaxed);
        Memory {
            active_bytes,
            unflushed_bytes: active_bytes + self.sealed.load(Relaxed),
            total_bytes: self.index_bytes + self.chunks.load(Relaxed) + self.runs.load(Relaxed),
        }
    }
}
