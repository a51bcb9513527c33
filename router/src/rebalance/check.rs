//! Whether a plan fits the store.

use super::Plan;
use crate::shards::Topology;
use crate::slot::{SHARDS_MAX, SlotMap};
use crate::{Error, Result};

/// The slot map that the plan leads to.
pub(super) fn check(plan: &Plan, topology: &Topology) -> Result<SlotMap> {
    let refuse = |what: String| Err(Error::InvalidArgument { what: format!("this rebalancing cannot be: {what}") });
    let (map, shards) = (&topology.map, topology.all().len());
    let after = plan.shards_after;
    if after == 0 || after > SHARDS_MAX || after > map.slots() as usize {
        return refuse(format!("there would be {after} shards; a store has 1 to {SHARDS_MAX}, and a slot for each"));
    }
    let mut next: Vec<usize> = map.iter().collect();
    let mut moved = vec![false; next.len()];
    for &super::Move { slot, from, to } in &plan.moves {
        let Some(owner) = next.get_mut(slot as usize) else {
            return refuse(format!("there is no slot {slot}, there are {}", map.slots()));
        };
        if std::mem::replace(&mut moved[slot as usize], true) {
            return refuse(format!("slot {slot} moves twice"));
        }
        if *owner != from {
            return refuse(format!("slot {slot} lives on shard {owner}, not on {from}"));
        }
        if to >= shards.max(after) || to == from {
            return refuse(format!("slot {slot} cannot go from shard {from} to {to}"));
        }
        *owner = to;
    }
    match (0..).zip(&next).find(|(_, shard)| **shard >= after) {
        Some((slot, shard)) => {
            let slot: u32 = slot;
            refuse(format!("slot {slot} would be on shard {shard}, and there would be {after} shards"))
        }
        None => Ok(map.replaced(next)),
    }
}
