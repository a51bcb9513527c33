//! What a commit will write to the log, made ready by the committing thread: split by shard, packed, checksummed.

use crate::batch::Batch;
use crate::blocks::Block;
use crate::log::{CommitPayload, Frame, Kind, RollbackRecord, payload_checksum};
use crate::shards::Shards;
use crate::{Durability, Error, Result};
use shingle_shard::{OpsBuf, Version};

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
        }
    }

    pub(crate) fn frame(&self, version: Version) -> Frame<'_> {
        Frame { version, kind: self.kind, payload: &self.payload, checksum: self.checksum }
    }
}
