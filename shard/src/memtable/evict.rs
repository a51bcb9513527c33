//! Giving memory back.

use super::Memtable;
use super::segment::Lifecycle;
use crate::Version;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

impl Memtable {
    /// Drops the oldest segments that are flushed and have no version above `keep_after`, until `want_bytes` are free
    /// or none is left. Returns the bytes that are free once their last reader has gone.
    pub(crate) fn evict(&self, keep_after: Version, want_bytes: u64) -> u64 {
        let _ordering = self.ordering.lock();
        let mut chunk_bytes = 0;
        let mut first_chunk = None;
        let mut through = 0;
        {
            let mut segments = self.segments.lock();
            while chunk_bytes < want_bytes
                && let Some(oldest) = segments.list.front()
                && oldest.state == Lifecycle::Flushed
                && oldest.newest <= keep_after
            {
                chunk_bytes += oldest.chunk_bytes;
                through = through.max(oldest.newest);
                first_chunk = Some(oldest.chunks.end);
                segments.list.pop_front();
            }
        }
        let Some(first_chunk) = first_chunk else { return 0 };
        // 1. Who finds nothing of a version in memory must learn that the backend has it.
        self.evicted_through.fetch_max(through, AcqRel);
        // 2. No run needs the chunks: those left it when they were flushed. Readers that hold an older table keep its chunks until they are done.
        self.chunks.rcu(|chunks| chunks.from(first_chunk));
        self.usage.chunks.fetch_sub(chunk_bytes, Relaxed);
        chunk_bytes
    }
}
