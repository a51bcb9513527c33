//! Blocks of updates to random keys, one after the other, and what they have made of every key.

use super::keys::{Choices, KeySpace};
use crate::args::BenchOptions;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Block, Database};
use std::time::{Duration, Instant};

/// Far larger than the blocks in which a store compresses.
const POOL_BYTES: usize = 256 << 10;

/// Updates of one batch while the store is loaded.
const LOAD_UPDATES: u64 = 10_000;

/// Pieces of random bytes, which no compression makes smaller.
struct Values {
    pool: Vec<u8>,
    bytes: usize,
}

impl Values {
    fn new(options: &BenchOptions) -> Self {
        let bytes = options.value_bytes as usize;
        let mut pool = vec![0; POOL_BYTES + bytes];
        SmallRng::seed_from_u64(options.seed).fill(pool.as_mut_slice());
        Values { pool, bytes }
    }

    fn at(&self, number: u64) -> &[u8] {
        let start = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % POOL_BYTES;
        &self.pool[start..start + self.bytes]
    }
}

pub(super) struct Blocks<'a> {
    db: &'a Database,
    space: &'a KeySpace,
    values: Values,
    height: u64,
    updates: u64,
    /// The block that wrote each key last; 0: the loading.
    written: Vec<u64>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(db: &'a Database, space: &'a KeySpace, options: &BenchOptions, updates: u64) -> Self {
        let written = vec![0; space.keys as usize];
        Blocks { db, space, values: Values::new(options), height: 0, updates, written }
    }

    pub(super) fn load(&mut self, mut done: impl FnMut(u64)) -> anyhow::Result<()> {
        let mut choices = self.space.choices(0);
        let mut first = 0;
        while first < self.space.keys {
            let last = (first + LOAD_UPDATES).min(self.space.keys);
            let mut batch = Batch::new();
            for number in first..last {
                batch.put(choices.key(number), self.values.at(number));
            }
            self.db.commit(batch)?;
            done(last - first);
            first = last;
        }
        Ok(())
    }

    /// Choices that no block before has made.
    pub(super) fn choices(&self) -> Choices<'a> {
        self.space.choices(self.height + 1)
    }

    /// Commits the next block, and says how long that took.
    pub(super) fn commit(&mut self, choices: &mut Choices<'_>) -> anyhow::Result<Duration> {
        self.height += 1;
        let mut batch = Batch::new();
        for _ in 0..self.updates {
            let number = choices.number();
            self.written[number as usize] = self.height;
            batch.put(choices.key(number), self.values.at(number ^ self.height));
        }
        let submitted = Instant::now();
        self.db.commit_block(Block { height: self.height, timestamp_ms: self.height }, batch)?;
        Ok(submitted.elapsed())
    }

    /// What a key was given last.
    pub(super) fn value(&self, number: u64) -> &[u8] {
        self.values.at(number ^ self.written[number as usize])
    }
}
