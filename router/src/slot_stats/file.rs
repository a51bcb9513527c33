//! The file that keeps what is known of the slots while the store is closed. It holds estimates: one that is missing or damaged is
//! as good as none, and nothing waits for it to be on disk.
//!
//! ```text
//! magic                8 B
//! store id            16 B
//! measured at          8 B   version; 0: never
//! slots                8 B
//! per slot            32 B   writes, reads, bytes, keys: 8 B each
//! checksum             8 B   XXH3 of all before it
//! ```

use super::counters::{SlotCount, SlotCounters};
use crate::layout::{Layout, SLOTS_MAGIC, StoreId};
use crate::{Error, Result};
use std::fs;
use xxhash_rust::xxh3::xxh3_64;

const SLOT_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 8;

impl SlotCounters {
    /// What the store in `layout` knew when it was closed.
    pub(crate) fn load(layout: &Layout<'_>, store_id: &StoreId, slots: u32) -> Self {
        let known = fs::read(layout.slots()).ok().and_then(|bytes| decode(&bytes, store_id, slots));
        known.map_or_else(
            || SlotCounters::new(slots),
            |(measured_at, counts)| SlotCounters::resumed(measured_at, counts),
        )
    }

    /// Writes what is known now.
    pub(crate) fn save(&self, layout: &Layout<'_>, store_id: &StoreId) -> Result<()> {
        let (path, new) = (layout.slots(), layout.slots_new());
        let bytes = encode(self.measured_at().unwrap_or(0), &self.counts(), store_id);
        // Renamed, so that a process that ends meanwhile leaves one or the other.
        fs::write(&new, bytes).map_err(|error| Error::io("write", &new, error))?;
        fs::rename(&new, &path).map_err(|error| Error::io("write", &path, error))
    }
}

fn encode(measured_at: u64, counts: &[SlotCount], store_id: &StoreId) -> Vec<u8> {
    let mut bytes = [&SLOTS_MAGIC[..], store_id].concat();
    let mut push = |number: u64| bytes.extend_from_slice(&number.to_le_bytes());
    push(measured_at);
    push(counts.len() as u64);
    for count in counts {
        [count.writes, count.reads, count.bytes, count.keys].into_iter().for_each(&mut push);
    }
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8], store_id: &StoreId, slots: u32) -> Option<(u64, Vec<SlotCount>)> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if xxh3_64(body).to_le_bytes() != checksum {
        return None;
    }
    let rest = body.strip_prefix(&SLOTS_MAGIC)?.strip_prefix(store_id)?;
    let numbers: Vec<_> =
        rest.chunks_exact(8).map(|word| Some(u64::from_le_bytes(word.try_into().ok()?))).collect::<Option<_>>()?;
    let (&[measured_at, counted], numbers) = numbers.split_first_chunk::<2>()?;
    if counted != u64::from(slots) || rest.len() != 16 + SLOT_BYTES * slots as usize {
        return None;
    }
    let count = |slot: &[u64; 4]| SlotCount { writes: slot[0], reads: slot[1], bytes: slot[2], keys: slot[3] };
    Some((measured_at, numbers.as_chunks::<4>().0.iter().map(count).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let id = [7; 16];
        let count = |n| SlotCount { writes: n, reads: n + 1, bytes: n << 40, keys: n * 3 };
        let counts: Vec<_> = (0..5).map(count).collect();
        let bytes = encode(9, &counts, &id);
        assert_eq!(decode(&bytes, &id, 5), Some((9, counts)));
        assert!(decode(&bytes, &[8; 16], 5).is_none() && decode(&bytes, &id, 6).is_none());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped, &id, 5).is_none(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], &id, 5).is_none(), "{length} bytes");
        }
    }
}
