//! Keys and values of the benchmarks: the same for every store, from a number, and so cheap that they are not what is measured.
//!
//! A key is its number, mixed, repeated to length: uniformly spread, incompressible, computed in a few nanoseconds. A value
//! is a piece of a pool of random bytes that fits the processor's cache.

use crate::args::BenchOptions;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

/// Fits a second-level cache, and is far larger than the blocks in which a store compresses.
const POOL_BYTES: usize = 256 << 10;

/// Numbers from here on are keys that no store has.
const ABSENT: u64 = 1 << 63;

/// Absent keys of one stream, and streams that have absent keys of their own.
const ABSENT_BITS: u32 = 40;
const ABSENT_STREAMS: u64 = 1 << (63 - ABSENT_BITS);

/// What a block of the loading holds at most.
const LOAD_KEYS_MAX: u64 = 10_000;
const LOAD_BYTES_MAX: u64 = 16 << 20;

/// Bytes at the beginning of every value that a workload may set, to know the value again or to count in it.
pub(crate) const STAMP_BYTES: usize = 8;

/// How keys and values look.
#[derive(Clone, Debug)]
pub(crate) struct KeySpace {
    pub(crate) keys: u64,
    key_bytes: usize,
    value_bytes: usize,
    seed: u64,
    pool: Vec<u8>,
    order: KeyOrder,
}

/// How keys lie in key order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyOrder {
    /// Numbers that follow each other lie anywhere.
    Scattered,
    /// Keys lie in the order of their numbers.
    Numbered,
}

impl KeySpace {
    pub(crate) fn new(options: &BenchOptions) -> Self {
        let mut rng = SmallRng::seed_from_u64(options.seed);
        let value_bytes = options.value_bytes as usize;
        let mut pool = vec![0; POOL_BYTES + value_bytes];
        rng.fill_bytes(&mut pool);
        KeySpace {
            keys: options.keys,
            key_bytes: options.key_bytes as usize,
            value_bytes,
            seed: options.seed,
            pool,
            order: KeyOrder::Scattered,
        }
    }

    /// The same with keys in the order of their numbers.
    pub(crate) fn numbered(options: &BenchOptions) -> Self {
        KeySpace { order: KeyOrder::Numbered, ..KeySpace::new(options) }
    }

    /// A source of random choices: the same for the same stream of the same seed.
    pub(crate) fn choices(&self, stream: u64) -> Choices<'_> {
        let rng = SmallRng::seed_from_u64(mix(self.seed ^ mix(stream)));
        Choices {
            space: self,
            rng,
            keys: [vec![0; self.key_bytes], vec![0; self.key_bytes]],
            value: vec![0; self.value_bytes],
            next_absent: ABSENT | (stream % ABSENT_STREAMS) << ABSENT_BITS,
        }
    }

    /// The greatest of the loaded keys.
    pub(crate) fn last_key(&self) -> Vec<u8> {
        let mut key = vec![0; self.key_bytes];
        let mut last = vec![];
        for number in 0..self.keys {
            self.write_key(number, &mut key);
            if key > last {
                last.clone_from(&key);
            }
        }
        last
    }

    /// Bytes of one key and one value.
    pub(crate) fn update_bytes(&self) -> u64 {
        (self.key_bytes + self.value_bytes) as u64
    }

    /// Keys that a block of the loading writes: so many that a block's commit costs little for each, and no more than a store takes at
    /// once, whatever the values' size.
    pub(crate) fn keys_per_block(&self) -> u64 {
        LOAD_KEYS_MAX.min((LOAD_BYTES_MAX / self.update_bytes()).max(1))
    }

    pub(crate) fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    fn write_key(&self, number: u64, key: &mut [u8]) {
        for (lane, bytes) in key.chunks_mut(8).enumerate() {
            let word = match (lane, self.order) {
                (0, KeyOrder::Numbered) => number,
                _ => mix(number ^ (lane as u64) << 56),
            };
            bytes.copy_from_slice(&word.to_be_bytes()[..bytes.len()]);
        }
    }
}

/// A stream of random choices of keys and values.
#[derive(Clone, Debug)]
pub(crate) struct Choices<'a> {
    space: &'a KeySpace,
    rng: SmallRng,
    /// Room for the keys that are handed out.
    keys: [Vec<u8>; 2],
    /// Room for the value that is handed out.
    value: Vec<u8>,
    /// The number of the next absent key.
    next_absent: u64,
}

impl Choices<'_> {
    /// The number of one of the loaded keys, uniformly.
    #[inline]
    pub(crate) fn number(&mut self) -> u64 {
        self.rng.random_range(0..self.space.keys)
    }

    #[inline]
    pub(crate) fn key(&mut self, number: u64) -> &[u8] {
        self.space.write_key(number, &mut self.keys[0]);
        &self.keys[0]
    }

    /// Two different ones of the first `keys` keys.
    #[inline]
    pub(crate) fn two_keys_of(&mut self, keys: u64) -> [&[u8]; 2] {
        let first = self.rng.random_range(0..keys);
        let second = (first + self.rng.random_range(1..keys)) % keys;
        self.space.write_key(first, &mut self.keys[0]);
        self.space.write_key(second, &mut self.keys[1]);
        [&self.keys[0], &self.keys[1]]
    }

    /// A key that no store has, and never the same: no cache of answers can know it.
    #[inline]
    pub(crate) fn absent_key(&mut self) -> &[u8] {
        let number = self.next_absent;
        self.next_absent += 1;
        self.key(number)
    }

    /// The key of `number`, and a value of `value_bytes` that begins with `stamp`.
    #[inline]
    pub(crate) fn entry(&mut self, number: u64, stamp: u64, value_bytes: usize) -> (&[u8], &[u8]) {
        let offset = self.rng.random_range(0..POOL_BYTES);
        let value = &mut self.value[..value_bytes];
        value.copy_from_slice(&self.space.pool[offset..offset + value_bytes]);
        value[..STAMP_BYTES].copy_from_slice(&stamp.to_be_bytes());
        self.space.write_key(number, &mut self.keys[0]);
        (&self.keys[0], value)
    }

    #[inline]
    pub(crate) fn rng(&mut self) -> &mut SmallRng {
        &mut self.rng
    }
}

/// The finalizer of SplitMix64: every bit of the result depends on every bit of `x`, and no two numbers share a result.
#[inline]
pub(super) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
