//! What a commit will write to the log, made ready by the committing thread: split by shard, packed, checksummed.

use crate::batch::Batch;
use crate::blocks::Block;
use crate::log::{CommitPayload, Frame, Kind, RollbackRecord, payload_checksum};
use crate::shards::Topology;
use crate::{Durability, Error, Result};
use shingle_shard::{Hashed, Ops, OpsBuf, Version};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// What a write takes beside its part of the payload. Under way up to 42 B: its hash, and its place in the table of what is in flight, which may be
/// half empty. In the memtable 48 B for its header, and its place in the index.
const WRITE_BYTES: u64 = 80;

/// What a commit takes beside its payload, its sections and its writes: itself, its completion, its places in queues, and what the allocator adds.
/// Measured by counting allocations: commits of one write take 340 B beside their payloads.
const COMMIT_BYTES: u64 = 352;

/// A commit before it has its number.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
    checksum: u64,
    /// The hash of every key that the commit writes, in the order of the payload.
    pub(crate) key_hashes: Vec<u64>,
    sections: Vec<Section>,
    pub(crate) block: Option<Block>,
    pub(crate) durability: Durability,
    /// When its author asked for it.
    pub(crate) begun: Instant,
    /// Whether it ends a transaction.
    pub(crate) is_transaction: bool,
    room_bytes: u64,
    /// By what it is split; `None` once it is numbered.
    split_by: Option<Arc<Topology>>,
}

/// What a commit writes to one shard.
#[derive(Debug)]
struct Section {
    shard: u32,
    /// Where its writes are in the payload.
    ops: Range<usize>,
    /// Where their hashes are among all.
    hashes: Range<usize>,
}

/// How much a batch writes to one shard.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    ops: usize,
    bytes: usize,
    /// Where the next of its writes goes.
    next: usize,
}

/// One write of a batch.
#[derive(Clone, Debug, Default)]
struct Write {
    hash: u64,
    /// Where the batch has it.
    packed: Range<usize>,
}

/// Sorts writes by shard; those of one shard stay in their order.
fn by_shard(routed: Vec<(usize, Write)>, shares: &mut [Share]) -> Vec<Write> {
    let mut next = 0;
    for share in shares.iter_mut() {
        share.next = next;
        next += share.ops;
    }
    let mut sorted = vec![Write::default(); routed.len()];
    for (shard, write) in routed {
        sorted[shares[shard].next] = write;
        shares[shard].next += 1;
    }
    sorted
}

/// Writes as a payload: split by shard, packed. What is on its way from one shard to another stands in it twice.
struct Split {
    payload: Vec<u8>,
    key_hashes: Vec<u64>,
    sections: Vec<Section>,
}

impl Split {
    /// `note` is told of each write, once wherever it stands.
    fn of(topology: &Topology, packed: &[u8], count: usize, block: Option<Block>, note: impl Fn(u32, usize)) -> Self {
        let mut written = vec![Share::default(); topology.all().len()];
        let mut routed = Vec::with_capacity(count);
        let mut begin = 0;
        for op in Ops::new(packed) {
            let (slot, shard, other, hash) = topology.slot_and_writers_of(op.key);
            note(slot, op.key.len() + op.value.map_or(0, <[u8]>::len));
            let end = begin + op.packed_bytes();
            for shard in std::iter::once(shard).chain(other) {
                written[shard].ops += 1;
                written[shard].bytes += end - begin;
                routed.push((shard, Write { hash, packed: begin..end }));
            }
            begin = end;
        }
        let writes = by_shard(routed, &mut written);
        let shares: Vec<_> = (0_u32..).zip(&written).filter(|(_, share)| share.ops > 0).collect();
        let sizes: Vec<_> = shares.iter().map(|&(shard, share)| (shard, share.bytes)).collect();
        let mut unplaced = shares.iter();
        let mut sections = Vec::with_capacity(shares.len());
        let placed = |ops| {
            // By now `next` is where the writes of a shard end.
            let ended = |&(shard, share): &(u32, &Share)| (shard, share.next - share.ops..share.next);
            sections.extend(unplaced.next().map(ended).map(|(shard, hashes)| Section { shard, ops, hashes }));
        };
        let writes_packed = writes.iter().map(|write| &packed[write.packed.clone()]);
        let payload = CommitPayload::encode(block, &sizes, writes_packed, placed);
        Split { payload, key_hashes: writes.iter().map(|write| write.hash).collect(), sections }
    }
}

impl Prepared {
    pub(crate) fn commit(
        topology: Arc<Topology>,
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
        let Split { payload, key_hashes, sections } =
            Split::of(&topology, batch.packed(), batch.len(), block, topology.counters.writing());
        Ok(Prepared {
            kind: Kind::Commit,
            checksum: payload_checksum(&payload),
            room_bytes: payload.len() as u64
                + WRITE_BYTES * key_hashes.len() as u64
                + size_of_val(sections.as_slice()) as u64
                + COMMIT_BYTES,
            payload,
            key_hashes,
            sections,
            block,
            durability: batch.durability().unwrap_or(durability),
            begun,
            is_transaction: false,
            split_by: Some(topology),
        })
    }

