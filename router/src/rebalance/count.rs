//! Slots counted: every shard gets its number of them.

use super::goal::Shortfall;

/// New owners of all slots, each shard's share in loads of `load` a slot, and which shards are off it for want of smaller slots.
pub(super) fn spread(
    owners: &[usize],
    weights: &[f64],
    threshold: f64,
    load: u64,
) -> (Vec<usize>, Vec<f64>, Vec<Shortfall>) {
    let total: f64 = weights.iter().sum();
    let ideal: Vec<_> = weights.iter().map(|weight| owners.len() as f64 * weight / total).collect();
    let mut counts = vec![0; weights.len()];
    owners.iter().for_each(|&shard| counts[shard] += 1);
    let near = |(count, ideal): (&usize, &f64)| {
        let off = (*count as f64 - ideal).abs();
        // A share that is no whole number of slots is met by either neighbour.
        off <= threshold * ideal || (*ideal > 0.0 && off < 1.0)
    };
    let mut placed = owners.to_vec();
    if !counts.iter().zip(&ideal).all(near) {
        let shares = whole_shares(&counts, &ideal);
        place(&mut placed, counts.clone(), &shares);
        counts = shares;
    }
    let share = |ideal: f64| ideal * load as f64;
    // Where no slot carries anything, none carries too much.
    let off = |&shard: &usize| load > 0 && (counts[shard] as f64 - ideal[shard]).abs() > threshold * ideal[shard];
    let shortfall = |shard: usize| Shortfall::SlotsTooCoarse {
        shard,
        load: load.saturating_mul(counts[shard] as u64),
        share: share(ideal[shard]),
    };
    let shortfalls = (0..counts.len()).filter(off).map(shortfall).collect();
    (placed, ideal.iter().map(|&ideal| share(ideal)).collect(), shortfalls)
}

/// Whole numbers of slots that add up, each beside its ideal. Who has one slot more is who would otherwise give it away: so fewest move.
fn whole_shares(counts: &[usize], ideal: &[f64]) -> Vec<usize> {
    let mut shares: Vec<_> = ideal.iter().map(|ideal| ideal.floor() as usize).collect();
    let mut left = counts.iter().sum::<usize>() - shares.iter().sum::<usize>();
    let mut order: Vec<_> = (0..shares.len()).filter(|&shard| ideal[shard] > 0.0).collect();
    let fraction = |shard: usize| ideal[shard] - ideal[shard].floor();
    let keeps_one = |shard: usize| counts[shard] > shares[shard] && fraction(shard) > 0.0;
    order.sort_by(|&a, &b| keeps_one(b).cmp(&keeps_one(a)).then(fraction(b).total_cmp(&fraction(a))).then(a.cmp(&b)));
    // Once round at the most: the fractions add up to less than one a shard.
    for shard in order.into_iter().cycle() {
        if left == 0 {
            break;
        }
        shares[shard] += 1;
        left -= 1;
    }
    shares
}

/// Gives what shards have too many to those that have too few, neighbours together, so that the map stays short.
fn place(placed: &mut [usize], mut counts: Vec<usize>, shares: &[usize]) {
    let mut needy = (0..shares.len()).filter(|&shard| counts[shard] < shares[shard]).collect::<Vec<_>>().into_iter();
    let Some(mut target) = needy.next() else { return };
    let mut missing = shares[target] - counts[target];
    // From the back: the first run of a shard's slots stays where it is.
    for owner in placed.iter_mut().rev() {
        if counts[*owner] <= shares[*owner] {
            continue;
        }
        counts[*owner] -= 1;
        while missing == 0 {
            let Some(next) = needy.next() else { return };
            (target, missing) = (next, shares[next] - counts[next]);
        }
        *owner = target;
        missing -= 1;
    }
}
