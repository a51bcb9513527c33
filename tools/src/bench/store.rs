//! What a benchmark asks of a store. Every store that is measured implements this, so that all run the same code.

use crate::latency::Latencies;
use std::time::Instant;

/// Takes the writes of one block.
pub(crate) trait Writes {
    fn put(&mut self, key: &[u8], value: &[u8]);
}

/// A store under measurement.
pub(crate) trait Store: Sync {
    /// As it stands in the results.
    fn name(&self) -> &'static str;

    /// How it is configured: printed with the results.
    fn configuration(&self) -> Vec<(&'static str, String)>;

    /// Commits what `fill` writes as one atomic block, which is durable when this returns. Heights rise by one.
    fn commit_block(&self, height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()>;

    /// Flushes memory, waits until compaction has nothing left to do, and tells since when that is so.
    fn settle(&self) -> anyhow::Result<Instant>;

    /// Reads of the newest state.
    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>>;

    /// Reads of the state as of `height`; `None` if the store keeps no old versions.
    fn reader_at(&self, height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>>;

    /// A client that commits transactions, and keeps up to `in_flight` of them under way if the store can.
    fn client(&self, in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>>;
}

/// Reads on one thread.
pub(crate) trait Reader {
    /// The length of the key's value, having read it.
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<usize>>;
}

/// Transactions on one thread.
pub(crate) trait Client {
    /// Reads both keys and sets both to `value`, serializably; runs it again after a conflict.
    fn transfer(&mut self, keys: [&[u8]; 2], value: &[u8]) -> anyhow::Result<()>;

    /// Waits for what is under way, and tells what was done.
    fn finish(self: Box<Self>) -> anyhow::Result<Committed>;
}

/// What a client has done.
pub(crate) struct Committed {
    /// From the beginning of a transaction to its durable commit, conflicts included. One entry a transaction.
    pub(crate) latency: Latencies,
    pub(crate) conflicts: u64,
}

impl Committed {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Committed { latency: Latencies::new()?, conflicts: 0 })
    }
}
