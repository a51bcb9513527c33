//! Slots on their way while a chain is executed: from shard to shard, to new shards and back.

use shingle::{Database, Move, Plan, RebalanceOptions, RebalanceRequest, RebalanceWait};

/// Every so many rebalancings a shard comes or goes.
const SHARDS_CHANGE_EVERY: u64 = 3;

/// Begins one rebalancing after the other.
#[derive(Debug)]
pub(crate) struct Mover {
    db: Database,
    /// The number of shards to which it comes back.
    shards: usize,
    begun: u64,
    /// Slots that were to move.
    pub(crate) slots: u64,
}

impl Mover {
    pub(crate) fn new(db: Database) -> Self {
        Mover { shards: db.shards(), db, begun: 0, slots: 0 }
    }

    /// Begins the next one, unless the last one is still under way. The store does the work by itself, while blocks are executed.
    pub(crate) fn go_on(&mut self) -> shingle::Result<()> {
        if self.db.rebalance_status().is_some() {
            return Ok(());
        }
        let plan = if self.shards == 1 || self.begun % SHARDS_CHANGE_EVERY == 1 {
            let to_shards = Some(if self.db.shards() == self.shards { self.shards + 1 } else { self.shards });
            self.db.plan_rebalance(&RebalanceRequest { to_shards, ..RebalanceRequest::default() })?.plan
        } else {
            self.rotation()
        };
        self.db.rebalance(&plan, RebalanceOptions { wait: RebalanceWait::Begun, bytes_per_sec: None }, &|_| {})?;
        self.begun += 1;
        self.slots += plan.moves.len() as u64;
        Ok(())
    }

    /// Every other slot goes to the next shard.
    fn rotation(&self) -> Plan {
        let shards = self.db.shards();
        let slots = (0..).zip(self.db.slot_owners()).skip(self.begun as usize % 2).step_by(2);
        let moves = slots.map(|(slot, from)| Move { slot, from, to: (from + 1) % shards }).collect();
        Plan { moves, shards_after: shards, new_dirs: Vec::new() }
    }
}
