//! The planner, over many distributions: what it must never do, and how close it must come.

use super::{Goal, Occupancy, Planned, Shortfall};
use crate::slot::{RoutingKey, SlotMap, Slots};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn even(slots: u32, shards: usize) -> Occupancy {
    Occupancy { shards, owners: SlotMap::even(slots, shards).iter().collect(), loads: vec![1; slots as usize] }
}

/// The owners after the moves. Fails where a slot moves twice, or from where it is not.
fn moved(occupancy: &Occupancy, planned: &Planned) -> Vec<usize> {
    let mut owners = occupancy.owners.clone();
    let mut seen = vec![false; owners.len()];
    for step in &planned.moves {
        let slot = step.slot as usize;
        assert!(!std::mem::replace(&mut seen[slot], true), "slot {slot} moves twice");
        assert_eq!(owners[slot], step.from, "slot {slot}");
        assert_ne!(step.from, step.to, "slot {slot}");
        owners[slot] = step.to;
    }
    owners
}

fn loads(occupancy: &Occupancy, owners: &[usize], shards: usize) -> Vec<u64> {
    let mut sums = vec![0; shards];
    owners.iter().zip(&occupancy.loads).for_each(|(&shard, load)| sums[shard] += load);
    sums
}

fn counts(owners: &[usize], shards: usize) -> Vec<usize> {
    let mut counts = vec![0; shards];
    owners.iter().for_each(|&shard| counts[shard] += 1);
    counts
}

fn plan(occupancy: &Occupancy, goal: &Goal) -> Planned {
    occupancy.plan(goal).expect("a goal within bounds")
}

/// What holds of every plan.
fn check(occupancy: &Occupancy, goal: &Goal) -> (Planned, Vec<usize>) {
    let planned = plan(occupancy, goal);
    assert_eq!(plan(occupancy, goal), planned, "the same input gives the same plan");
    let owners = moved(occupancy, &planned);
    let shards = occupancy.shards.max(goal.shards_after);
    let (before, after) = (counts(&occupancy.owners, shards), counts(&owners, shards));
    let sums = loads(occupancy, &owners, shards);
    for share in &planned.shards {
        assert_eq!((share.slots_before, share.slots_after), (before[share.shard] as u64, after[share.shard] as u64));
        assert_eq!(share.load_after, sums[share.shard]);
        let weight = goal.weights.get(&share.shard).copied().unwrap_or(1.0);
        if share.shard >= goal.shards_after || weight == 0.0 {
            assert_eq!((share.slots_after, share.share), (0, 0.0), "shard {} is to be empty", share.shard);
            continue;
        }
        let off = (share.load_after as f64 - share.share).abs();
        let excused = planned.shortfalls.iter().any(|shortfall| match *shortfall {
            Shortfall::SlotTooHeavy { shard, .. } | Shortfall::SlotsTooCoarse { shard, .. } => shard == share.shard,
        });
        assert!(excused || off <= goal.threshold_percent / 100.0 * share.share + 1e-6, "{share:?} of {goal:?}");
    }
    // What is done is done: a second plan has nothing to move.
    let then = Occupancy { shards, owners: owners.clone(), loads: occupancy.loads.clone() };
    if planned.shortfalls.is_empty() && shards == goal.shards_after {
        assert_eq!(plan(&then, goal).moves, [], "{goal:?}");
    }
    (planned, owners)
}

#[test]
fn slots_are_evened_out_to_the_last_one_with_as_few_moves_as_can_be() {
    for (slots, before, after) in
        [(4096, 4, 8), (4096, 8, 4), (4096, 8, 16), (4096, 7, 12), (100, 3, 7), (4096, 1, 1024), (9, 9, 1)]
    {
        let occupancy = even(slots, before);
        let (planned, owners) = check(&occupancy, &Goal::even(after));
        let (had, has) = (counts(&occupancy.owners, before.max(after)), counts(&owners, before.max(after)));
        let (least, most) = (has[..after].iter().min(), has[..after].iter().max());
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{before} → {after}: {has:?}");
        // Nobody both gives and takes, so no plan to these counts has fewer moves.
        let given: usize = had.iter().zip(&has).map(|(had, has)| had.saturating_sub(*has)).sum();
        assert_eq!(planned.moves.len(), given, "{before} → {after}");
        // And no even counts are cheaper: who had more than the floor keeps the one above it, as far as there are any.
        let floor = slots as usize / after;
        let above = had.iter().take(after).filter(|had| **had > floor).count().min(slots as usize % after);
        let kept: usize = had.iter().take(after).map(|had| (*had).min(floor)).sum::<usize>() + above;
        assert_eq!(planned.moves.len(), slots as usize - kept, "{before} → {after}");
    }
}

