//! The shards of a store, and the way from a key to its shard.

use crate::slot::{RoutingKey, SlotMap, Slots};
use crate::slot_stats::SlotCounters;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use shingle_shard::{KeyRange, Shard, key_hash};
use std::ops::Bound;
use std::sync::{Arc, Weak};

/// The shards, and the slot map that spreads keys over them, as they are now and as they were for who still looks that way.
#[derive(Debug)]
pub(crate) struct Shards {
    now: ArcSwap<Topology>,
    /// Those before, oldest first, as long as anybody holds them.
    before: Mutex<Vec<Weak<Topology>>>,
}

/// The shards and the slot map of one time. Immutable: a change is a new one with the next number.
///
/// Who reads loads a version first and this second: commits are split by it, and published only after it was put in place, so that it is never older than what the
/// version needs. A newer one does no harm, for what it says was so for every older version too.
#[derive(Debug)]
pub(crate) struct Topology {
    /// Counted from one at each opening.
    pub(crate) number: u64,
    pub(crate) shards: Vec<Arc<Shard>>,
    pub(crate) slots: Slots,
    pub(crate) map: SlotMap,
    /// Where slots are going to: what is written goes there too.
    pub(crate) next: Option<SlotMap>,
    /// What is counted for each slot, wherever it lives.
    pub(crate) counters: Arc<SlotCounters>,
}

/// Where a key lives, and its hash in the shard's index.
pub(crate) struct Route<'a> {
    pub(crate) shard: &'a Shard,
    pub(crate) key_hash: u64,
}

impl Shards {
    pub(crate) fn new(shards: Vec<Shard>, slots: Slots, map: SlotMap, next: Option<SlotMap>) -> Self {
        Self::with_counters(shards, slots, map, next, SlotCounters::new(slots.count))
    }

    /// The same, with what was known of the slots before.
    pub(crate) fn with_counters(
        shards: Vec<Shard>,
        slots: Slots,
        map: SlotMap,
        next: Option<SlotMap>,
        counters: SlotCounters,
    ) -> Self {
        let shards = shards.into_iter().map(Arc::new).collect();
        let first = Topology { number: 1, shards, slots, map, next, counters: Arc::new(counters) };
        Shards { now: ArcSwap::from_pointee(first), before: Mutex::default() }
    }

    /// As it is now, for a moment.
    #[inline]
    pub(crate) fn now(&self) -> Guard<Arc<Topology>> {
        self.now.load()
    }

    /// The same, to be kept.
    pub(crate) fn keep(&self) -> Arc<Topology> {
        self.now.load_full()
    }

    /// Puts another one in place. The lock of the sequencer is held, and if the shards change, whatever goes through all of them is kept away.
    pub(crate) fn replace(&self, shards: Vec<Arc<Shard>>, map: SlotMap, next: Option<SlotMap>) {
        let mut before = self.before.lock();
        let old = self.now.load_full();
        let (number, slots, counters) = (old.number + 1, old.slots, Arc::clone(&old.counters));
        self.now.store(Arc::new(Topology { number, shards, slots, map, next, counters }));
        before.retain(|topology| topology.strong_count() > 0);
        before.push(Arc::downgrade(&old));
    }

    /// How many hold an older one than that of now.
    pub(crate) fn held_before(&self) -> usize {
        self.before.lock().iter().map(Weak::strong_count).sum()
    }
}

impl Topology {
    pub(crate) fn all(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    #[inline]
    fn slot_of(&self, key: &[u8], hash: u64) -> u32 {
        match self.slots.routing {
            RoutingKey::Whole => self.slots.slot_of_hash(hash),
            RoutingKey::Prefix(_) => self.slots.slot_of(key),
        }
    }

    #[inline]
    fn slot_and_hash(&self, key: &[u8]) -> (u32, u64) {
        let hash = key_hash(key);
        (self.slot_of(key, hash), hash)
    }

    /// The shard that `key`, whose hash is known, lives on.
    #[inline]
    pub(crate) fn shard_of(&self, key: &[u8], hash: u64) -> &Shard {
        &self.shards[self.map.shard_of(self.slot_of(key, hash))]
    }

    /// The number of the shard that `key` lives on, and the key's hash.
    #[inline]
    pub(crate) fn number_of(&self, key: &[u8]) -> (usize, u64) {
        let (slot, hash) = self.slot_and_hash(key);
        (self.map.shard_of(slot), hash)
    }

    /// The same, and the other shard to which the key's writes go.
    #[inline]
    pub(crate) fn writers_of(&self, key: &[u8]) -> (usize, Option<usize>, u64) {
        let (_, owner, other, hash) = self.slot_and_writers_of(key);
        (owner, other, hash)
    }

    /// The same behind the slot of `key`.
    #[inline]
    pub(crate) fn slot_and_writers_of(&self, key: &[u8]) -> (u32, usize, Option<usize>, u64) {
        let (slot, hash) = self.slot_and_hash(key);
        let owner = self.map.shard_of(slot);
        let other = self.next.as_ref().map(|next| next.shard_of(slot)).filter(|&other| other != owner);
        (slot, owner, other, hash)
    }

    #[inline]
    pub(crate) fn route(&self, key: &[u8]) -> Route<'_> {
        let (number, key_hash) = self.number_of(key);
        Route { shard: &self.shards[number], key_hash }
    }

    /// Counts a point read of `key`, now and then.
    #[inline]
    pub(crate) fn count_read(&self, key: &[u8]) {
        self.counters.read(|| self.slots.slot_of(key));
    }

    /// Whether `key` lives on the shard of this number: other rows that it has are on their way.
    #[inline]
    pub(crate) fn lives_on(&self, key: &[u8], shard: usize) -> bool {
        self.map.shard_of(self.slots.slot_of(key)) == shard
    }

    /// The shards that hold keys of `range`.
    pub(crate) fn holding(&self, range: &KeyRange) -> &[Arc<Shard>] {
        match self.only_shard(range) {
            Some(number) => std::slice::from_ref(&self.shards[number]),
            None => &self.shards,
        }
    }

    /// The one shard that holds all keys of `range`, if the routing key says so; else every shard has a part.
    fn only_shard(&self, range: &KeyRange) -> Option<usize> {
        let RoutingKey::Prefix(bytes) = self.slots.routing else { return None };
        let (Bound::Included(start) | Bound::Excluded(start)) = &range.start else { return None };
        let prefix = start.get(..bytes)?;
        let within = match (&range.end, KeyRange::prefix(prefix).end) {
            (_, Bound::Unbounded) => true,
            (Bound::Included(end), Bound::Excluded(limit)) => *end < limit,
            (Bound::Excluded(end), Bound::Excluded(limit)) => *end <= limit,
            (Bound::Unbounded, _) | (_, Bound::Included(_)) => false,
        };
        within.then(|| self.number_of(prefix).0)
    }
}
