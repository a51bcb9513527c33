//! Handing sealed segments to the backend.

use crate::backend::{RowRef, Run};
use crate::memtable::{Address, ChunkTable, EntryRef, OrderKey, sorted};
use crate::{Result, Shard, Version};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

/// Small segments are flushed together up to this many bytes. The sort takes about a fifth as much beside them.
const RUN_BYTES_MAX: u64 = 64 << 20;

/// So many rows make a spell of work: about half a millisecond. The time that a sleeping thread needs to wake up is little beside it.
const SPELL_ROWS: usize = 512;

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
    ///
    /// `rest` is called after each spell of work, with the time that it took, and may sleep: nothing that others want is locked.
    pub fn flush(&self, through: Version, epoch: u64, rest: &dyn Fn(Duration)) -> Result<Flushed> {
        let _flushing = self.flushing.lock();
        self.memtable.seal_through(through);
        let (mut flushed, spells) = (Flushed::default(), Spells::begin(rest));
        while let Some(segments) = self.memtable.flushable(through, RUN_BYTES_MAX) {
            let chunks = self.memtable.chunks_full();
            let keys = sorted(&chunks, segments.start(), segments.end());
            let applied = self.backend.apply(&MemoryRun::new(chunks, &keys, &spells), segments.through, epoch)?;
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
            let nothing = MemoryRun::new(self.memtable.chunks_full(), &[], &spells);
            self.backend.apply(&nothing, mark, epoch)?;
            self.flushed_through.store(mark, Release);
        }
        flushed.through = self.flushed_through();
        Ok(flushed)
    }
}

/// Work with rests in between.
struct Spells<'a> {
    rest: &'a dyn Fn(Duration),
    /// The present one.
    begun: Cell<Instant>,
    rows: Cell<usize>,
}

impl<'a> Spells<'a> {
    fn begin(rest: &'a dyn Fn(Duration)) -> Self {
        Spells { rest, begun: Cell::new(Instant::now()), rows: Cell::new(0) }
    }

    fn end(&self) {
        (self.rest)(self.begun.get().elapsed());
        self.rows.set(0);
        self.begun.set(Instant::now());
    }

    fn count_row(&self) {
        self.rows.set(self.rows.get() + 1);
        if self.rows.get() == SPELL_ROWS {
            self.end();
        }
    }
}

/// Rows that lie in memory, in both orders, without a copy.
struct MemoryRun<'a> {
    chunks: Arc<ChunkTable>,
    /// By key, then the newest first.
    rows: Vec<Address>,
    /// By version, then by key: the row's index in the lower 32 bits.
    changes: Vec<u64>,
    spells: &'a Spells<'a>,
}

impl<'a> MemoryRun<'a> {
    fn new(chunks: Arc<ChunkTable>, sorted: &[OrderKey], spells: &'a Spells<'a>) -> Self {
        spells.end();
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
        spells.end();
        MemoryRun { chunks, rows, changes, spells }
    }

    fn entry(&self, index: usize) -> EntryRef<'_> {
        self.chunks.entry(self.rows[index]).expect("the run holds the chunks of its rows")
    }
}

/// Rows whose memory is asked for ahead of their turn: they lie scattered over the log.
const LOOKAHEAD: usize = 8;

impl Run for MemoryRun<'_> {
    fn rows(&self) -> Box<dyn Iterator<Item = RowRef<'_>> + '_> {
        Box::new((0..self.rows.len()).map(|index| {
            if let Some(ahead) = self.rows.get(index + LOOKAHEAD) {
                self.chunks.prefetch(*ahead);
            }
            self.spells.count_row();
            let entry = self.entry(index);
            RowRef { key: entry.key(), version: entry.version(), value: entry.value() }
        }))
    }

    fn changes(&self) -> Box<dyn Iterator<Item = (Version, &[u8])> + '_> {
        Box::new(self.changes.iter().enumerate().map(|(at, change)| {
            if let Some(ahead) = self.changes.get(at + LOOKAHEAD) {
                self.chunks.prefetch(self.rows[*ahead as u32 as usize]);
            }
            self.spells.count_row();
            let entry = self.entry(*change as u32 as usize);
            (entry.version(), entry.key())
        }))
    }
}
