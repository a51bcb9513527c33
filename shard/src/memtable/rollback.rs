//! Taking back the newest versions. The protocol with readers stands in the module's head.

use super::Memtable;
use super::arena::{Address, ChunkTable, EntryRef};
use super::index::Hash;
use crate::{Version, key_hash};
use std::sync::atomic::Ordering::{AcqRel, Release};

impl Memtable {
    /// Removes every version above `keep`, and returns how many entries went. Nobody may read above `keep` meanwhile.
    pub(crate) fn roll_back(&self, keep: Version) -> u64 {
        let mut writer = self.writer.lock();
        // Before the first head changes.
        self.rollbacks.fetch_add(1, AcqRel);
        let chunks = self.chunks.load_full();
        let mut removed = 0;
        for (start, end) in chunks.newest_first() {
            let above: Vec<_> = chunks.entries(start, end).filter(|(_, entry)| entry.version() > keep).collect();
            // Versions never fall along the log.
            if above.is_empty() && start != end {
                break;
            }
            for &(address, entry) in above.iter().rev().filter(|(_, entry)| !entry.is_dead()) {
                self.take(&chunks, address, entry);
                removed += 1;
            }
        }
        writer.roll_back(keep);
        for segment in &mut self.segments.lock().list {
            segment.oldest = segment.oldest.min(keep);
            segment.newest = segment.newest.min(keep);
        }
        // Nothing above `keep` exists any more, so nothing of it is missing.
        self.evicted_through.fetch_min(keep, AcqRel);
        self.applied.store(writer.version, Release);
        removed
    }

    /// Takes the newest entry of a chain out of it.
    fn take(&self, chunks: &ChunkTable, address: Address, entry: EntryRef<'_>) {
        let bucket = self.index.bucket(Hash::of(key_hash(entry.key())));
        let head = bucket.load();
        debug_assert_eq!(head.front(), Some(address), "whatever was newer is gone");
        if let Some((older_address, older)) = entry.older().and_then(|older| Some((older, chunks.entry(older)?))) {
            let mut before = entry;
            while let Some(next) =
                before.next().filter(|next| *next > older_address).and_then(|next| chunks.entry(next))
            {
                before = next;
            }
            older.set_next(before.next());
            before.set_next(Some(older_address));
        }
        bucket.store(head.popped(entry.next()));
        entry.kill();
    }
}
