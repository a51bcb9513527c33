//! `shingle bench reads`: point reads of present keys, of absent ones, and at an old height.

use super::clients::{Driven, drive};
use super::contender::Contender;
use super::driven::percentiles_us;
use super::figure::{Figure, Round, Unit};
use super::keys::KeySpace;
use super::reading::{self, read_own_value};
use super::store::Store;
use super::workload::{Plan, load, loaded_height};
use crate::args::{BenchOptions, ReadsArgs};
use anyhow::ensure;
use indicatif::ProgressBar;

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

impl<'a> Reads<'a> {
    pub(crate) fn new(args: &'a ReadsArgs, options: &BenchOptions) -> Self {
        Reads { args, space: KeySpace::new(options) }
    }

    /// Reads every key once at both heights, so that no store is measured while its caches fill. What is not in any cache is `bench cold`'s.
    fn warm_up(&self, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<()> {
        let mut choices = self.space.choices(0);
        let readers = [Some(store.reader()?), store.reader_at(loaded_height(&self.space))?];
        bar.set_length(self.space.keys * readers.len() as u64);
        bar.set_position(0);
        for mut reader in readers.into_iter().flatten() {
            for number in 0..self.space.keys {
                ensure!(reader.get(choices.key(number))?.is_some(), "a key that was loaded is not there");
                if number % 4096 == 0 {
                    bar.inc(4096);
                }
            }
        }
        Ok(())
    }

    /// `None` if the store cannot do it.
    fn measure(
        &self,
        target: Target,
        round: u64,
        store: &dyn Store,
        bar: &ProgressBar,
    ) -> anyhow::Result<Option<Driven>> {
        let threads = if target == Target::OldHeight { self.args.old_threads } else { self.args.readers.threads };
        let open = || match target {
            Target::Present | Target::Absent => store.reader().map(Some),
            Target::OldHeight => store.reader_at(loaded_height(&self.space)),
        };
        if open()?.is_none() {
            return Ok(None);
        }
        let pace = &self.args.readers.pace;
        let driven = drive(threads, pace, bar, |thread| {
            let mut reader = open()?.ok_or_else(|| anyhow::anyhow!("the old height is gone"))?;
            let mut choices = self.space.choices(round * threads + thread);
            // Told apart here and not in each read: an absent key takes less time than a look at what is asked for.
            Ok(match target {
                Target::Absent => Box::new(reading::Reads::at(pace, move || {
                    let found = reader.get(choices.absent_key())?;
                    ensure!(found.is_none(), "a read of an absent key gave {found:?}");
                    Ok(())
                })),
                Target::Present | Target::OldHeight => Box::new(reading::Reads::at(pace, move || {
                    read_own_value(reader.as_mut(), &mut choices, &self.space)
                })),
            })
        })?;
        Ok(Some(driven))
    }
}

const FIGURES: &[Figure] = &[
    Figure::rate("present_reads_per_second", "reads of present keys"),
    Figure::rate("absent_reads_per_second", "reads of absent keys"),
    Figure::rate("old_height_reads_per_second", "reads at an old height"),
    Figure::cost("cpu_per_present_read_us", "processor time per present read", Unit::Micros),
    Figure::cost("cpu_per_absent_read_us", "processor time per absent read", Unit::Micros),
    Figure::cost("cpu_per_old_height_read_us", "processor time per old read", Unit::Micros),
    Figure::cost("present_read_p50_us", "present read, p50", Unit::Micros),
    Figure::cost("present_read_p99_us", "present read, p99", Unit::Micros),
    Figure::cost("present_read_p999_us", "present read, p99.9", Unit::Micros),
];

impl Plan for Reads<'_> {
    fn name(&self) -> &'static str {
        "reads"
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("threads", self.args.readers.threads.to_string()),
            ("threads at an old height", self.args.old_threads.to_string()),
            ("updates after the old height", crate::units::count(self.args.overwrites * self.space.keys)),
            ("each measurement", format!("{} s", self.args.readers.pace.seconds)),
            ("before", "every key is read once, at both heights".to_owned()),
            ("absent keys", "none is asked for twice".to_owned()),
            ("checked", "every value that is read is its key's own".to_owned()),
        ];
        settings.extend(self.args.readers.pace.due("reads"));
        settings
    }

    fn prepare(&self, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<()> {
        let store = contender.store()?;
        load(&self.space, store, bar)?;
        let per_block = self.space.keys_per_block();
        let blocks = (self.args.overwrites * self.space.keys).div_ceil(per_block);
        let mut choices = self.space.choices(u64::MAX - 1);
        bar.set_length(blocks);
        for block in 1..=blocks {
            store.commit_block(loaded_height(&self.space) + block, &mut |writes| {
                for _ in 0..per_block {
                    let number = choices.number();
                    let (key, value) = choices.entry(number, number, self.space.value_bytes());
                    writes.put(key, value);
                }
            })?;
            bar.set_position(block);
        }
        store.settle()?;
        self.warm_up(store, bar)
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        let store = contender.store()?;
        let targets = [("present", Target::Present), ("absent", Target::Absent), ("old height", Target::OldHeight)];
        let mut done = Vec::new();
        for (name, target) in targets {
            done.push((name, self.measure(target, number, store, bar)?));
        }
        let rates = done.iter().map(|(_, done)| done.as_ref().map(Driven::per_second));
        let costs = done.iter().map(|(_, done)| done.as_ref().and_then(Driven::cpu_us_per_operation));
        let mut values: Vec<_> = rates.chain(costs).collect();
        if let Some((_, Some(present))) = done.first() {
            let [p50, _, p99, p999, _] = percentiles_us(&present.recorder.trace.latency);
            values.extend([p50, p99, p999]);
        }
        let traces = done.into_iter().filter_map(|(name, done)| Some((name, done?.recorder.trace)));
        Ok(Round { values, traces: traces.collect() })
    }
}