    /// The number of the topology by which the writes are split, if they are.
    pub(crate) fn split_by(&self) -> Option<u64> {
        self.split_by.as_ref().map(|topology| topology.number)
    }

    /// Splits the writes anew, because slots have moved since. The room that they take was asked for before: it is a little more where they stand twice now.
    pub(crate) fn split_again(&mut self, topology: Arc<Topology>) {
        let Some(old) = &self.split_by else { return };
        let mut ops = OpsBuf::with_capacity(self.payload.len());
        for (shard, writes) in self.writes(0) {
            // What stood twice was the same in both places, and the order of one key's writes is that of its section.
            writes.ops.filter(|op| old.lives_on(op.key, shard)).for_each(|op| ops.push(op));
        }
        let split = Split::of(&topology, ops.as_bytes(), self.key_hashes.len(), self.block, |_, _| {});
        (self.payload, self.key_hashes, self.sections) = (split.payload, split.key_hashes, split.sections);
        self.checksum = payload_checksum(&self.payload);
        self.split_by = Some(topology);
    }

    /// The commit has its number: from here on it goes where it was split to, and keeps nobody's topology alive.
    pub(super) fn numbered(&mut self) {
        self.split_by = None;
    }

    pub(crate) fn rollback(keep_version: Version, height: u64) -> Self {
        let payload = RollbackRecord { keep_version, height }.encode().to_vec();
        Prepared {
            kind: Kind::Rollback,
            checksum: payload_checksum(&payload),
            payload,
            key_hashes: Vec::new(),
            sections: Vec::new(),
            block: None,
            durability: Durability::Sync,
            begun: Instant::now(),
            is_transaction: false,
            room_bytes: 0,
            split_by: None,
        }
    }

    /// The writes of a commit, by shard.
    pub(crate) fn writes(&self, version: Version) -> impl Iterator<Item = (usize, Hashed<'_>)> {
        self.sections.iter().map(move |section| (section.shard as usize, self.hashed(section, version)))
    }

    /// The writes of one of its sections.
    pub(crate) fn section(&self, index: usize, version: Version) -> Hashed<'_> {
        self.hashed(&self.sections[index], version)
    }

    fn hashed(&self, section: &Section, version: Version) -> Hashed<'_> {
        let ops = Ops::new(&self.payload[section.ops.clone()]);
        Hashed { version, ops, key_hashes: &self.key_hashes[section.hashes.clone()] }
    }

    /// What the commit takes from its admission until it is applied, and then at most in the memtables.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.room_bytes
    }

    pub(crate) fn frame(&self, version: Version) -> Frame<'_> {
        Frame { version, kind: self.kind, payload: &self.payload, checksum: self.checksum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shards::Shards;
    use crate::slot::{RoutingKey, SLOTS_DEFAULT, SlotMap, Slots};
    use shingle_shard::backend::MemoryBackend;
    use shingle_shard::{Shard, ShardOptions, key_hash};

    fn shards(count: usize) -> Arc<Topology> {
        let options = ShardOptions { memory_hint_bytes: 1 << 16, row_cache: None };
        let shard = |number| Shard::new(number, Arc::new(MemoryBackend::new()), options.clone());
        let slots = Slots { routing: RoutingKey::Whole, count: SLOTS_DEFAULT };
        Shards::new((0..count).map(shard).collect(), slots, SlotMap::even(SLOTS_DEFAULT, count), None).keep()
    }

    /// Each write is in its shard's section, in the order of the batch, beside the hash of its key.
    #[test]
    fn a_batch_is_sorted_by_shard() -> Result<()> {
        for count in [1, 2, 7, 64] {
            let shards = shards(count);
            let mut batch = Batch::new();
            // Keys come again: the last write must stay the last.
            let writes: Vec<_> = (0..100u32).map(|n| (format!("key {}", n % 30), format!("value {n}"))).collect();
            for (n, (key, value)) in writes.iter().enumerate() {
                if n % 5 == 0 {
                    batch.delete(key)
                } else {
                    batch.put(key, value)
                };
            }
            let prepared = Prepared::commit(Arc::clone(&shards), &batch, None, Durability::Sync, 1 << 20)?;
            let mut found = vec![Vec::new(); count];
            for (shard, part) in prepared.writes(9) {
                assert_eq!(part.version, 9);
                let ops: Vec<_> = part.ops.collect();
                assert_eq!(part.key_hashes, ops.iter().map(|op| key_hash(op.key)).collect::<Vec<_>>());
                found[shard] = ops;
            }
            for (number, found) in found.iter().enumerate() {
                let here = batch.ops().filter(|op| shards.route(op.key).shard.number() == number);
                assert_eq!(*found, here.collect::<Vec<_>>(), "shard {number} of {count}");
            }
        }
        Ok(())
    }
}
