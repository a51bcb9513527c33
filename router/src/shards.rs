//! The shards of a store, and the way from a key to its shard.

use crate::slot::{RoutingKey, SlotMap, Slots};
use crate::slot_stats::SlotCounters;
use arc_swap::ArcSwap;
use shingle_shard::{KeyRange, Shard, key_hash};
use std::ops::Bound;
use std::sync::Arc;

/// The shards, and the slot map that spreads keys over them.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: Vec<Shard>,
    slots: Slots,
    map: ArcSwap<SlotMap>,
    counters: SlotCounters,
}

/// Where a key lives, and its hash in the shard's index.
pub(crate) struct Route<'a> {
    pub(crate) shard: &'a Shard,
    pub(crate) key_hash: u64,
}

impl Shards {
    pub(crate) fn new(shards: Vec<Shard>, slots: Slots, map: SlotMap) -> Self {
        let counters = SlotCounters::new(slots.count);
        Shards { shards, slots, map: ArcSwap::from_pointee(map), counters }
    }

    /// The same, with what was known of the slots before.
    pub(crate) fn with_counters(self, counters: SlotCounters) -> Self {
        Shards { counters, ..self }
    }

    pub(crate) fn counters(&self) -> &SlotCounters {
        &self.counters
    }

    pub(crate) fn all(&self) -> &[Shard] {
        &self.shards
    }

    /// The slot of `key`.
    #[inline]
    pub(crate) fn slot_of(&self, key: &[u8]) -> u32 {
        self.slots.slot_of(key)
    }

    /// The slot of `key`, and the key's hash.
    #[inline]
    pub(crate) fn slot_and_hash(&self, key: &[u8]) -> (u32, u64) {
        let hash = key_hash(key);
        let slot = match self.slots.routing {
            RoutingKey::Whole => self.slots.slot_of_hash(hash),
            RoutingKey::Prefix(_) => self.slots.slot_of(key),
        };
        (slot, hash)
    }

    /// The number of the shard that `key` lives on, and the key's hash.
    #[inline]
    pub(crate) fn number_of(&self, map: &SlotMap, key: &[u8]) -> (usize, u64) {
        let (slot, hash) = self.slot_and_hash(key);
        (map.shard_of(slot), hash)
    }

    /// Counts a point read of `key`, now and then.
    #[inline]
    pub(crate) fn count_read(&self, key: &[u8]) {
        self.counters.read(|| self.slots.slot_of(key));
    }

    #[inline]
    pub(crate) fn route(&self, key: &[u8]) -> Route<'_> {
        let (number, key_hash) = self.number_of(&self.map.load(), key);
        Route { shard: &self.shards[number], key_hash }
    }

    pub(crate) fn map(&self) -> Arc<SlotMap> {
        self.map.load_full()
    }

    /// The shards that hold keys of `range`.
    pub(crate) fn holding(&self, range: &KeyRange) -> &[Shard] {
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
        within.then(|| self.number_of(&self.map.load(), prefix).0)
    }
}