#[test]
fn four_shards_to_eight_and_back_are_even_and_the_map_stays_short() {
    let four = even(4096, 4);
    let (grown, owners) = check(&four, &Goal::even(8));
    assert_eq!((grown.moves.len(), counts(&owners, 8)), (2048, vec![512; 8]));
    let eight = Occupancy { shards: 8, owners, loads: four.loads.clone() };
    let (shrunk, owners) = check(&eight, &Goal::even(4));
    assert_eq!((shrunk.moves.len(), counts(&owners, 8)), (2048, vec![1024, 1024, 1024, 1024, 0, 0, 0, 0]));
    assert!(owners.windows(2).filter(|pair| pair[0] != pair[1]).count() < 16, "runs of slots stay together");
}

#[test]
fn a_million_keys_are_within_three_per_cent_of_even_before_and_after() {
    let slots = Slots { routing: RoutingKey::Whole, count: 4096 };
    let four = even(4096, 4);
    let (_, eight) = check(&four, &Goal::even(8));
    let of_eight = Occupancy { shards: 8, owners: eight.clone(), loads: four.loads.clone() };
    let (_, twelve) = check(&of_eight, &Goal::even(12));
    let (_, sixteen) = check(&of_eight, &Goal::even(16));
    let mut rng = SmallRng::seed_from_u64(3);
    let mut keys = [[0_u64; 16]; 4];
    for _ in 0..1_000_000 {
        let key: [u8; 32] = rng.random();
        let slot = slots.slot_of(&key) as usize;
        for (counted, owners) in keys.iter_mut().zip([&four.owners, &eight, &twelve, &sixteen]) {
            counted[owners[slot]] += 1;
        }
    }
    for (counted, shards) in keys.iter().zip([4, 8, 12, 16]) {
        let mean = 1_000_000.0 / shards as f64;
        for (shard, &keys) in counted[..shards].iter().enumerate() {
            assert!((keys as f64 / mean - 1.0).abs() < 0.03, "shard {shard} of {shards} has {keys} keys");
        }
    }
}

#[test]
fn within_the_threshold_nothing_moves() {
    let mut occupancy = even(4096, 4);
    // 1.9 % of a shard's 1024 slots.
    occupancy.owners[..19].fill(1);
    assert_eq!(check(&occupancy, &Goal::even(4)).0.moves, []);
    let strict = Goal { threshold_percent: 1.0, ..Goal::even(4) };
    assert_eq!(check(&occupancy, &strict).0.moves.len(), 19);
    occupancy.owners[..22].fill(1);
    assert_eq!(check(&occupancy, &Goal::even(4)).0.moves.len(), 22);
}

#[test]
fn weights_are_shares_and_nought_empties_a_shard() {
    let occupancy = even(4096, 4);
    let goal = Goal { weights: [(3, 0.5), (1, 0.0)].into(), ..Goal::even(4) };
    let (_, owners) = check(&occupancy, &goal);
    // Of 1638.4, 1638.4 and 819.2 slots, the one that is left over stays where it is: on shard 3, which gives slots away.
    assert_eq!(counts(&owners, 4), [1638, 0, 1638, 820]);
}

/// Zipf, as keys of users are: the hottest slots are far above the mean, and none above a shard's share.
fn zipf(slots: u32, shards: usize, seed: u64) -> Occupancy {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut occupancy = even(slots, shards);
    for rank in 1..=20 * slots {
        let slot = rng.random_range(0..occupancy.loads.len());
        occupancy.loads[slot] += (1e7 / f64::from(rank).powf(0.99)) as u64;
    }
    occupancy
}

#[test]
fn hot_slots_are_spread_until_every_shard_is_within_the_threshold_or_it_is_said_why_not() {
    for seed in 0..20 {
        for (before, after) in [(8, 8), (4, 8), (8, 4), (3, 5), (16, 16)] {
            let occupancy = zipf(4096, before, seed);
            let (planned, owners) = check(&occupancy, &Goal::even(after));
            let sums = loads(&occupancy, &owners, before.max(after));
            let mean = sums.iter().sum::<u64>() as f64 / after as f64;
            for (shard, &load) in sums[..after].iter().enumerate() {
                let heavy = planned
                    .shortfalls
                    .iter()
                    .any(|s| matches!(s, Shortfall::SlotTooHeavy { shard: on, .. } if *on == shard));
                assert!(
                    heavy || load as f64 <= 1.25 * mean,
                    "shard {shard} carries {:.2} times the mean",
                    load as f64 / mean
                );
            }
        }
    }
}

