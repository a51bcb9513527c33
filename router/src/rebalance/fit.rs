//! Loads fitted to shares: slots of different weight, which are moved whole.

use super::goal::Shortfall;
use super::planner::Occupancy;
use std::collections::BTreeSet;

/// A distribution of slots on its way to the shares.
pub(super) struct Fit<'a> {
    loads: &'a [u64],
    owners: Vec<usize>,
    shards: Vec<Shard>,
    threshold: f64,
    shortfalls: Vec<Shortfall>,
}

struct Shard {
    /// 0: it carries nothing in the end.
    weight: f64,
    share: f64,
    carries: f64,
    /// How many slots a new shard should get, whatever they carry: keys that are written later fall on any of them. `None`: it is not new.
    slots_wanted: Option<usize>,
    /// (load, slot)
    slots: BTreeSet<(u64, u32)>,
    /// The slot that is heavier than the share: it stays, and everything else leaves.
    pinned: Option<u32>,
}

impl Shard {
    /// By how much it is over its share; negative: under.
    fn off(&self) -> f64 {
        self.carries - self.share
    }

    fn is_off(&self, threshold: f64) -> bool {
        self.off().abs() > threshold * self.share
    }

    /// How many slots it should still get; `None`: as few as will do.
    fn slots_lacking(&self) -> Option<usize> {
        self.slots_wanted?.checked_sub(self.slots.len()).filter(|&slots| slots > 0)
    }

    fn takes_load(&self) -> bool {
        self.weight > 0.0 && self.pinned.is_none()
    }
}

impl<'a> Fit<'a> {
    pub(super) fn new(occupancy: &'a Occupancy, weights: &[f64], threshold: f64) -> Self {
        let (total, total_weight) = (sum(&occupancy.loads), weights.iter().sum::<f64>());
        let shard = |&weight: &f64| Shard {
            weight,
            share: total * weight / total_weight,
            carries: 0.0,
            slots_wanted: Some((occupancy.owners.len() as f64 * weight / total_weight) as usize),
            slots: BTreeSet::new(),
            pinned: None,
        };
        let mut shards: Vec<_> = weights.iter().map(shard).collect();
        for (slot, (&owner, &load)) in (0..).zip(occupancy.owners.iter().zip(&occupancy.loads)) {
            shards[owner].carries += load as f64;
            shards[owner].slots.insert((load, slot));
            shards[owner].slots_wanted = None;
        }
        let owners = occupancy.owners.clone();
        Fit { loads: &occupancy.loads, owners, shards, threshold, shortfalls: Vec::new() }
    }

    /// New owners of all slots, the shards' shares, and what is not reached.
    pub(super) fn solve(mut self) -> (Vec<usize>, Vec<f64>, Vec<Shortfall>) {
        self.pin_heavy();
        if !self.is_within() {
            self.evacuate();
            self.even_out();
            self.fill_up();
        }
        for (shard, carrier) in self.shards.iter().enumerate() {
            if carrier.is_off(self.threshold) {
                let (load, share) = (carrier.carries as u64, carrier.share);
                self.shortfalls.push(Shortfall::SlotsTooCoarse { shard, load, share });
            }
        }
        (self.owners, self.shards.iter().map(|shard| shard.share).collect(), self.shortfalls)
    }

    /// Gives each slot that is more than any shard's share a shard to itself, where it is if that can be; the others share the rest.
    fn pin_heavy(&mut self) {
        let mut by_load: Vec<_> = (0..).zip(self.loads).map(|(slot, &load)| (load, slot)).collect();
        by_load.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut rest = sum(self.loads);
        for (load, slot) in by_load {
            let open: Vec<_> = (0..self.shards.len()).filter(|&shard| self.shards[shard].takes_load()).collect();
            let open_weight: f64 = open.iter().map(|&shard| self.shards[shard].weight).sum();
            let heaviest =
                |&a: &usize, &b: &usize| self.shards[a].weight.total_cmp(&self.shards[b].weight).then(b.cmp(&a));
            let Some(largest) = open.iter().copied().max_by(heaviest) else { break };
            for &shard in &open {
                let carrier = &mut self.shards[shard];
                carrier.share = rest * carrier.weight / open_weight;
            }
            let share = self.shards[largest].share;
            if open.len() < 2 || load as f64 <= share * (1.0 + self.threshold) {
                break;
            }
            let shard = Some(self.owners[slot as usize]).filter(|owner| open.contains(owner)).unwrap_or(largest);
            self.shortfalls.push(Shortfall::SlotTooHeavy { slot, shard, load, share });
            self.shards[shard].pinned = Some(slot);
            self.shards[shard].share = load as f64;
            rest -= load as f64;
        }
    }

    fn is_within(&self) -> bool {
        let within = |(number, shard): (usize, &Shard)| {
            let pinned_is_here = shard.pinned.is_none_or(|slot| self.owners[slot as usize] == number);
            pinned_is_here && !shard.is_off(self.threshold) && (shard.weight > 0.0 || shard.slots.is_empty())
        };
        self.shards.iter().enumerate().all(within)
    }

