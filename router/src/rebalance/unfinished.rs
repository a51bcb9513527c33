//! What of a rebalancing is not finished, as it stands in the manifest.

use crate::slot::SlotMap;
use serde::{Deserialize, Serialize};
use shingle_shard::Shard;
use std::ops::Deref;
use std::path::PathBuf;

/// A rebalancing under way. Written to disk: a change here is a change of format.
///
/// A slot that two maps put on different shards has rows on both. The manifest's own slot map says which shard answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Unfinished {
    /// Slots are copied to where `next` puts them, no faster than the rate that was asked for; what is written goes to
    /// both places.
    Copying {
        next: SlotMap,
        shards_before: usize,
        shards_after: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes_per_sec: Option<u64>,
    },
    /// What lies where `other` puts it, and does not belong there, is removed: the slots were handed over, or the copying was given up.
    Cleaning { other: SlotMap, shards_after: usize },
    /// These directories are removed: shards that were emptied, or that were being made.
    Removing { dirs: Vec<PathBuf> },
}

impl Unfinished {
    /// The other map, beside the manifest's own.
    pub(crate) fn other(&self) -> Option<&SlotMap> {
        match self {
            Unfinished::Copying { next: other, .. } | Unfinished::Cleaning { other, .. } => Some(other),
            Unfinished::Removing { .. } => None,
        }
    }

    /// Where slots are going to.
    pub(crate) fn next(&self) -> Option<&SlotMap> {
        match self {
            Unfinished::Copying { next, .. } => Some(next),
            Unfinished::Cleaning { .. } | Unfinished::Removing { .. } => None,
        }
    }

    /// The most bytes a second that are copied; `None`: no rate was given.
    pub(crate) fn bytes_per_sec(&self) -> Option<u64> {
        match self {
            Unfinished::Copying { bytes_per_sec, .. } => *bytes_per_sec,
            Unfinished::Cleaning { .. } | Unfinished::Removing { .. } => None,
        }
    }

    /// The same at another rate; nothing if it copies no more.
    pub(crate) fn set_bytes_per_sec(&mut self, rate: Option<u64>) {
        if let Unfinished::Copying { bytes_per_sec, .. } = self {
            *bytes_per_sec = rate;
        }
    }

    /// How many shards there may be said to be while it lasts, beside those that there are.
    pub(crate) fn counts(&self) -> [usize; 2] {
        match self {
            Unfinished::Copying { shards_before, shards_after, .. } => [*shards_before, *shards_after],
            Unfinished::Cleaning { shards_after, .. } => [*shards_after; 2],
            Unfinished::Removing { .. } => [0; 2],
        }
    }

    /// Says of every shard that has rows of slots which live elsewhere, or will have, that it does.
    pub(crate) fn expect_strays<S: Deref<Target = Shard>>(&self, shards: &[S], map: &SlotMap) {
        for (_, here, there) in self.other().into_iter().flat_map(|other| differing(map, other)) {
            shards[here].expect_strays();
            shards[there].expect_strays();
        }
    }

    /// Whether it fits a store of so many shards and slots.
    pub(crate) fn check(&self, shards: usize, slots: u32) -> Result<(), String> {
        let Some(other) = self.other() else { return Ok(()) };
        if other.slots() != slots {
            return Err(format!("its rebalancing has {} slots, but its slot map has {slots}", other.slots()));
        }
        if self
            .counts()
            .into_iter()
            .chain(other.iter().map(|shard| shard + 1))
            .any(|count| count > shards || count == 0)
        {
            return Err(format!("its rebalancing names a shard that it has not: there are {shards}"));
        }
        Ok(())
    }
}

/// The slots that two maps put on different shards: the slot, the first map's shard, the second one's.
pub(crate) fn differing<'a>(a: &'a SlotMap, b: &'a SlotMap) -> impl Iterator<Item = (u32, usize, usize)> + 'a {
    (0..).zip(a.iter().zip(b.iter())).filter(|(_, (a, b))| a != b).map(|(slot, (a, b))| (slot, a, b))
}
