//! `shingle bench reads`: point reads of present keys, of absent ones, and at an old height.

use super::figure::{Figure, Round, Unit};
use super::keys::{Choices, KeySpace};
use super::measure::Meter;
use super::store::{Reader, Store};
use super::workload::{Plan, load, loaded_height};
use crate::args::ReadsArgs;
use anyhow::{anyhow, ensure};
use indicatif::ProgressBar;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Reads between two looks at the clock.
const READS_PER_LOOK: u64 = 256;

/// Updates in one of the blocks that make the history.
const HISTORY_BLOCK: u64 = 10_000;

pub(crate) struct Reads<'a> {
    args: &'a ReadsArgs,
    space: KeySpace,
}

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Present,
    Absent,
    OldHeight,
}

/// Reads that were done, over all threads.
struct Done {
    per_second: f64,
    cpu_us_per_read: Option<f64>,
}

impl<'a> Reads<'a> {
    pub(crate) fn new(args: &'a ReadsArgs) -> Self {
        Reads { args, space: KeySpace::new(&args.options) }
    }

    /// `None` if the store cannot do it.
    fn measure(&self, target: Target, round: u64, store: &dyn Store) -> anyhow::Result<Option<Done>> {
        let threads = if target == Target::OldHeight { self.args.old_threads } else { self.args.threads };
        let open = || match target {
            Target::Present | Target::Absent => store.reader().map(Some),
            Target::OldHeight => store.reader_at(loaded_height(&self.space)),
        };
        if open()?.is_none() {
            return Ok(None);
        }
        let meter = Meter::begin();
        let until = Instant::now() + Duration::from_secs(self.args.seconds);
        let reads: u64 = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..threads)
                .map(|thread| {
                    let mut choices = self.space.choices(round * threads + thread);
                    scope.spawn(move || match open()? {
                        Some(mut reader) => self.read_until(until, target, reader.as_mut(), &mut choices),
                        None => Ok(0),
                    })
                })
                .collect();
            readers
                .into_iter()
                .map(|reader| reader.join().map_err(|_| anyhow!("a reader panicked"))?)
                .sum::<anyhow::Result<u64>>()
        })?;
        let reads = reads as f64;
        let usage = meter.end();
        Ok(Some(Done {
            per_second: reads / usage.elapsed.as_secs_f64(),
            cpu_us_per_read: usage.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / reads),
        }))
    }

    fn read_until(
        &self,
        until: Instant,
        target: Target,
        reader: &mut dyn Reader,
        choices: &mut Choices<'_>,
    ) -> anyhow::Result<u64> {
        let expected = (target != Target::Absent).then_some(self.space.value_bytes());
        let mut reads = 0;
        while Instant::now() < until {
            for _ in 0..READS_PER_LOOK {
                let key = if target == Target::Absent {
                    choices.absent_key()
                } else {
                    let number = choices.number();
                    choices.key(number)
                };
                let found = reader.get(key)?;
                ensure!(found == expected, "a read gave {found:?} bytes instead of {expected:?}");
            }
            reads += READS_PER_LOOK;
        }
        Ok(reads)
    }
}

const FIGURES: &[Figure] = &[
    Figure::rate("present_reads_per_second", "reads of present keys"),
    Figure::rate("absent_reads_per_second", "reads of absent keys"),
    Figure::rate("old_height_reads_per_second", "reads at an old height"),
    Figure::cost("cpu_per_present_read_us", "processor time per present read", Unit::Micros),
    Figure::cost("cpu_per_absent_read_us", "processor time per absent read", Unit::Micros),
    Figure::cost("cpu_per_old_height_read_us", "processor time per old read", Unit::Micros),
];

impl Plan for Reads<'_> {
    fn name(&self) -> &'static str {
        "reads"
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn arguments(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self.args)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("threads", self.args.threads.to_string()),
            ("threads at an old height", self.args.old_threads.to_string()),
            ("updates after the old height", (self.args.overwrites * self.space.keys).to_string()),
            ("each measurement", format!("{} s", self.args.seconds)),
        ]
    }

    fn prepare(&self, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<()> {
        load(&self.space, store, bar)?;
        let blocks = (self.args.overwrites * self.space.keys).div_ceil(HISTORY_BLOCK);
        let mut choices = self.space.choices(u64::MAX - 1);
        bar.set_length(blocks);
        for block in 1..=blocks {
            store.commit_block(loaded_height(&self.space) + block, &mut |writes| {
                for _ in 0..HISTORY_BLOCK {
                    let (value, number) = (choices.value(), choices.number());
                    writes.put(choices.key(number), value);
                }
            })?;
            bar.set_position(block);
        }
        store.settle().map(drop)
    }

    fn round(&self, number: u64, store: &dyn Store, _bar: &ProgressBar) -> anyhow::Result<Round> {
        let targets = [Target::Present, Target::Absent, Target::OldHeight];
        let done = targets.into_iter().map(|target| self.measure(target, number, store));
        let done = done.collect::<anyhow::Result<Vec<_>>>()?;
        let rates = done.iter().map(|done| done.as_ref().map(|done| done.per_second));
        let costs = done.iter().map(|done| done.as_ref().and_then(|done| done.cpu_us_per_read));
        Ok(rates.chain(costs).collect())
    }
}
