//! What a rebalancing is to reach, and what keeps it from that.

use crate::slot::SHARDS_MAX;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// By how much a shard may be off its share before anything is moved, in per cent, unless it is said otherwise.
pub const THRESHOLD_PERCENT_DEFAULT: f64 = 2.0;

/// What is to be the same on every shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// The number of slots: keys spread evenly, whatever was written so far.
    #[default]
    Slots,
    /// Bytes of keys and values, as estimated for each slot.
    Bytes,
    /// Reads and writes, the recent ones above all.
    Heat,
}

/// What a plan is to reach.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Goal {
    /// How many shards there are to be.
    pub shards_after: usize,
    /// Shards that are to carry another share than 1; 0 empties one.
    pub weights: BTreeMap<usize, f64>,
    /// Nothing is moved while every shard is within so many per cent of its share.
    pub threshold_percent: f64,
}

/// Why a plan leaves a shard further from its share than the threshold.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Shortfall {
    /// One slot is more than a shard's whole share. It has its shard to itself; the others share the rest.
    SlotTooHeavy {
        /// The slot.
        slot: u32,
        /// The shard that it is on in the end.
        shard: usize,
        /// What the slot carries.
        load: u64,
        /// What its shard should carry.
        share: f64,
    },
    /// Slots are whole: no move of one brings the shard closer to its share.
    SlotsTooCoarse {
        /// The shard.
        shard: usize,
        /// What it carries in the end.
        load: u64,
        /// What it should carry.
        share: f64,
    },
}

impl std::fmt::Display for Shortfall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shortfall::SlotTooHeavy { slot, shard, load, share } => write!(
                f,
                "slot {slot} alone carries {load}, and a shard's share is {share:.0}: shard {shard} has it to itself"
            ),
            Shortfall::SlotsTooCoarse { shard, load, share } => write!(
                f,
                "shard {shard} carries {load} where {share:.0} is its share: no move of a whole slot brings it closer"
            ),
        }
    }
}

impl Goal {
    /// Even shares over `shards_after` shards.
    #[must_use]
    pub fn even(shards_after: usize) -> Self {
        Goal { shards_after, weights: BTreeMap::new(), threshold_percent: THRESHOLD_PERCENT_DEFAULT }
    }

    /// The weight of each shard from 0 to `shards`, those that are to be removed included: these have none.
    pub(super) fn weights(&self, shards: usize, slots: usize) -> Result<Vec<f64>> {
        let refuse = |what: String| Err(Error::RebalanceRefused { what });
        if self.shards_after == 0 || self.shards_after > SHARDS_MAX || self.shards_after > slots {
            let most = SHARDS_MAX.min(slots);
            return refuse(format!(
                "a store of {slots} slots has 1 to {most} shards; {} were given",
                self.shards_after
            ));
        }
        if !(0.0..=100.0).contains(&self.threshold_percent) {
            return refuse(format!("a threshold is 0 to 100 per cent; {} was given", self.threshold_percent));
        }
        let mut weights = vec![1.0; self.shards_after];
        for (&shard, &weight) in &self.weights {
            if shard >= self.shards_after {
                return refuse(format!("a weight is for one of {} shards; {shard} is none", self.shards_after));
            }
            if !(0.0..=1000.0).contains(&weight) {
                return refuse(format!("the weight of shard {shard} must be 0 to 1000; {weight} was given"));
            }
            weights[shard] = weight;
        }
        if weights.iter().sum::<f64>() <= 0.0 {
            return refuse("every shard has the weight 0: there is none left to carry anything".to_owned());
        }
        weights.resize(shards.max(self.shards_after), 0.0);
        Ok(weights)
    }
}
