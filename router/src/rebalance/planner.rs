//! From a slot map and what its slots carry to the moves that even it out. Pure: the same input gives the same plan.

use super::fit::Fit;
use super::goal::{Goal, Shortfall};
use super::plan::Move;
use crate::{Error, Result};

/// Which shard each slot lives on, and what each slot carries: 1 where slots are counted, else bytes or operations.
#[derive(Clone, Debug)]
pub struct Occupancy {
    /// How many shards there are.
    pub shards: usize,
    /// The shard of each slot.
    pub owners: Vec<usize>,
    /// What each slot carries.
    pub loads: Vec<u64>,
}

/// What one shard carries before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ShardShare {
    /// The shard.
    pub shard: usize,
    /// Its slots now.
    pub slots_before: u64,
    /// Its slots in the end.
    pub slots_after: u64,
    /// What they carry now.
    pub load_before: u64,
    /// What they would carry in the end.
    pub load_after: u64,
    /// What the shard should carry.
    pub share: f64,
}

/// The moves that a goal takes, and what they come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The moves, by slot.
    pub moves: Vec<Move>,
    /// Each shard that there is before or after.
    pub shards: Vec<ShardShare>,
    /// What keeps shards further from their shares than the threshold.
    pub shortfalls: Vec<Shortfall>,
}

impl Occupancy {
    /// The moves that bring every shard to its share.
    ///
    /// Nothing moves while every shard is within the threshold of its share. Otherwise no slot moves that does not have to:
    /// counted slots are evened out to the last one with as few moves as there are slots too many; loads are moved until all shards
    /// are within the threshold, heavy slots first, so that few move.
    ///
    /// # Errors
    /// A number of shards, a weight or a threshold out of bounds.
    pub fn plan(&self, goal: &Goal) -> Result<Planned> {
        self.check()?;
        let weights = goal.weights(self.shards, self.owners.len())?;
        let threshold = goal.threshold_percent / 100.0;
        // Nothing known of what slots carry is as good as all carrying the same.
        let even = self.loads.iter().all(|&load| load == self.loads[0]);
        let (owners, shares, shortfalls) = if even {
            super::count::spread(&self.owners, &weights, threshold, self.loads[0])
        } else {
            Fit::new(self, &weights, threshold).solve()
        };
        Ok(self.planned(&owners, &shares, shortfalls))
    }

    /// What shards carry before and after moves that were named one by one: nobody's share is asked for.
    pub(super) fn shares_after(&self, moves: &[Move]) -> Vec<ShardShare> {
        let mut owners = self.owners.clone();
        moves.iter().for_each(|step| owners[step.slot as usize] = step.to);
        self.planned(&owners, &vec![0.0; self.shards], Vec::new()).shards
    }

    fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::RebalanceRefused { what: what.to_owned() });
        if self.owners.is_empty() || self.owners.len() != self.loads.len() {
            return refuse("every slot has one shard and one load");
        }
        if self.owners.iter().any(|&shard| shard >= self.shards) {
            return refuse("the slot map names a shard that there is not");
        }
        Ok(())
    }

    fn planned(&self, owners: &[usize], shares: &[f64], shortfalls: Vec<Shortfall>) -> Planned {
        let share = |(shard, &share): (usize, &f64)| ShardShare { shard, share, ..ShardShare::default() };
        let mut shards: Vec<_> = shares.iter().enumerate().map(share).collect();
        let mut moves = Vec::new();
        for (slot, (&from, &to)) in (0..).zip(self.owners.iter().zip(owners)) {
            let load = self.loads[slot as usize];
            shards[from].slots_before += 1;
            shards[from].load_before = shards[from].load_before.saturating_add(load);
            shards[to].slots_after += 1;
            shards[to].load_after = shards[to].load_after.saturating_add(load);
            if from != to {
                moves.push(Move { slot, from, to });
            }
        }
        Planned { moves, shards, shortfalls }
    }
}
