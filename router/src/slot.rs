//! From a key to its shard: routing key, slot, slot map.

use serde::{Deserialize, Serialize};
use shingle_shard::key_hash;

/// How many slots a store has unless it is made with another number.
pub const SLOTS_DEFAULT: u32 = 4096;

/// The most slots a store can have.
pub const SLOTS_MAX: u32 = 1 << 20;

/// The most shards a store can have.
pub const SHARDS_MAX: usize = 1024;

/// The part of a key that decides on its shard. Fixed when the store is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoutingKey {
    /// The whole key: keys spread evenly whatever they look like.
    #[default]
    Whole,
    /// The first bytes: keys that share them, such as one account's storage, live on one shard and scan there.
    Prefix(usize),
}

impl std::fmt::Display for RoutingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RoutingKey::Whole => f.write_str("the whole key"),
            RoutingKey::Prefix(bytes) => write!(f, "the key's first {bytes} bytes"),
        }
    }
}

/// From a key to its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) routing: RoutingKey,
    /// How many slots there are; never zero.
    pub(crate) count: u32,
}

impl Slots {
    /// The slot of `key`.
    #[inline]
    pub(crate) fn slot_of(&self, key: &[u8]) -> u32 {
        let routing_key = match self.routing {
            RoutingKey::Whole => key,
            RoutingKey::Prefix(bytes) => &key[..bytes.min(key.len())],
        };
        self.slot_of_hash(key_hash(routing_key))
    }

    /// The slot of a routing key with this hash.
    #[inline]
    pub(crate) fn slot_of_hash(&self, hash: u64) -> u32 {
        (hash % u64::from(self.count)) as u32
    }
}

/// Which shard each slot lives on. Immutable: a change is a new map with the next epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Runs", try_from = "Runs")]
pub struct SlotMap {
    epoch: u64,
    shard_of_slot: Vec<u16>,
}

impl SlotMap {
    /// The first map of a store: every shard gets one run of slots, of equal length as far as the numbers allow.
    pub(crate) fn even(slots: u32, shards: usize) -> Self {
        let shard_of = |slot| (u64::from(slot) * shards as u64 / u64::from(slots)) as u16;
        SlotMap { epoch: 1, shard_of_slot: (0..slots).map(shard_of).collect() }
    }

    /// The map that replaces this one, with these shards.
    pub(crate) fn replaced(&self, shard_of_slot: Vec<usize>) -> Self {
        let shard_of_slot = shard_of_slot.into_iter().map(|shard| shard as u16).collect();
        SlotMap { epoch: self.epoch + 1, shard_of_slot }
    }

    /// Which replacement of the first map this is, counted from one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many slots the map has.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.shard_of_slot.len() as u32
    }

    /// The shard that `slot` lives on.
    #[inline]
    pub(crate) fn shard_of(&self, slot: u32) -> usize {
        usize::from(self.shard_of_slot[slot as usize])
    }

    /// The shard of each slot, in the slots' order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> {
        self.shard_of_slot.iter().map(|&shard| usize::from(shard))
    }
}

/// How a map stands in the manifest: neighbouring slots of one shard as one pair.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    epoch: u64,
    /// (shard, how many slots in a row)
    runs: Vec<(u16, u32)>,
}

impl From<SlotMap> for Runs {
    fn from(map: SlotMap) -> Self {
        let mut runs: Vec<(u16, u32)> = Vec::new();
        for shard in map.shard_of_slot {
            match runs.last_mut() {
                Some((last, slots)) if *last == shard => *slots += 1,
                _ => runs.push((shard, 1)),
            }
        }
        Runs { epoch: map.epoch, runs }
    }
}

impl TryFrom<Runs> for SlotMap {
    type Error = String;

    fn try_from(Runs { epoch, runs }: Runs) -> Result<Self, String> {
        let slots: u64 = runs.iter().map(|&(_, slots)| u64::from(slots)).sum();
        if slots == 0 || slots > u64::from(SLOTS_MAX) {
            return Err(format!("the slot map has {slots} slots; it must have between 1 and {SLOTS_MAX}"));
        }
        let expand = |(shard, slots): (u16, u32)| std::iter::repeat_n(shard, slots as usize);
        Ok(SlotMap { epoch, shard_of_slot: runs.into_iter().flat_map(expand).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_map_differs_by_at_most_one_slot_and_uses_every_shard() {
        for (slots, shards) in [(4096, 1), (4096, 3), (4096, 16), (7, 7), (100, 33)] {
            let map = SlotMap::even(slots, shards);
            let mut counts = vec![0u32; shards];
            map.iter().for_each(|shard| counts[shard] += 1);
            let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
            assert!(least.zip(most).is_some_and(|(least, most)| least > 0 && most - least <= 1), "{counts:?}");
        }
    }

    #[test]
    fn a_map_keeps_its_slots_through_json() -> Result<(), serde_json::Error> {
        for shards in [1, 3, 16] {
            let map = SlotMap::even(4096, shards);
            let text = serde_json::to_string(&map)?;
            assert!(text.len() < 400, "one pair a shard: {text}");
            assert_eq!(serde_json::from_str::<SlotMap>(&text)?, map);
        }
        Ok(())
    }

    #[test]
    fn a_map_of_absurd_size_is_refused_without_being_built() {
        for runs in ["[]", "[[0,4294967295],[1,4294967295]]"] {
            let text = format!("{{\"epoch\":1,\"runs\":{runs}}}");
            assert!(serde_json::from_str::<SlotMap>(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_of_one_prefix_share_a_slot() {
        let slots = Slots { routing: RoutingKey::Prefix(4), count: 4096 };
        assert_eq!(slots.slot_of(b"abcd1"), slots.slot_of(b"abcd2"));
        assert_eq!(slots.slot_of(b"abcd"), slots.slot_of(b"abcd2"));
        assert_ne!(
            slots.slot_of(b"abc"),
            slots.slot_of(b"abcd"),
            "a key shorter than the prefix is its own routing key"
        );
        let whole = Slots { routing: RoutingKey::Whole, count: 4096 };
        assert_eq!(whole.slot_of(b"abcd1"), whole.slot_of_hash(key_hash(b"abcd1")));
    }
}
