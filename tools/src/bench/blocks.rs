//! `shingle bench blocks`: what a node's execution asks of its store.

use super::clients::sleep_until;
use super::contender::Contender;
use super::driven::percentiles_us;
use super::figure::{Figure, Round, Unit};
use super::keys::KeySpace;
use super::measure::Meter;
use super::recorder::Recorder;
use super::workload::{Plan, loaded_height, loaded_sum, sum};
use crate::args::{BenchOptions, BlocksArgs};
use crate::units;
use anyhow::ensure;
use indicatif::ProgressBar;
use std::time::{Duration, Instant};

pub(crate) struct Blocks<'a> {
    args: &'a BlocksArgs,
    space: KeySpace,
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(args: &'a BlocksArgs, options: &BenchOptions) -> Self {
        Blocks { args, space: KeySpace::new(options) }
    }
}

const FIGURES: &[Figure] = &[
    Figure::rate("burst_updates_per_second", "updates, commits only"),
    Figure::rate("settled_updates_per_second", "updates, flush and compaction done"),
    Figure::cost("block_commit_p50_ms", "block commit, p50", Unit::Millis),
    Figure::cost("block_commit_p90_ms", "block commit, p90", Unit::Millis),
    Figure::cost("block_commit_p99_ms", "block commit, p99", Unit::Millis),
    Figure::cost("block_commit_p999_ms", "block commit, p99.9", Unit::Millis),
    Figure::cost("block_commit_max_ms", "block commit, longest", Unit::Millis),
    Figure::cost("bytes_written_per_byte_committed", "bytes written per byte committed", Unit::Ratio),
    Figure::cost("cpu_per_update_us", "processor time per update", Unit::Micros),
    Figure::cost("stalled_ms", "time writes were held back", Unit::Millis),
];

impl Plan for Blocks<'_> {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("blocks per round", units::count(self.args.blocks)),
            ("updates per block", units::count(self.args.updates)),
            ("blocks", "each is committed before the next begins".to_owned()),
            ("checked", "every key is there once, with its own value".to_owned()),
        ];
        settings.extend(self.args.rate.map(|rate| super::workload::due(rate, "updates")));
        settings
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        let store = contender.store()?;
        let (blocks, updates) = (self.args.blocks, self.args.updates);
        let first_height = loaded_height(&self.space) + 1 + number * blocks;
        let interval = self.args.rate.map(|rate| Duration::from_secs_f64(updates as f64 / rate));
        let mut choices = self.space.choices(number);
        let value_bytes = self.space.value_bytes();
        let what = bar.message();
        bar.set_length(blocks);

        let stalled_before = store.stalled();
        let meter = Meter::begin();
        let begun = Instant::now();
        // How long it will take is not known; the curve has a point for every stretch of the shortest length.
        let mut recorder = Recorder::new(begun, Duration::ZERO, None)?;
        let mut due = begun;
        for height in first_height..first_height + blocks {
            match interval {
                None => due = Instant::now(),
                Some(_) => sleep_until(due),
            }
            store.commit_block(height, &mut |writes| {
                for _ in 0..updates {
                    let number = choices.number();
                    let (key, value) = choices.entry(number, number, value_bytes);
                    writes.put(key, value);
                }
            })?;
            recorder.done_at(due, Instant::now(), updates);
            due += interval.unwrap_or_default();
            bar.set_position(height - first_height + 1);
            let so_far = recorder.trace.operations as f64 / begun.elapsed().as_secs_f64();
            bar.set_message(format!("{what}, {}/s", units::rate(so_far)));
        }
        let burst = begun.elapsed();
        let settled = store.settle()?.saturating_duration_since(begun).max(burst);
        let usage = meter.end();
        let stalled = store.stalled().zip(stalled_before).map(|(after, before)| after.saturating_sub(before));
        let (found, expected) = (sum(store)?, loaded_sum(&self.space));
        ensure!(found == expected, "the store has {found:?} keys and their sum, not {expected:?}");

        let total = (blocks * updates) as f64;
        let rate = |elapsed: Duration| Some(total / elapsed.as_secs_f64());
        let mut values = vec![rate(burst), rate(settled)];
        values.extend(percentiles_us(&recorder.trace.latency).map(|us| us.map(|us| us / 1e3)));
        values.extend([
            usage.written_bytes.map(|written| written as f64 / (total * self.space.update_bytes() as f64)),
            usage.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / total),
            stalled.map(|stalled| stalled.as_secs_f64() * 1e3),
        ]);
        Ok(Round { values, traces: vec![("block", recorder.trace)] })
    }
}
