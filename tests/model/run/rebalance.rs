//! Slots on their way beside everything else: begun, waited for, given up, cut short by a reopening.

use super::Run;
use rand::Rng;
use shingle::{Error, Move, Plan, RebalanceOptions, RebalanceWait};

/// So slow that a hundred other operations come between its steps.
const SLOW_BYTES_PER_SEC: u64 = 20_000;

impl Run {
    pub(super) fn rebalance(&mut self) {
        let wait = match self.rng.random_range(0..4) {
            0 | 1 => RebalanceWait::Begun,
            2 => RebalanceWait::HandedOver,
            _ => {
                // It waits for older snapshots, and would for ever.
                self.kept.clear();
                RebalanceWait::Finished
            }
        };
        let slow = wait == RebalanceWait::Begun && self.rng.random();
        let options = RebalanceOptions { wait, bytes_per_sec: slow.then_some(SLOW_BYTES_PER_SEC) };
        let was_under_way = self.db().rebalance_status().is_some();
        let plan = self.plan();
        self.ops += 1;
        match self.db().rebalance(&plan, options, &|_| {}) {
            Ok(_) => {}
            Err(Error::RebalanceUnfinished { .. }) => {
                assert!(was_under_way, "nothing was under way");
                return;
            }
            Err(error) => panic!("a plan that fits: {error}"),
        }
        if wait != RebalanceWait::Begun {
            let owners = self.db().slot_owners();
            assert!(plan.moves.iter().all(|moved| owners[moved.slot as usize] == moved.to));
        }
        if wait == RebalanceWait::Finished {
            assert_eq!((self.db().rebalance_status(), self.db().shards()), (None, plan.shards_after));
        }
    }

    /// To a few shards more or fewer, many slots or few.
    fn plan(&mut self) -> Plan {
        let around = self.shape.shards;
        let shards_after = self.rng.random_range(around.saturating_sub(2).max(1)..=around + 2);
        let of = [1, 3, 50][self.rng.random_range(0..3)];
        let mut moves = Vec::new();
        for (slot, from) in (0..).zip(self.db().slot_owners()) {
            let to = self.rng.random_range(0..shards_after);
            if to != from && (from >= shards_after || self.rng.random_ratio(1, of)) {
                moves.push(Move { slot, from, to });
            }
        }
        Plan { moves, shards_after, new_dirs: Vec::new() }
    }

    pub(super) fn give_up_rebalance(&mut self) {
        let owners = self.db().slot_owners();
        match self.db().abort_rebalance() {
            Ok(()) => assert_eq!(self.db().slot_owners(), owners, "every slot stays where it was"),
            Err(Error::NoRebalance | Error::RebalanceHandedOver) => {}
            Err(error) => panic!("a sound store: {error}"),
        }
        self.ops += 1;
    }
}
