//! `shingle bench scan`: ranges in key order, and the whole store.

use super::clients::{Work, drive};
use super::contender::Contender;
use super::driven::percentiles_us;
use super::figure::{Figure, Round, Unit};
use super::keys::{Choices, KeySpace};
use super::measure::Meter;
use super::recorder::Recorder;
use super::store::Reader;
use super::workload::{Plan, loaded_sum, sum};
use crate::args::{BenchOptions, ScanBenchArgs};
use anyhow::ensure;
use indicatif::ProgressBar;
use std::time::Instant;

pub(crate) struct Scans<'a> {
    args: &'a ScanBenchArgs,
    space: KeySpace,
    last_key: Vec<u8>,
}

impl<'a> Scans<'a> {
    pub(crate) fn new(args: &'a ScanBenchArgs, options: &BenchOptions) -> Self {
        let space = KeySpace::new(options);
        let last_key = space.last_key();
        Scans { args, space, last_key }
    }
}

const FIGURES: &[Figure] = &[
    Figure::rate("ranges_per_second", "ranges"),
    Figure::rate("range_keys_per_second", "keys of ranges"),
    Figure::rate("full_scan_keys_per_second", "keys of the full scan"),
    Figure::cost("range_p50_us", "range, p50", Unit::Micros),
    Figure::cost("range_p90_us", "range, p90", Unit::Micros),
    Figure::cost("range_p99_us", "range, p99", Unit::Micros),
    Figure::cost("range_p999_us", "range, p99.9", Unit::Micros),
    Figure::cost("range_max_us", "range, longest", Unit::Micros),
    Figure::cost("cpu_per_range_us", "processor time per range", Unit::Micros),
    Figure::cost("cpu_per_full_scan_key_us", "processor time per key of the full scan", Unit::Micros),
];

impl Plan for Scans<'_> {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("keys of a range", crate::units::count(self.args.length)),
            ("threads", format!("{}, one for the full scan", self.args.readers.threads)),
            ("ranges", format!("{} s", self.args.readers.pace.seconds)),
            (
                "checked",
                "ranges are whole and in order; the full scan has every key once, with its own value".to_owned(),
            ),
        ];
        settings.extend(self.args.readers.pace.due("ranges"));
        settings
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        let store = contender.store()?;
        let ranges = drive(self.args.readers.threads, &self.args.readers.pace, bar, |thread| {
            let choices = self.space.choices(number * self.args.readers.threads + thread);
            Ok(Box::new(Scanning { scans: self, reader: store.reader()?, choices, last: Vec::new() }))
        })?;

        let meter = Meter::begin();
        let found = sum(store)?;
        let full = meter.end();
        let expected = loaded_sum(&self.space);
        ensure!(found == expected, "the full scan found {found:?} keys and their sum, not {expected:?}");

        let keys = self.space.keys as f64;
        let mut values = vec![
            Some(ranges.per_second()),
            Some(ranges.per_second() * self.args.length as f64),
            Some(keys / full.elapsed.as_secs_f64()),
        ];
        values.extend(percentiles_us(&ranges.recorder.trace.latency));
        values.extend([ranges.cpu_us_per_operation(), full.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / keys)]);
        Ok(Round { values, traces: vec![("range", ranges.recorder.trace)] })
    }
}

struct Scanning<'a> {
    scans: &'a Scans<'a>,
    reader: Box<dyn Reader + 'a>,
    choices: Choices<'a>,
    /// The last key of the range so far.
    last: Vec<u8>,
}

impl Work for Scanning<'_> {
    fn step(&mut self, due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let length = self.scans.args.length as usize;
        let number = self.choices.number();
        let from = self.choices.key(number);
        let (mut seen, mut in_order, last) = (0, true, &mut self.last);
        self.reader.scan(from, length, &mut |key, value| {
            in_order &= if seen == 0 { key == from } else { key > last.as_slice() };
            std::hint::black_box(value);
            last.clear();
            last.extend_from_slice(key);
            seen += 1;
        })?;
        recorder.done(due, 0);
        ensure!(in_order, "a range is not in order, or does not begin where it was asked to");
        let whole = seen == length || *last == self.scans.last_key;
        ensure!(whole, "a range ended after {seen} keys, though there are more");
        Ok(())
    }
}
