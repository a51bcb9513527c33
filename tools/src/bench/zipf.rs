//! Uneven choices: Zipf's law, as YCSB draws it.
//!
//! The generator is the one of J. Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (SIGMOD 1994), which YCSB uses
//! (B. F. Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010, with theta 0.99).

use rand::Rng;

/// Draws ranks from 0 to below `items`, rank r in proportion to 1 / (r + 1)^theta.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zipf {
    items: u64,
    theta: f64,
    alpha: f64,
    zeta_items: f64,
    eta: f64,
}

impl Zipf {
    pub(crate) fn new(items: u64, theta: f64) -> Self {
        let zeta = |n: u64| (1..=n).map(|rank| (rank as f64).powf(-theta)).sum::<f64>();
        let (zeta_items, zeta_two) = (zeta(items), zeta(2));
        let eta = (1.0 - (2.0 / items as f64).powf(1.0 - theta)) / (1.0 - zeta_two / zeta_items);
        Zipf { items, theta, alpha: 1.0 / (1.0 - theta), zeta_items, eta }
    }

    pub(crate) fn rank(&self, rng: &mut impl Rng) -> u64 {
        let uniform: f64 = rng.random();
        let scaled = uniform * self.zeta_items;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(self.theta) {
            return 1.min(self.items - 1);
        }
        let rank = self.items as f64 * (self.eta * uniform - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.items - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Zipf;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    /// The generator is exact for the first two ranks and close for the others.
    #[test]
    fn frequencies_follow_the_law() {
        const DRAWS: u32 = 400_000;
        let zipf = Zipf::new(1000, 0.99);
        let mut rng = SmallRng::seed_from_u64(7);
        let mut drawn = vec![0_u32; 1000];
        for _ in 0..DRAWS {
            drawn[zipf.rank(&mut rng) as usize] += 1;
        }
        let zeta: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-0.99)).sum();
        for (rank, tolerance) in [(0_usize, 0.03), (1, 0.04), (9, 0.3), (99, 0.3)] {
            let expected = f64::from(DRAWS) * ((rank + 1) as f64).powf(-0.99) / zeta;
            let ratio = f64::from(drawn[rank]) / expected;
            assert!((ratio - 1.0).abs() < tolerance, "rank {rank} was drawn {ratio:.3} times as often as it should be");
        }
    }

    #[test]
    fn every_rank_exists() {
        let mut rng = SmallRng::seed_from_u64(7);
        for items in [2, 3, 10] {
            for theta in [0.0, 0.5, 0.99] {
                let zipf = Zipf::new(items, theta);
                assert!((0..10_000).all(|_| zipf.rank(&mut rng) < items));
            }
        }
    }
}
