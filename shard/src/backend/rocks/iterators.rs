//! Iterators that outlive the read that made them: making one costs a third of a point read.

use super::error::classify;
use super::layout::{CHANGES, VERSIONS};
use crate::Result;
use parking_lot::Mutex;
use rocksdb::{DB, DBRawIteratorWithThreadMode, ReadOptions};
use self_cell::self_cell;
use std::path::PathBuf;
use std::sync::Arc;

/// Idle iterators that a pool keeps: about as many as threads read one shard at once.
const IDLE_MAX: usize = 32;

/// Reading ahead makes the disk read in long strokes.
const READAHEAD_BYTES: usize = 2 << 20;

/// What a pool's iterators are for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Finding one key in `versions`: a seek asks the bloom filters, and no entry of another key is ever seen.
    Points,
    /// The same for keys that nobody is likely to ask for again soon: what it reads pushes nothing out of the cache.
    PassingPoints,
    /// Walking over `versions` in order.
    Rows,
    /// The same, over all of it: what it reads pushes nothing out of the cache.
    PassingRows,
    /// Walking over `changes` in order.
    Changes,
}

type RawIterator<'db> = DBRawIteratorWithThreadMode<'db, DB>;

self_cell!(
    struct OwnedIterator {
        owner: Arc<DB>,
        #[covariant]
        dependent: RawIterator,
    }
);

/// An iterator with the buffer for what it seeks.
struct Idle {
    iterator: OwnedIterator,
    target: Vec<u8>,
    generation: u64,
}

struct State {
    /// Counts what was ingested: an iterator of an older generation would not see it.
    generation: u64,
    idle: Vec<Idle>,
}

/// Iterators over one family, all of the newest generation. An iterator sees the data of the moment when it was made, and keeps
/// that data's files from being deleted.
pub(super) struct IteratorPool {
    db: Arc<DB>,
    path: PathBuf,
    purpose: Purpose,
    state: Mutex<State>,
}

impl IteratorPool {
    pub(super) fn new(db: &Arc<DB>, path: PathBuf, purpose: Purpose) -> Self {
        let state = Mutex::new(State { generation: 0, idle: Vec::new() });
        IteratorPool { db: Arc::clone(db), path, purpose, state }
    }

    /// Makes sure that no later [`IteratorPool::lease`] sees data older than now, and lets go of the files that idle iterators
    /// keep.
    pub(super) fn renew(&self) {
        let mut state = self.state.lock();
        state.generation += 1;
        let old = std::mem::take(&mut state.idle);
        drop(state);
        drop(old);
    }

    /// An iterator that sees everything ingested before the call. It stands nowhere yet.
    pub(super) fn lease(&self) -> Lease<'_> {
        let mut state = self.state.lock();
        let generation = state.generation;
        let idle = state.idle.pop();
        drop(state);
        // The generation was read first: a renewal from here on makes the new iterator one too old to be kept.
        let idle = idle.unwrap_or_else(|| Idle { iterator: self.make(), target: Vec::new(), generation });
        Lease { pool: self, idle: Some(idle) }
    }

    fn make(&self) -> OwnedIterator {
        OwnedIterator::new(Arc::clone(&self.db), |db| {
            let mut options = ReadOptions::default();
            options.set_verify_checksums(true);
            let family = match self.purpose {
                Purpose::Points => {
                    options.set_prefix_same_as_start(true);
                    VERSIONS
                }
                Purpose::PassingPoints => {
                    options.set_prefix_same_as_start(true);
                    options.fill_cache(false);
                    VERSIONS
                }
                Purpose::Rows => {
                    options.set_total_order_seek(true);
                    VERSIONS
                }
                Purpose::PassingRows => {
                    options.set_total_order_seek(true);
                    options.fill_cache(false);
                    options.set_readahead_size(READAHEAD_BYTES);
                    VERSIONS
                }
                Purpose::Changes => CHANGES,
            };
            db.raw_iterator_cf_opt(super::family(db, family), options)
        })
    }
}

/// An iterator on loan from its pool.
pub(super) struct Lease<'pool> {
    pool: &'pool IteratorPool,
    /// `None` only while it is dropped.
    idle: Option<Idle>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // One that has met an error may be left in a state that hides it from the next read.
        let Some(idle) = self.idle.take().filter(|idle| idle.iterator.borrow_dependent().status().is_ok()) else {
            return;
        };
        let mut state = self.pool.state.lock();
        if idle.generation == state.generation && state.idle.len() < IDLE_MAX {
            state.idle.push(idle);
        } else {
            drop(state);
            drop(idle);
        }
    }
}

impl Lease<'_> {
    /// Moves to the first entry at or after what `encode` writes.
    pub(super) fn seek(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.aim(encode, |iterator, target| iterator.seek(target));
    }

    /// Moves to the last entry at or before what `encode` writes.
    pub(super) fn seek_for_prev(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.aim(encode, |iterator, target| iterator.seek_for_prev(target));
    }

    pub(super) fn seek_to_first(&mut self) {
        self.step(|iterator| iterator.seek_to_first());
    }

    pub(super) fn seek_to_last(&mut self) {
        self.step(|iterator| iterator.seek_to_last());
    }

    pub(super) fn next(&mut self) {
        self.step(|iterator| iterator.next());
    }

    pub(super) fn prev(&mut self) {
        self.step(|iterator| iterator.prev());
    }

    /// What was sought last.
    pub(super) fn target(&self) -> &[u8] {
        &self.idle().target
    }

    /// Key and value where the iterator stands; `None` beyond the last entry.
    pub(super) fn entry(&self) -> Result<Option<(&[u8], &[u8])>> {
        let iterator = self.idle().iterator.borrow_dependent();
        match iterator.item() {
            Some(entry) => Ok(Some(entry)),
            None => iterator.status().map(|()| None).map_err(|e| classify(&self.pool.path, &e)),
        }
    }

    fn idle(&self) -> &Idle {
        self.idle.as_ref().expect("taken only by drop")
    }

    fn aim(&mut self, encode: impl FnOnce(&mut Vec<u8>), go: impl FnOnce(&mut RawIterator<'_>, &[u8])) {
        let Idle { iterator, target, .. } = self.idle.as_mut().expect("taken only by drop");
        target.clear();
        encode(target);
        iterator.with_dependent_mut(|_, iterator| go(iterator, target));
    }

    fn step(&mut self, go: impl FnOnce(&mut RawIterator<'_>)) {
        let idle = self.idle.as_mut().expect("taken only by drop");
        idle.iterator.with_dependent_mut(|_, iterator| go(iterator));
    }
}
