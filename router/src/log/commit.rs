//! What the log's records carry: the payloads of [`Kind::Commit`](super::Kind::Commit) and
//! [`Kind::Rollback`](super::Kind::Rollback).
//!
//! ```text
//! commit   := has block (u32, 0 or 1) │ sections (u32) │ [height (u64) │ timestamp in ms (u64)] │ section…
//! section  := shard (u32) │ 0 (u32) │ bytes of ops (u64) │ ops, as shingle_shard::OpsBuf packs them
//! rollback := version that is kept (u64) │ height that is kept (u64)
//! ```
//! All numbers are little-endian. Written to disk: a change here is a change of format.

use crate::blocks::Block;
use crate::encoding::{take_u32, take_u64};
use shingle_shard::{Ops, Version};
use std::ops::Range;

/// Builds the payload of a commit.
#[derive(Debug)]
pub(crate) struct CommitPayload;

impl CommitPayload {
    /// `sections` are the shards written and the bytes of each one's packed writes; `ops` are the writes in the order of the sections. Each is copied
    /// once, to where it stands in the log. `placed` is told where in the payload the writes of each section are.
    pub(crate) fn encode<'a>(
        block: Option<Block>,
        sections: &[(u32, usize)],
        mut ops: impl Iterator<Item = &'a [u8]>,
        mut placed: impl FnMut(Range<usize>),
    ) -> Vec<u8> {
        let block_bytes = if block.is_some() { BLOCK_BYTES } else { 0 };
        let ops_bytes: usize = sections.iter().map(|&(_, bytes)| bytes).sum();
        let mut payload = Vec::with_capacity(HEADER_BYTES + block_bytes + sections.len() * SECTION_BYTES + ops_bytes);
        payload.extend_from_slice(&u32::from(block.is_some()).to_le_bytes());
        payload.extend_from_slice(&(sections.len() as u32).to_le_bytes());
        if let Some(block) = block {
            payload.extend_from_slice(&block.height.to_le_bytes());
            payload.extend_from_slice(&block.timestamp_ms.to_le_bytes());
        }
        for &(shard, bytes) in sections {
            payload.extend_from_slice(&shard.to_le_bytes());
            payload.extend_from_slice(&0u32.to_le_bytes());
            payload.extend_from_slice(&(bytes as u64).to_le_bytes());
            let (begin, end) = (payload.len(), payload.len() + bytes);
            while payload.len() < end
                && let Some(op) = ops.next()
            {
                payload.extend_from_slice(op);
            }
            debug_assert_eq!(payload.len(), end, "a section's bytes are those of its writes");
            placed(begin..end);
        }
        payload
    }
}

const HEADER_BYTES: usize = 8;
const BLOCK_BYTES: usize = 16;
const SECTION_BYTES: usize = 16;

/// A commit as it stands in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitRecord<'a> {
    /// The block that the commit seals, if it does.
    pub(crate) block: Option<Block>,
    sections: Sections<'a>,
}

impl<'a> CommitRecord<'a> {
    /// `None` if the payload is not one that [`CommitPayload::encode`] builds. The writes in it are not checked:
    /// that is [`Ops::count_if_sound`].
    pub(crate) fn decode(payload: &'a [u8]) -> Option<Self> {
        let mut rest = payload;
        let has_block = take_u32(&mut rest)?;
        let count = take_u32(&mut rest)?;
        let block = match has_block {
            0 => None,
            1 => Some(Block { height: take_u64(&mut rest)?, timestamp_ms: take_u64(&mut rest)? }),
            _ => return None,
        };
        let sections = Sections { rest };
        let mut unread = sections;
        let found = unread.by_ref().count();
        (found == count as usize && unread.rest.is_empty()).then_some(CommitRecord { block, sections })
    }

    /// The shards written, and what was written to each.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (u32, Ops<'a>)> + use<'a> {
        self.sections
    }
}

