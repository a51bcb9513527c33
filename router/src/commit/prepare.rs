//! What a commit will write to the log, made ready by the committing thread: split by shard, packed, checksummed.

use crate::batch::Batch;
use crate::blocks::Block;
use crate::log::{CommitPayload, Frame, Kind, RollbackRecord, payload_checksum};
use crate::shards::Shards;
use crate::{Durability, Error, Result};
use shingle_shard::{OpsBuf, Version};
use std::time::Instant;

/// What a write takes beside its part of the payload. Under way up to 42 B: its hash, and its place in the table of what is in flight, which may be
/// half empty. In the memtable 48 B for its header, and its place in the index.
const WRITE_BYTES: u64 = 80;

/// What a commit takes beside its payload and its writes: itself, its completion, its places in queues, and what the allocator adds. Measured by
/// counting allocations: commits of one write take 340 B beside their payloads, commits of ten take 616 B.
const COMMIT_BYTES: u64 = 320;

/// A commit before it has its number.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
    checksum: u64,
    /// The hash of every key that the commit writes.
    pub(crate) key_hashes: Vec<u64>,
    pub(crate) block: Option<Block>,
    pub(crate) durability: Durability,
    /// When its author asked for it.
    pub(crate) begun: Instant,
    /// Whether it ends a transaction.
    pub(crate) is_transaction: bool,
}

impl Prepared {
    pub(crate) fn commit(
        shards: &Shards,
        batch: &Batch,
        block: Option<Block>,
        durability: Durability,
        batch_bytes_max: usize,
    ) -> Result<Self> {
        let begun = Instant::now();
        batch.check()?;
        if batch.bytes() > batch_bytes_max {
            return Err(Error::BatchTooLarge { bytes: batch.bytes() as u64, max: batch_bytes_max as u64 });
        }
        let map = shards.map();
        let mut key_hashes = Vec::with_capacity(batch.len());
        let mut sections: Vec<OpsBuf> = vec![OpsBuf::default(); shards.all().len()];
        for op in batch.ops() {
            let (shard, hash) = shards.number_of(&map, op.key);
            key_hashes.push(hash);
            sections[shard].push(op);
        }
        let written =
            (0..).zip(&sections).map(|(shard, ops)| (shard, ops.as_bytes())).filter(|(_, ops)| !ops.is_empty());
        let payload = CommitPayload::encode(block, written);
        let durability = batch.durability().unwrap_or(durability);
        Ok(Prepared {
            kind: Kind::Commit,
            checksum: payload_checksum(&payload),
            payload,
            key_hashes,
            block,
            durability,
            begun,
            is_transaction: false,
        })
    }

    pub(crate) fn rollback(keep_version: Version, height: u64) -> Self {
        let payload = RollbackRecord { keep_version, height }.encode().to_vec();
        Prepared {
            kind: Kind::Rollback,
            checksum: payload_checksum(&payload),
            payload,
            key_hashes: Vec::new(),
            block: None,
            durability: Durability::Sync,
            begun: Instant::now(),
            is_transaction: false,
        }
    }

    /// What the commit takes from its admission until it is applied, and then at most in the memtables.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.payload.len() as u64 + WRITE_BYTES * self.key_hashes.len() as u64 + COMMIT_BYTES
    }

    pub(crate) fn frame(&self, version: Version) -> Frame<'_> {
        Frame { version, kind: self.kind, payload: &self.payload, checksum: self.checksum }
    }
}
