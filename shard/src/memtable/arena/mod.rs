//! The memory of a memtable: a log of entries in chunks, and addresses that stand for them.
//!
//! All unsafe code of the memtable is here and in the allocation of its index. What it rests on:
//! 1. An [`Address`] is made by an append alone, and belongs to one memtable.
//! 2. An entry is written whole before its address is published with release, and only its link and its dead mark change
//!    after that, both atomic.
//! 3. A chunk lives as long as any [`ChunkTable`] that lists it; an [`EntryRef`] borrows the table that it came from.

mod address;
mod chunk;
mod entry;
mod prefetch;
mod table;

pub(crate) use address::{Address, AtomicHead, Head, OrderKey, Position};
pub(crate) use chunk::ChunkWriter;
pub(crate) use entry::{EntryRef, NewEntry, entry_bytes};
pub(crate) use prefetch::prefetch;
pub(crate) use table::ChunkTable;
