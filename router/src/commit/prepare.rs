//! What a commit will write to the log, made ready by the committing thread: split by shard, packed, checksummed.

use crate::batch::Batch;
use crate::blocks::Block;
use crate::log::{CommitPayload, CommitRecord, Frame, Kind, RollbackRecord, payload_checksum};
use crate::shards::Shards;
use crate::{Durability, Error, Result};
use shingle_shard::{Hashed, Version};

/// What a write takes beside its part of the payload. Under way up to 42 B: its hash, and its place in the table of what is in flight, which may be
/// half empty. In the memtable 48 B for its header, and its place in the index.
const WRITE_BYTES: u64 = 80;

/// What a commit takes beside its payload and its writes: itself, its completion, its places in queues, and what the allocator adds. Measured by
/// counting allocations: commits of one write take 340 B beside their payloads, commits of ten take 616 B; with their
/// lists of sections 32 B more.
const COMMIT_BYTES: u64 = 352;

/// A commit before it has its number.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
    checksum: u64,
    /// The hash of every key that the commit writes, in the order of the payload.
    pub(crate) key_hashes: Vec<u64>,
    /// How many writes each section of the payload has.
    ops_of_sections: Vec<usize>,
    pub(crate) block: Option<Block>,
    pub(crate) durability: Durability,
}

/// What a batch writes to one shard.
#[derive(Clone, Copy, Debug, Default)]
struct Section {
    ops: usize,
    bytes: usize,
    number: usize,
    /// Where the next of its hashes goes.
    hashes_end: usize,
}

impl Prepared {
    pub(crate) fn commit(
        shards: &Shards,
        batch: &Batch,
        block: Option<Block>,
        durability: Durability,
        batch_bytes_max: usize,
    ) -> Result<Self> {
        batch.check()?;
        if batch.bytes() > batch_bytes_max {
            return Err(Error::BatchTooLarge { bytes: batch.bytes() as u64, max: batch_bytes_max as u64 });
        }
        let map = shards.map();
        let mut written = vec![Section::default(); shards.all().len()];
        let mut routed = Vec::with_capacity(batch.len());
        for op in batch.ops() {
            let (shard, hash) = shards.number_of(&map, op.key);
            written[shard].ops += 1;
            written[shard].bytes += op.packed_bytes();
            routed.push((hash, shard, op.packed_bytes()));
        }
        // From here on a shard goes by the number of its section.
        let mut sections = Vec::with_capacity(batch.len().min(written.len()));
        let mut hashes_end = 0;
        for (shard, section) in (0..).zip(&mut written).filter(|(_, section)| section.ops > 0) {
            section.number = sections.len();
            section.hashes_end = hashes_end;
            hashes_end += section.ops;
            sections.push((shard, section.bytes));
        }
        let mut key_hashes = vec![0; routed.len()];
        let mut rest = batch.packed();
        let ops = routed.into_iter().map(|(hash, shard, bytes)| {
            let section = &mut written[shard];
            key_hashes[section.hashes_end] = hash;
            section.hashes_end += 1;
            let (op, after) = rest.split_at(bytes);
            rest = after;
            (section.number, op)
        });
        let payload = CommitPayload::encode(block, &sections, ops);
        let ops_of_sections = written.iter().filter(|section| section.ops > 0).map(|section| section.ops).collect();
        let durability = batch.durability().unwrap_or(durability);
        Ok(Prepared {
            kind: Kind::Commit,
            checksum: payload_checksum(&payload),
            payload,
            key_hashes,
            ops_of_sections,
            block,
            durability,
        })
    }

    pub(crate) fn rollback(keep_version: Version, height: u64) -> Self {
        let payload = RollbackRecord { keep_version, height }.encode().to_vec();
        Prepared {
            kind: Kind::Rollback,
            checksum: payload_checksum(&payload),
            payload,
            key_hashes: Vec::new(),
            ops_of_sections: Vec::new(),
            block: None,
            durability: Durability::Sync,
        }
    }

    /// The writes of a commit, by shard.
    pub(crate) fn writes(&self, version: Version) -> impl Iterator<Item = (usize, Hashed<'_>)> {
        let record = match self.kind {
            Kind::Commit => CommitRecord::decode(&self.payload),
            Kind::Rollback | Kind::Close => None,
        };
        let mut hashes = self.key_hashes.as_slice();
        let sections = record.into_iter().flat_map(|record| record.sections()).zip(&self.ops_of_sections);
        sections.map(move |((shard, ops), &count)| {
            let (key_hashes, rest) = hashes.split_at(count);
            hashes = rest;
            (shard as usize, Hashed { version, ops, key_hashes })
        })
    }

    /// What the commit takes from its admission until it is applied, and then at most in the memtables.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.payload.len() as u64 + WRITE_BYTES * self.key_hashes.len() as u64 + COMMIT_BYTES
    }

    pub(crate) fn frame(&self, version: Version) -> Frame<'_> {
        Frame { version, kind: self.kind, payload: &self.payload, checksum: self.checksum }
    }
}
