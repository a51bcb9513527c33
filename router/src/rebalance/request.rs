//! What an operator asks for, and what it would come to.

use super::estimate::{Held, written};
use super::goal::{Balance, Goal, Shortfall, THRESHOLD_PERCENT_DEFAULT};
use super::plan::{Move, Plan};
use super::planner::{Occupancy, Planned, ShardShare};
use crate::core::Core;
use crate::slot_stats::SlotStatistics;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Bring every shard to its share.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RebalanceRequest {
    /// How many shards there are to be; `None`: as many as there are.
    pub to_shards: Option<usize>,
    /// What is to be even.
    pub by: Balance,
    /// Nothing is moved while every shard is within so many per cent of its share.
    pub threshold_percent: f64,
    /// Shards that are to carry another share than 1; 0 empties one.
    pub weights: BTreeMap<usize, f64>,
    /// Directories over which new shards are spread in turn; empty: below the store's own.
    pub shard_dirs: Vec<PathBuf>,
    /// Bytes that are copied in a second at the most; `None`: as many as the disks take.
    pub rate_bytes_per_sec: Option<u64>,
}

impl Default for RebalanceRequest {
    fn default() -> Self {
        RebalanceRequest {
            to_shards: None,
            by: Balance::default(),
            threshold_percent: THRESHOLD_PERCENT_DEFAULT,
            weights: BTreeMap::new(),
            shard_dirs: Vec::new(),
            rate_bytes_per_sec: None,
        }
    }
}

/// Move these slots.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReshardRequest {
    /// The shard that they all live on.
    pub from: usize,
    /// The shard that they go to.
    pub to: usize,
    /// The slots: first and last of each range.
    pub slots: Vec<RangeInclusive<u32>>,
    /// Bytes that are copied in a second at the most; `None`: as many as the disks take.
    #[serde(default)]
    pub rate_bytes_per_sec: Option<u64>,
}

/// What a rebalancing would do, and what it would come to. Nothing is changed yet.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Simulation {
    /// What moves.
    pub plan: Plan,
    /// What is evened out; `None`: the slots were named.
    pub by: Option<Balance>,
    /// Each shard that there is before or after. Loads are slots, bytes or operations, by what is evened out.
    pub shards: Vec<ShardShare>,
    /// How many shards there are now.
    pub shards_before: usize,
    /// Bytes that are written to copy them, estimated: the rows, and on shards that have slots already those parts of the index of
    /// changes that are merged.
    pub bytes: u64,
    /// How long copying them takes at the rate that was asked for, in seconds; `None`: no rate was.
    pub seconds: Option<f64>,
    /// Why shards stay further from their shares than the threshold.
    pub shortfalls: Vec<Shortfall>,
}

impl Simulation {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plan.moves.is_empty() && self.plan.shards_after == self.shards_before
    }
}

impl Core {
    pub(crate) fn plan_rebalance(&self, request: &RebalanceRequest) -> Result<Simulation> {
        let statistics = self.slot_stats();
        let occupancy = self.occupancy(&statistics, request.by);
        let shards_after = request.to_shards.unwrap_or(occupancy.shards);
        let goal =
            Goal { shards_after, weights: request.weights.clone(), threshold_percent: request.threshold_percent };
        if shards_after <= occupancy.shards && !request.shard_dirs.is_empty() {
            let what = "directories for new shards were given, but no shard is added".to_owned();
            return Err(Error::RebalanceRefused { what });
        }
        let Planned { moves, shards, shortfalls } = occupancy.plan(&goal)?;
        let plan = Plan { moves, shards_after, new_dirs: request.shard_dirs.clone() };
        let rate = request.rate_bytes_per_sec;
        Ok(self.simulation(plan, &statistics, occupancy.shards, rate, Some(request.by), shards, shortfalls))
    }

    pub(crate) fn plan_reshard(&self, request: &ReshardRequest) -> Result<Simulation> {
        let statistics = self.slot_stats();
        let occupancy = self.occupancy(&statistics, Balance::Slots);
        let refuse = |what: String| Err(Error::RebalanceRefused { what });
        let ReshardRequest { from, to, .. } = *request;
        if let Some(shard) = [from, to].into_iter().find(|&shard| shard >= occupancy.shards) {
            return refuse(format!("there is no shard {shard}: the store has {}", occupancy.shards));
        }
        if from == to {
            return refuse(format!("slots of shard {from} cannot move to shard {to}: it is the same"));
        }
        // However often a slot is named, it takes no more room.
        let mut named = vec![false; occupancy.owners.len()];
        for range in &request.slots {
            match (range.start(), range.end()) {
                (first, last) if first > last => return refuse(format!("no slots are from {first} to {last}")),
                (_, last) if *last as usize >= occupancy.owners.len() => {
                    return refuse(format!("there is no slot {last}: the store has {}", occupancy.owners.len()));
                }
                (&first, &last) => named[first as usize..=last as usize].fill(true),
            }
        }
        let slots: Vec<u32> = (0..).zip(&named).filter(|(_, named)| **named).map(|(slot, _)| slot).collect();
        if slots.is_empty() {
            return refuse("no slot was named".to_owned());
        }
        if let Some(&slot) = slots.iter().find(|&&slot| occupancy.owners[slot as usize] != from) {
            return refuse(format!("slot {slot} is not on shard {from} but on {}", occupancy.owners[slot as usize]));
        }
        let moves: Vec<_> = slots.into_iter().map(|slot| Move { slot, from, to }).collect();
        let shards = occupancy.shares_after(&moves);
        let plan = Plan { moves, shards_after: occupancy.shards, new_dirs: Vec::new() };
        let rate = request.rate_bytes_per_sec;
        Ok(self.simulation(plan, &statistics, occupancy.shards, rate, None, shards, Vec::new()))
    }

    fn occupancy(&self, statistics: &SlotStatistics, by: Balance) -> Occupancy {
        let slots = &statistics.slots;
        let load = |slot: &crate::slot_stats::SlotStats| match by {
            Balance::Slots => 1,
            Balance::Bytes => slot.bytes,
            Balance::Heat => slot.heat(),
        };
        Occupancy {
            shards: self.shards.now().all().len(),
            owners: slots.iter().map(|slot| slot.shard).collect(),
            loads: slots.iter().map(load).collect(),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the answer")]
    fn simulation(
        &self,
        plan: Plan,
        statistics: &SlotStatistics,
        shards_before: usize,
        rate: Option<u64>,
        by: Option<Balance>,
        shards: Vec<ShardShare>,
        shortfalls: Vec<Shortfall>,
    ) -> Simulation {
        let held: Vec<_> = self.shards.now().all().iter().map(|shard| Held::by(shard)).collect();
        let versions = self.visible().saturating_sub(self.snapshots.floor());
        let bytes = written(&plan.moves, statistics, &held, versions);
        let seconds = rate.filter(|&rate| rate > 0).map(|rate| bytes as f64 / rate as f64);
        Simulation { plan, by, shards, shards_before, bytes, seconds, shortfalls }
    }
}
