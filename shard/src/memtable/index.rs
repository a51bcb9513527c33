//! The hash index: from a key's hash to the chain of its bucket.

use super::arena::{AtomicHead, prefetch};

/// Bytes of memory for each bucket: an entry of 48 + 32 + 100 bytes, its padding, and its bucket.
const BYTES_PER_BUCKET: usize = 192;

/// What the index takes from a key's hash. The router's slots come from the hash as well, from its lowest bits: a shard sees few of their
/// values, so none of these is among them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Hash {
    pub(super) fn of(key_hash: u64) -> Self {
        Hash(key_hash)
    }

    /// What entries keep of the hash: bits 16 to 47.
    #[inline]
    pub(super) fn check(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The bit that stands for the hash in its bucket's tag: from bits 13 to 15.
    #[inline]
    pub(super) fn tag(self) -> u64 {
        1 << ((self.0 >> 13) & 7)
    }
}

/// A fixed number of buckets. A bucket's place in memory is untouched, and costs nothing, until it is first used.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Box<[AtomicHead]>,
    /// A bucket's number is what remains of the hash after a shift: its highest bits.
    shift: u32,
}

impl Index {
    pub(super) fn for_memory(bytes: usize) -> Self {
        Index::with_buckets(bytes / BYTES_PER_BUCKET)
    }

    /// At least `buckets`, and at least two.
    pub(super) fn with_buckets(buckets: usize) -> Self {
        let buckets = buckets.clamp(2, 1 << 32).next_power_of_two();
        let zeroed = Box::into_raw(vec![0_u64; buckets].into_boxed_slice());
        #[expect(
            unsafe_code,
            reason = "an index that is zeroed by the allocator is not touched: that saves a tenth of a small store's memory"
        )]
        // SAFETY: AtomicHead is transparent over AtomicU64, which has the layout of u64; all zeros is an empty head; the
        // pointer comes from `into_raw` just above.
        let buckets = unsafe { Box::from_raw(zeroed as *mut [AtomicHead]) };
        let shift = u64::BITS - buckets.len().trailing_zeros();
        Index { buckets, shift }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val::<[AtomicHead]>(&self.buckets)
    }

    #[inline]
    pub(super) fn bucket(&self, hash: Hash) -> &AtomicHead {
        &self.buckets[(hash.0 >> self.shift) as usize]
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: Hash) {
        prefetch(self.bucket(hash));
    }
}
