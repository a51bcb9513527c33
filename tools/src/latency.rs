//! Latencies, and their percentiles.

use hdrhistogram::{CreationError, Histogram};
use std::time::Duration;

/// Longer latencies count as this long.
const MAX: Duration = Duration::from_secs(3600);

/// Digits that matter.
const DIGITS: u8 = 3;

/// A histogram of latencies, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, CreationError> {
        Histogram::new_with_max(MAX.as_nanos() as u64, DIGITS).map(Latencies)
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// `0.99`: ninety-nine of a hundred were not longer.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// How many were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn merge(&mut self, other: &Latencies) {
        // Both have the same bounds, so that nothing is out of them.
        self.0.add(&other.0).expect("histograms of the same bounds can be added");
    }
}

#[cfg(test)]
mod tests {
    use super::Latencies;
    use std::time::Duration;

    #[test]
    fn percentiles_have_three_digits() {
        let mut some = Latencies::new().expect("the bounds are sound");
        let mut others = some.clone();
        (1..=50).for_each(|ms| some.record(Duration::from_millis(ms)));
        (51..=100).for_each(|ms| others.record(Duration::from_millis(ms)));
        some.merge(&others);
        assert_eq!(some.count(), 100);
        let near = |quantile, ms: f64| (some.quantile(quantile).as_secs_f64() * 1e3 / ms - 1.0).abs() < 1e-3;
        assert!(near(0.50, 50.0) && near(0.99, 99.0), "{:?}, {:?}", some.quantile(0.50), some.quantile(0.99));
    }
}
