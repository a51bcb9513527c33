//! `shingle bench mixgraph`: the social graph of Facebook, as modelled from its traces.
//!
//! The model is that of Z. Cao et al., "Characterizing, Modeling, and Benchmarking RocksDB Key-Value Workloads at Facebook" (FAST 2020);
//! parameters and formulas are those that RocksDB's db_bench documents and uses for its benchmark of the same name: 83 % gets, 14 % puts,
//! 3 % seeks followed by a few steps; keys of 48 B; 30 key ranges, whose shares follow a two-term exponential; within a range a power
//! law; sizes of values and lengths of scans by a generalized Pareto distribution, longer ones wrapped around.

use super::clients::Work;
use super::contender::Contender;
use super::driven::{self, measure_writes};
use super::figure::{Figure, Round};
use super::keys::{Choices, KeySpace, STAMP_BYTES, mix};
use super::recorder::Recorder;
use super::store::{Client, Reader, stamp};
use super::workload::{Plan, load_sized};
use crate::args::{BenchOptions, KeyDistribution, MixgraphArgs};
use anyhow::ensure;
use indicatif::ProgressBar;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const GET_PERCENT: u32 = 83;
const PUT_PERCENT: u32 = 14;

/// `a * exp(b * x) + c * exp(d * x)`: the share of the key range that is number x in hotness, from 1 on.
const KEYRANGE_A: f64 = 14.18;
const KEYRANGE_B: f64 = -2.917;
const KEYRANGE_C: f64 = 0.0164;
const KEYRANGE_D: f64 = -0.08082;
const KEYRANGES: u64 = 30;

/// `a * x^b`: which key of a range.
const KEY_A: f64 = 0.002312;
const KEY_B: f64 = 0.3467;

const VALUE_K: f64 = 0.2615;
const VALUE_SIGMA: f64 = 25.45;
/// Smaller values are made this large.
const VALUE_BYTES_MIN: usize = 10;

const SCAN_K: f64 = 2.517;
const SCAN_SIGMA: f64 = 14.236;
const SCAN_KEYS_MAX: u64 = 10_000;

/// Seed of the order of the key ranges, which is a fact of the model and the same whatever the seed of a run.
const KEYRANGE_SEED: u64 = 2020;

pub(crate) struct Mixgraph<'a> {
    args: &'a MixgraphArgs,
    space: KeySpace,
    /// Of each key range, in key order: the sum of its share and of those before it.
    shares: Vec<f64>,
}

impl<'a> Mixgraph<'a> {
    pub(crate) fn new(args: &'a MixgraphArgs, options: &BenchOptions) -> Self {
        let share = |x: f64| KEYRANGE_A * (KEYRANGE_B * x).exp() + KEYRANGE_C * (KEYRANGE_D * x).exp();
        let ranges = KEYRANGES.min(options.keys);
        let mut shares: Vec<_> = (1..=ranges).map(|x| share(x as f64)).collect();
        shares.shuffle(&mut SmallRng::seed_from_u64(KEYRANGE_SEED));
        let mut sum = 0.0;
        for share in &mut shares {
            sum += *share;
            *share = sum;
        }
        Mixgraph { args, space: KeySpace::numbered(options), shares }
    }

    fn number(&self, rng: &mut SmallRng) -> u64 {
        let drawn = rng.random::<f64>() * self.shares.last().copied().unwrap_or_default();
        let range = self.shares.partition_point(|sum| *sum <= drawn).min(self.shares.len() - 1) as u64;
        let range_keys = self.space.keys / self.shares.len() as u64;
        let within = match self.args.key_distribution {
            KeyDistribution::Uniform => rng.random_range(0..range_keys),
            KeyDistribution::Power => {
                let seed = (rng.random::<f64>() / KEY_A).powf(1.0 / KEY_B).ceil();
                mix(seed as u64) % range_keys
            }
        };
        range * range_keys + within
    }

    fn value_bytes(&self, rng: &mut SmallRng) -> usize {
        let drawn = pareto(rng, VALUE_K, VALUE_SIGMA) as usize;
        let max = self.space.value_bytes();
        let bytes = if drawn > max { drawn % max } else { drawn };
        bytes.max(VALUE_BYTES_MIN).max(STAMP_BYTES).min(max)
    }
}

/// A generalized Pareto distribution from 0 on, by inversion.
fn pareto(rng: &mut SmallRng, k: f64, sigma: f64) -> u64 {
    // From above 0 to 1.
    let uniform = 1.0 - rng.random::<f64>();
    (sigma * (uniform.powf(-k) - 1.0) / k).ceil() as u64
}