#[derive(Clone, Copy, Debug)]
struct Sections<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Sections<'a> {
    type Item = (u32, Ops<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest;
        let shard = take_u32(&mut rest)?;
        let reserved = take_u32(&mut rest)?;
        let bytes = usize::try_from(take_u64(&mut rest)?).ok()?;
        let (ops, rest) = rest.split_at_checked(bytes)?;
        if reserved != 0 {
            return None;
        }
        self.rest = rest;
        Some((shard, Ops::new(ops)))
    }
}

/// A rollback as it stands in the log: everything above is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RollbackRecord {
    /// The newest version that is kept.
    pub(crate) keep_version: Version,
    /// The newest block that is kept.
    pub(crate) height: u64,
}

impl RollbackRecord {
    pub(crate) fn encode(self) -> [u8; 16] {
        let mut payload = [0; 16];
        let (version, height) = payload.split_at_mut(8);
        version.copy_from_slice(&self.keep_version.to_le_bytes());
        height.copy_from_slice(&self.height.to_le_bytes());
        payload
    }

    pub(crate) fn decode(mut payload: &[u8]) -> Option<Self> {
        let record = RollbackRecord { keep_version: take_u64(&mut payload)?, height: take_u64(&mut payload)? };
        payload.is_empty().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shingle_shard::{Op, OpsBuf};

    fn encode(block: Option<Block>, sections: &[(u32, &OpsBuf)]) -> Vec<u8> {
        let sizes: Vec<_> = sections.iter().map(|(shard, ops)| (*shard, ops.as_bytes().len())).collect();
        CommitPayload::encode(block, &sizes, sections.iter().map(|(_, ops)| ops.as_bytes()), |_| {})
    }

    const BLOCK: Block = Block { height: 7, timestamp_ms: 1_700_000_000_000 };

    fn ops(writes: &[(&[u8], Option<&[u8]>)]) -> OpsBuf {
        let mut ops = OpsBuf::default();
        writes.iter().for_each(|&(key, value)| ops.push(Op { key, value }));
        ops
    }

    #[test]
    fn a_commit_is_read_as_it_was_built() {
        let (first, second) = (ops(&[(b"a", Some(b"1")), (b"b", None)]), ops(&[(b"c", Some(b""))]));
        for block in [None, Some(BLOCK)] {
            let sections = [(3, &first), (15, &second)];
            let payload = encode(block, &sections);
            let record = CommitRecord::decode(&payload).expect("just encoded");
            assert_eq!(record.block, block);
            let read: Vec<_> = record.sections().map(|(shard, ops)| (shard, ops.collect::<Vec<_>>())).collect();
            let written: Vec<_> =
                sections.iter().map(|&(shard, ops)| (shard, Ops::new(ops.as_bytes()).collect::<Vec<_>>())).collect();
            assert_eq!(read, written);
        }
    }

    #[test]
    fn a_commit_of_nothing_seals_its_block() {
        let payload = encode(Some(BLOCK), &[]);
        let record = CommitRecord::decode(&payload).expect("just encoded");
        assert_eq!((record.block, record.sections().count()), (Some(BLOCK), 0));
    }

    #[test]
    fn no_shortened_or_lengthened_payload_passes() {
        let ops = ops(&[(b"key", Some(b"value"))]);
        let payload = encode(Some(BLOCK), &[(0, &ops), (1, &ops)]);
        for end in 0..payload.len() {
            assert!(CommitRecord::decode(&payload[..end]).is_none(), "{end} bytes");
        }
        assert!(CommitRecord::decode(&[payload.as_slice(), &[0]].concat()).is_none());
    }

    #[test]
    fn a_rollback_is_read_as_it_was_built() {
        let record = RollbackRecord { keep_version: 12, height: 5 };
        let payload = record.encode();
        assert_eq!(RollbackRecord::decode(&payload), Some(record));
        assert_eq!(RollbackRecord::decode(&payload[..15]), None);
        assert_eq!(RollbackRecord::decode(&[0; 17]), None);
    }
}
