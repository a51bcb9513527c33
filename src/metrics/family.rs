//! Building what Prometheus calls a family: one name, one kind, one sample for each set of labels.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use shingle_router::Distribution;

/// Distributions are kept in whole microseconds; Prometheus wants seconds.
const MICROS_PER_SECOND: f64 = 1e6;

/// Families under construction.
#[derive(Default)]
pub(super) struct Families(Vec<MetricFamily>);

/// A value, and the labels under which it stands.
pub(super) struct Sample {
    labels: Vec<(&'static str, String)>,
    value: f64,
}

impl Sample {
    pub(super) fn of_shard(shard: usize, value: f64) -> Self {
        Sample { labels: vec![("shard", shard.to_string())], value }
    }

    pub(super) fn with(mut self, label: &'static str, value: &str) -> Self {
        self.labels.push((label, value.to_owned()));
        self
    }

    pub(super) fn plain(value: f64) -> Self {
        Sample { labels: Vec::new(), value }
    }

    fn metric(self) -> (Metric, f64) {
        let pair = |(name, value): (&str, String)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value);
            pair
        };
        (Metric::from_label(self.labels.into_iter().map(pair).collect()), self.value)
    }
}

impl Families {
    pub(super) fn into_inner(self) -> Vec<MetricFamily> {
        self.0
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [Sample::plain(value)]);
    }

    pub(super) fn gauges(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample>) {
        let metrics = samples.into_iter().map(|sample| {
            let (mut metric, value) = sample.metric();
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
            metric
        });
        self.push(name, help, MetricType::GAUGE, metrics.collect());
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.counters(name, help, [Sample::plain(value)]);
    }

    pub(super) fn counters(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample>) {
        let metrics = samples.into_iter().map(|sample| {
            let (mut metric, value) = sample.metric();
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
            metric
        });
        self.push(name, help, MetricType::COUNTER, metrics.collect());
    }

    /// A distribution of microseconds, in seconds.
    pub(super) fn seconds(&mut self, name: &str, help: &str, spread: &Distribution) {
        self.histogram(name, help, spread, MICROS_PER_SECOND);
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, spread: &Distribution, per_unit: f64) {
        let mut below = 0;
        let buckets = spread.bounds.iter().zip(&spread.counts).map(|(&bound, &count)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound as f64 / per_unit);
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(spread.count());
        histogram.set_sample_sum(spread.sum as f64 / per_unit);
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        self.push(name, help, MetricType::HISTOGRAM, vec![metric]);
    }

    fn push(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }
}