impl Plan for Mixgraph<'_> {
    fn name(&self) -> &'static str {
        "mixgraph"
    }

    fn figures(&self) -> &'static [Figure] {
        driven::FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let clients = &self.args.clients;
        let seeks = 100 - GET_PERCENT - PUT_PERCENT;
        let within = match self.args.key_distribution {
            KeyDistribution::Power => format!("power law, a {KEY_A}, b {KEY_B}"),
            KeyDistribution::Uniform => "uniform".to_owned(),
        };
        let mut settings = vec![
            ("operations", format!("{GET_PERCENT} % gets, {PUT_PERCENT} % puts, {seeks} % seeks")),
            (
                "key ranges",
                format!(
                    "{KEYRANGES}, two-term exponential, a {KEYRANGE_A}, b {KEYRANGE_B}, c {KEYRANGE_C}, d {KEYRANGE_D}"
                ),
            ),
            ("within a range", within),
            ("value sizes", format!("Pareto, k {VALUE_K}, sigma {VALUE_SIGMA}, at most {}", self.space.value_bytes())),
            ("scan lengths", format!("Pareto, k {SCAN_K}, sigma {SCAN_SIGMA}, below {SCAN_KEYS_MAX}")),
            ("checked", "every value that is read is its key's own, every seek begins where it must".to_owned()),
        ];
        settings.extend(clients.settings());
        settings.extend(clients.pace.due("operations"));
        settings
    }

    fn prepare(&self, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<()> {
        load_sized(&self.space, contender.store()?, bar, |rng| self.value_bytes(rng))
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        let store = contender.store()?;
        let clients = &self.args.clients;
        let committed_bytes = AtomicU64::new(0);
        let (driven, written) = measure_writes(
            store,
            clients.threads,
            &clients.pace,
            bar,
            |_| committed_bytes.load(Ordering::Relaxed) as f64,
            |thread| {
                Ok(Box::new(Serving {
                    mixgraph: self,
                    committed_bytes: &committed_bytes,
                    reader: store.reader()?,
                    client: store.client(clients.in_flight as usize)?,
                    choices: self.space.choices(number * clients.threads + thread),
                }))
            },
        )?;
        Ok(driven::round("operation", driven, written))
    }
}

struct Serving<'a> {
    mixgraph: &'a Mixgraph<'a>,
    committed_bytes: &'a AtomicU64,
    reader: Box<dyn Reader + 'a>,
    client: Box<dyn Client + 'a>,
    choices: Choices<'a>,
}

impl Work for Serving<'_> {
    fn step(&mut self, due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let rng = self.choices.rng();
        let number = self.mixgraph.number(rng);
        let drawn = rng.random_range(0..100);
        if (GET_PERCENT..GET_PERCENT + PUT_PERCENT).contains(&drawn) {
            let value_bytes = self.mixgraph.value_bytes(rng);
            let (key, value) = self.choices.entry(number, number, value_bytes);
            self.committed_bytes.fetch_add((key.len() + value.len()) as u64, Ordering::Relaxed);
            return self.client.put(key, value, due, recorder);
        }
        self.reader.refresh()?;
        if drawn < GET_PERCENT {
            let found = self.reader.get(self.choices.key(number))?;
            ensure!(found.is_some_and(|found| found.stamp == number), "a read of key number {number} gave {found:?}");
        } else {
            // The seek finds its key, and that many more are stepped to.
            let length = (pareto(rng, SCAN_K, SCAN_SIGMA) % SCAN_KEYS_MAX) as usize + 1;
            let expected = (length as u64).min(self.mixgraph.space.keys - number);
            let mut next = number;
            self.reader.scan(self.choices.key(number), length, &mut |_, value| {
                next += u64::from(stamp(value) == Some(next));
            })?;
            ensure!(next - number == expected, "a seek gave {} keys of {expected} in order", next - number);
        }
        recorder.done(due, 0);
        Ok(())
    }

    fn idle(&mut self, until: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.client.idle(until, recorder)
    }

    fn finish(&mut self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.client.finish(recorder)
    }
}

#[cfg(test)]
mod tests {
    use super::{SCAN_K, SCAN_SIGMA, VALUE_K, VALUE_SIGMA, pareto};
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    /// A Pareto distribution with k below 1 has the mean sigma / (1 - k); rounding up adds a half. With k above 2 it has none, but the
    /// median is sigma * (2^k - 1) / k.
    #[test]
    fn sizes_follow_the_model() {
        const DRAWS: usize = 200_000;
        let mut rng = SmallRng::seed_from_u64(5);
        let values = (0..DRAWS).map(|_| pareto(&mut rng, VALUE_K, VALUE_SIGMA) as f64).sum::<f64>() / DRAWS as f64;
        assert!((values - (VALUE_SIGMA / (1.0 - VALUE_K) + 0.5)).abs() < 1.0, "the mean is {values}");
        let mut scans: Vec<_> = (0..DRAWS).map(|_| pareto(&mut rng, SCAN_K, SCAN_SIGMA)).collect();
        scans.sort_unstable();
        let median = SCAN_SIGMA * (2_f64.powf(SCAN_K) - 1.0) / SCAN_K;
        assert!((scans[DRAWS / 2] as f64 - median).abs() < 2.0, "the median is {}", scans[DRAWS / 2]);
    }
}
