//! Histograms that many threads add to without a lock.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds for what a commit or a sync takes, in microseconds: close where most commits lie, up to where something is wrong.
pub(crate) const LATENCY_MICROS: &[u64] = &[
    50, 100, 150, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 50_000,
    75_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// Upper bounds for work that takes up to minutes, in microseconds.
pub(crate) const WORK_MICROS: &[u64] = &[
    1_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// Upper bounds for how many commits go together.
pub(crate) const COMMITS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384];

/// Counts values by the bucket that they fall into. Adding costs two increments; nobody waits.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [u64],
    /// One more than there are bounds: the last one has no end.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [u64]) -> Self {
        Histogram { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    pub(crate) fn add(&self, value: u64) {
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// Many at once, in microseconds: neighbours of one bucket are added together.
    pub(crate) fn add_all(&self, values: impl Iterator<Item = u64>) {
        let (mut bucket, mut alike, mut sum) = (0, 0, 0_u64);
        for value in values {
            let at = self.bounds.partition_point(|&bound| bound < value);
            if at != bucket {
                self.counts[bucket].fetch_add(alike, Relaxed);
                (bucket, alike) = (at, 0);
            }
            alike += 1;
            sum = sum.wrapping_add(value);
        }
        self.counts[bucket].fetch_add(alike, Relaxed);
        self.sum.fetch_add(sum, Relaxed);
    }

    pub(crate) fn add_time(&self, time: Duration) {
        self.add(micros(time));
    }

    pub(crate) fn distribution(&self) -> Distribution {
        Distribution {
            bounds: self.bounds.to_vec(),
            counts: self.counts.iter().map(|count| count.load(Relaxed)).collect(),
            sum: self.sum.load(Relaxed),
        }
    }
}

/// In whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// How values were spread, since the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// The upper bound of each bucket but the last, which has none.
    pub bounds: Vec<u64>,
    /// How many values fell into each bucket: above the bound before, up to its own.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Distribution {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What came on top of `earlier`, a state of the same distribution.
    #[must_use]
    pub fn since(&self, earlier: &Distribution) -> Distribution {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then));
        Distribution {
            bounds: self.bounds.clone(),
            counts: counts.collect(),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }

    /// The value that a share of `quantile` does not pass, between the bounds of its bucket; `None` if there are no values. Above the last bound, that bound.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = quantile.clamp(0.0, 1.0) * self.count() as f64;
        let mut below = 0.0;
        for (bucket, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let lower = bucket.checked_sub(1).map_or(0.0, |before| self.bounds[before] as f64);
            if below + count as f64 >= rank {
                let upper = self.bounds.get(bucket).map_or(lower, |&bound| bound as f64);
                return Some(lower + (upper - lower) * (rank - below) / count as f64);
            }
            below += count as f64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let histogram = Histogram::new(&[10, 20]);
        histogram.add(0);
        histogram.add_all([10, 11, 20, 21].into_iter());
        let spread = histogram.distribution();
        assert_eq!((spread.counts.as_slice(), spread.sum, spread.count()), (&[2, 2, 1][..], 62, 5));
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let histogram = Histogram::new(LATENCY_MICROS);
        assert_eq!(histogram.distribution().quantile(0.5), None);
        (0..99).for_each(|_| histogram.add(400));
        histogram.add(40_000);
        let spread = histogram.distribution();
        assert!(spread.quantile(0.5).is_some_and(|p50| (300.0..=500.0).contains(&p50)), "{spread:?}");
        assert!(spread.quantile(0.999).is_some_and(|tail| (30_000.0..=50_000.0).contains(&tail)), "{spread:?}");
        histogram.add(u64::MAX / 2);
        assert_eq!(histogram.distribution().since(&spread).quantile(1.0), Some(10_000_000.0));
    }
}
