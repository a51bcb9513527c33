//! Handing sealed segments to the backend.

use crate::backend::{RowRef, Run};
use crate::memtable::{Address, ChunkTable, EntryRef, OrderKey, sorted};
use crate::{Result, Shard, Version};
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;

/// Small segments are flushed together up to this many bytes. The sort takes about a fifth as much beside them.
const RUN_BYTES_MAX: u64 = 64 << 20;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Rows written.
    pub keys: u64,
    /// Bytes written.
    pub bytes: u64,
    /// The version through which everything is durable now.
    pub through: Version,
}

impl Shard {
    /// Writes every segment that has no version above `through` to the backend; the active one, if it is such, is sealed.
    /// Every version up to `through` must be applied, and durable in the log. What fails is kept, and tried again next time.
    pub fn flush(&self, through: Version, epoch: u64) -> Result<Flushed> {
        let _flushing = self.flushing.lock();
        self.memtable.seal_through(through);
        let mut flushed = Flushed::default();
        while let Some(segments) = self.memtable.flushable(through, RUN_BYTES_MAX) {
            let chunks = self.memtable.chunks_full();
            let keys = sorted(&chunks, segments.start(), segments.end());
            let applied = self.backend.apply(&MemoryRun::new(chunks, &keys), segments.through, epoch)?;
            // Before it may be evicted: no order leads to what is gone.
            self.memtable.release_order(&segments);
            self.memtable.mark_flushed(&segments);
            self.flushed_through.fetch_max(segments.through, Release);
            flushed.keys += applied.rows;
            flushed.bytes += applied.bytes;
        }
        // Versions that wrote nothing here are as durable as the others.
        let mark = self.memtable.oldest_unflushed().map_or(through, |oldest| through.min(oldest.saturating_sub(1)));
        if mark > self.flushed_through() {
            self.backend.apply(&MemoryRun::new(self.memtable.chunks_full(), &[]), mark, epoch)?;
            self.flushed_through.store(mark, Release);
        }
        flushed.through = self.flushed_through();
        Ok(flushed)
    }
}

/// Rows that lie in memory, in both orders, without a copy.
struct MemoryRun {
    chunks: Arc<ChunkTable>,
    /// By key, then the newest first.
    rows: Vec<Address>,
    /// By version, then by key: the row's index in the lower 32 bits.
    changes: Vec<u64>,
}

impl MemoryRun {
    fn new(chunks: Arc<ChunkTable>, sorted: &[OrderKey]) -> Self {
        let rows: Vec<_> = sorted.iter().map(|key| key.address()).collect();
        let version = |address: &Address| chunks.entry(*address).map_or(0, EntryRef::version);
        // The first and the last in the log: versions never fall along it.
        let (oldest, newest) = (rows.iter().min().map_or(0, version), rows.iter().max().map_or(0, version));
        let mut changes: Vec<u64>;
        if newest - oldest <= u64::from(u32::MAX) {
            // How far the version is above the oldest, in the upper 32 bits: then they sort without a look at the rows.
            let change = |(row, index): (&Address, u64)| {
                rows.get(index as usize + LOOKAHEAD).into_iter().for_each(|ahead| chunks.prefetch(*ahead));
                ((version(row) - oldest) << 32) | index
            };
            changes = rows.iter().zip(0..).map(change).collect();
            changes.sort_unstable();
        } else {
            // A shard that was hardly written to while others were.
            changes = (0..rows.len() as u64).collect();
            changes.sort_by_key(|&index| version(&rows[index as usize]));
        }
        MemoryRun { chunks, rows, changes }
    }

    fn entry(&self, index: usize) -> EntryRef<'_> {
        self.chunks.entry(self.rows[index]).expect("the run holds the chunks of its rows")
    }
}

/// Rows whose memory is asked for ahead of their turn: they lie scattered over the log.
const LOOKAHEAD: usize = 8;

impl Run for MemoryRun {
    fn rows(&self) -> Box<dyn Iterator<Item = RowRef<'_>> + '_> {
        Box::new((0..self.rows.len()).map(|index| {
            if let Some(ahead) = self.rows.get(index + LOOKAHEAD) {
                self.chunks.prefetch(*ahead);
            }
            let entry = self.entry(index);
            RowRef { key: entry.key(), version: entry.version(), value: entry.value() }
        }))
    }

    fn changes(&self) -> Box<dyn Iterator<Item = (Version, &[u8])> + '_> {
        Box::new(self.changes.iter().enumerate().map(|(at, change)| {
            if let Some(ahead) = self.changes.get(at + LOOKAHEAD) {
                self.chunks.prefetch(self.rows[*ahead as u32 as usize]);
            }
            let entry = self.entry(*change as u32 as usize);
            (entry.version(), entry.key())
        }))
    }
}
