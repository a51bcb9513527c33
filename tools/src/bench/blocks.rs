//! `shingle bench blocks`: what a node's execution asks of its store.

use super::figure::{Figure, Round, Unit};
use super::keys::KeySpace;
use super::measure::Meter;
use super::store::Store;
use super::workload::{Plan, load, loaded_height};
use crate::args::BlocksArgs;
use crate::latency::Latencies;
use indicatif::ProgressBar;
use serde_json::Value;
use std::time::{Duration, Instant};

pub(crate) struct Blocks<'a> {
    args: &'a BlocksArgs,
    space: KeySpace,
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(args: &'a BlocksArgs) -> Self {
        Blocks { args, space: KeySpace::new(&args.options) }
    }
}

const FIGURES: &[Figure] = &[
    Figure::rate("burst_updates_per_second", "updates, commits only"),
    Figure::rate("settled_updates_per_second", "updates, flush and compaction done"),
    Figure::cost("block_commit_p50_ms", "block commit, p50", Unit::Millis),
    Figure::cost("block_commit_p99_ms", "block commit, p99", Unit::Millis),
    Figure::cost("bytes_written_per_byte_committed", "bytes written per byte committed", Unit::Ratio),
    Figure::cost("cpu_per_update_us", "processor time per update", Unit::Micros),
];

impl Plan for Blocks<'_> {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn arguments(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self.args)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("blocks per round", self.args.blocks.to_string()),
            ("updates per block", self.args.updates.to_string()),
            ("durability", "every block is on disk before the next begins".to_owned()),
        ]
    }

    fn prepare(&self, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<()> {
        load(&self.space, store, bar)
    }

    fn round(&self, number: u64, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<Round> {
        let (blocks, updates) = (self.args.blocks, self.args.updates);
        let first_height = loaded_height(&self.space) + 1 + number * blocks;
        let mut choices = self.space.choices(number);
        let mut latency = Latencies::new()?;
        bar.set_length(blocks);

        let meter = Meter::begin();
        let begun = Instant::now();
        for height in first_height..first_height + blocks {
            let block_begun = Instant::now();
            store.commit_block(height, &mut |writes| {
                for _ in 0..updates {
                    let (value, number) = (choices.value(), choices.number());
                    writes.put(choices.key(number), value);
                }
            })?;
            latency.record(block_begun.elapsed());
            bar.set_position(height - first_height + 1);
        }
        let burst = begun.elapsed();
        let settled = store.settle()?.saturating_duration_since(begun).max(burst);
        let usage = meter.end();

        let total = (blocks * updates) as f64;
        let rate = |elapsed: Duration| Some(total / elapsed.as_secs_f64());
        let latency_ms = |quantile| Some(latency.quantile(quantile).as_secs_f64() * 1e3);
        Ok(vec![
            rate(burst),
            rate(settled),
            latency_ms(0.50),
            latency_ms(0.99),
            usage.written_bytes.map(|written| written as f64 / (total * self.space.update_bytes() as f64)),
            usage.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / total),
        ])
    }
}