    /// Takes slots from where none may stay, heavy ones first: what comes last fills the gaps.
    fn evacuate(&mut self) {
        let pinned: Vec<_> = (0..).zip(&self.shards).filter_map(|(to, shard)| Some((shard.pinned?, to))).collect();
        for (slot, to) in pinned {
            self.give(slot, to);
        }
        let mut homeless: Vec<_> =
            self.shards.iter().filter(|shard| shard.weight == 0.0).flat_map(|s| &s.slots).copied().collect();
        homeless.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (load, slot) in homeless {
            let room = |&a: &usize, &b: &usize| self.shards[b].off().total_cmp(&self.shards[a].off());
            let fewer = |&a: &usize, &b: &usize| {
                let crowd = |shard: &Shard| shard.slots.len() as f64 / shard.weight;
                crowd(&self.shards[b]).total_cmp(&crowd(&self.shards[a])).then(b.cmp(&a))
            };
            let carriers = (0..self.shards.len()).filter(|&shard| self.shards[shard].weight > 0.0);
            // What carries nothing goes by number, wherever there are fewest.
            let to = match load {
                0 => carriers.max_by(fewer),
                _ => carriers.max_by(|a, b| room(a, b).then_with(|| fewer(a, b))),
            };
            if let Some(to) = to {
                self.give(slot, to);
            }
        }
    }

    /// Moves one slot after the other from a shard that has too much to the one that lacks most, until all are within the threshold or none
    /// can be moved that makes it better. The sum of the squares of what shards are off falls with each step, so it ends.
    fn even_out(&mut self) {
        let mut exhausted = vec![false; self.shards.len()];
        while self.shards.iter().any(|shard| shard.is_off(self.threshold)) {
            let by_off = |&a: &usize, &b: &usize| self.shards[b].off().total_cmp(&self.shards[a].off()).then(b.cmp(&a));
            let open = (0..self.shards.len()).filter(|&shard| self.shards[shard].takes_load());
            let Some(to) = open.max_by(by_off) else { return };
            let excess = |shard: usize| self.shards[shard].off() / self.shards[shard].share.max(1.0);
            let over = (0..self.shards.len()).filter(|&shard| !exhausted[shard] && self.shards[shard].off() > 0.0);
            let Some(from) = over.max_by(|&a, &b| excess(a).total_cmp(&excess(b)).then(b.cmp(&a))) else { return };
            match self.best(from, to) {
                Some(slot) => {
                    self.give(slot, to);
                    exhausted.fill(false);
                }
                None => exhausted[from] = true,
            }
        }
    }

    /// A slot that leaves neither shard on the other side of its share: the heaviest, or for a new shard one of the weight that it needs on average;
    /// else the lightest that brings both closer taken together.
    fn best(&self, from: usize, to: usize) -> Option<u32> {
        let (excess, lack) = (self.shards[from].off(), -self.shards[to].off());
        if lack <= 0.0 {
            return None;
        }
        let fits = excess.min(lack) as u64;
        let pinned = self.shards[from].pinned;
        let slots = &self.shards[from].slots;
        let free = |&&(load, slot): &&(u64, u32)| load > 0 && pinned != Some(slot);
        let average = self.shards[to].slots_lacking().map_or(fits, |slots| fits.min((lack / slots as f64) as u64));
        let whole = slots.range(..=(average, u32::MAX)).rev().find(free);
        let heavier = || slots.range((average + 1, 0)..).find(free).filter(|(load, _)| (*load as f64) < excess + lack);
        whole.or_else(heavier).map(|&(_, slot)| slot)
    }

    /// Gives new shards slots that carry nothing, from where there are most, as far as they have fewer slots than others.
    fn fill_up(&mut self) {
        for to in 0..self.shards.len() {
            while self.shards[to].slots_lacking().is_some() {
                let crowd = |&shard: &usize| self.shards[shard].slots.len() as f64 / self.shards[shard].weight;
                let idle = |&shard: &usize| self.shards[shard].slots.first().is_some_and(|&(load, _)| load == 0);
                let others = (0..self.shards.len()).filter(|&shard| shard != to && self.shards[shard].weight > 0.0);
                let most = others.filter(idle).max_by(|a, b| crowd(a).total_cmp(&crowd(b)).then(b.cmp(a)));
                let Some(from) = most.filter(|from| crowd(from) > crowd(&to) + 1.0) else { break };
                let Some(&(_, slot)) = self.shards[from].slots.range(..=(0, u32::MAX)).next_back() else { break };
                self.give(slot, to);
            }
        }
    }

    fn give(&mut self, slot: u32, to: usize) {
        let (from, load) = (self.owners[slot as usize], self.loads[slot as usize]);
        self.shards[from].slots.remove(&(load, slot));
        self.shards[from].carries -= load as f64;
        self.shards[to].slots.insert((load, slot));
        self.shards[to].carries += load as f64;
        self.owners[slot as usize] = to;
    }
}

fn sum(loads: &[u64]) -> f64 {
    loads.iter().map(|&load| load as f64).sum()
}