#[test]
fn a_slot_hotter_than_a_share_keeps_its_shard_to_itself_and_the_others_share_the_rest() {
    let mut occupancy = even(64, 4);
    occupancy.loads = vec![10; 64];
    occupancy.loads[5] = 10_000;
    let (planned, owners) = check(&occupancy, &Goal::even(4));
    assert!(matches!(planned.shortfalls[..], [Shortfall::SlotTooHeavy { slot: 5, shard: 0, load: 10_000, .. }]));
    assert_eq!(loads(&occupancy, &owners, 4), [10_000, 210, 210, 210]);
    assert!(planned.shortfalls[0].to_string().contains("slot 5 alone carries 10000"));
    // Two of them on one shard: one has to go, and takes the shard of others.
    occupancy.loads[6] = 10_000;
    let (planned, owners) = check(&occupancy, &Goal::even(4));
    assert_eq!(planned.shortfalls.len(), 2);
    assert_ne!(owners[5], owners[6]);
    // On a shard that is to go it finds another.
    let (_, owners) = check(&occupancy, &Goal { weights: [(0, 0.0)].into(), ..Goal::even(4) });
    assert!(owners[5] != owners[6] && owners[5] != 0 && owners[6] != 0);
}

#[test]
fn random_distributions_keep_every_promise() {
    let mut rng = SmallRng::seed_from_u64(11);
    for round in 0..600 {
        let slots = rng.random_range(1..300_usize);
        let shards = rng.random_range(1..=slots.min(20));
        let owners = (0..slots).map(|_| rng.random_range(0..shards)).collect();
        let heaviest = [1, 2, 1000, 1 << 40][round % 4];
        let loads = (0..slots).map(|_| rng.random_range(0..=heaviest)).collect();
        let occupancy = Occupancy { shards, owners, loads };
        let shards_after = rng.random_range(1..=slots.min(20));
        let mut goal = Goal { threshold_percent: [0.0, 2.0, 10.0][round % 3], ..Goal::even(shards_after) };
        for shard in 1..shards_after {
            if rng.random_ratio(1, 3) {
                goal.weights.insert(shard, [0.0, 0.5, 2.0, 3.3][rng.random_range(0..4)]);
            }
        }
        check(&occupancy, &goal);
    }
}

/// A third of the slots carries anything, and few of them much: what is written later falls on the others too.
#[test]
fn new_shards_get_their_part_of_the_slots_that_carry_nothing() {
    let mut rng = SmallRng::seed_from_u64(5);
    let mut occupancy = even(4096, 8);
    occupancy.loads = (0..4096).map(|_| if rng.random_ratio(1, 3) { rng.random_range(1..1000) } else { 0 }).collect();
    let (_, owners) = check(&occupancy, &Goal::even(16));
    let counts = counts(&owners, 16);
    assert!(counts.iter().all(|slots| (240..272).contains(slots)), "{counts:?}");
}

#[test]
fn heat_moves_few_slots() {
    let mut occupancy = even(4096, 8);
    occupancy.loads = vec![100; 4096];
    // Shard 2 has twenty hot slots: a fifth above its share in all.
    occupancy.loads[1024..1044].fill(1000);
    let (planned, _) = check(&occupancy, &Goal::even(8));
    // 15 750 above its share of 53 450, of which two per cent may stay: fourteen hot slots, two for each of the others, and seven cold ones.
    assert_eq!(planned.moves.len(), 21);
    assert!(planned.moves.iter().all(|step| step.from == 2));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let occupancy = even(16, 4);
    let refused = |goal: Goal| occupancy.plan(&goal).is_err();
    assert!(refused(Goal::even(0)) && refused(Goal::even(17)) && refused(Goal::even(5000)));
    for weights in [[(4, 1.0)], [(0, -1.0)], [(0, f64::NAN)], [(0, 1e9)]] {
        assert!(refused(Goal { weights: weights.into(), ..Goal::even(4) }), "{weights:?}");
    }
    assert!(refused(Goal { weights: (0..4).map(|shard| (shard, 0.0)).collect(), ..Goal::even(4) }));
    for threshold_percent in [-1.0, 101.0, f64::NAN] {
        assert!(refused(Goal { threshold_percent, ..Goal::even(4) }));
    }
}
