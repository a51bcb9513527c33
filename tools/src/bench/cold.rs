//! `shingle bench cold`: uniform reads of a store that was just opened and is larger than its cache.
//!
//! A block that the store's cache lacks comes from the page cache or from the disk, and the two differ by an order of magnitude. So each
//! round measures both: right after the system was made to forget the store's files, and after they were read through.

use super::clients::{Driven, drive};
use super::contender::Contender;
use super::driven::percentiles_us;
use super::figure::{Figure, Round, Unit};
use super::keys::KeySpace;
use super::page_cache;
use super::reading::{Reads, read_own_value};
use super::workload::{Plan, load};
use crate::args::{BenchOptions, ReadersArgs};
use crate::units;
use indicatif::ProgressBar;
use std::time::Instant;

pub(crate) struct Cold<'a> {
    args: &'a ReadersArgs,
    cache_bytes: u64,
    space: KeySpace,
}

impl<'a> Cold<'a> {
    pub(crate) fn new(args: &'a ReadersArgs, options: &BenchOptions) -> Self {
        Cold { args, cache_bytes: options.cache, space: KeySpace::new(options) }
    }

    fn read(&self, stream: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Driven> {
        let store = contender.store()?;
        drive(self.args.threads, &self.args.pace, bar, |thread| {
            let mut choices = self.space.choices(stream * self.args.threads + thread);
            let mut reader = store.reader()?;
            Ok(Box::new(Reads::each_timed(move || read_own_value(reader.as_mut(), &mut choices, &self.space))))
        })
    }
}

const FIGURES: &[Figure] = &[
    Figure::rate("disk_reads_per_second", "reads, page cache empty at first"),
    Figure::rate("page_cache_reads_per_second", "reads, files in the page cache"),
    Figure::cost("disk_p50_us", "empty at first, p50", Unit::Micros),
    Figure::cost("disk_p99_us", "empty at first, p99", Unit::Micros),
    Figure::cost("page_cache_p50_us", "in the page cache, p50", Unit::Micros),
    Figure::cost("page_cache_p99_us", "in the page cache, p99", Unit::Micros),
    Figure::cost("disk_read_bytes_per_read", "empty at first, bytes from disk per read", Unit::Bytes),
    Figure::cost("page_cache_read_bytes_per_read", "in the page cache, bytes from disk per read", Unit::Bytes),
    Figure::cost("page_cache_cpu_per_read_us", "in the page cache, processor time per read", Unit::Micros),
    Figure::cost("open_s", "open, page cache empty", Unit::Seconds),
    Figure::cost("file_bytes", "files", Unit::Bytes),
];

impl Plan for Cold<'_> {
    fn name(&self) -> &'static str {
        "cold"
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("threads", self.args.threads.to_string()),
            ("each measurement", format!("{} s", self.args.pace.seconds)),
            ("store's own cache", format!("{}, empty at first", units::bytes(self.cache_bytes))),
            (
                "page cache",
                "the store's files are dropped from it before the first measurement, which then fills it; before the second they \
                 are read through"
                    .to_owned(),
            ),
            ("checked", "every value that is read is its key's own".to_owned()),
        ]
    }

    fn prepare(&self, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<()> {
        load(&self.space, contender.store()?, bar)?;
        contender.close();
        Ok(())
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        contender.close();
        let file_bytes = page_cache::drop_files(contender.dir())?;
        let opening = Instant::now();
        contender.store()?;
        let opened = opening.elapsed();
        let from_disk = self.read(2 * number, contender, bar)?;

        contender.close();
        page_cache::read_files(contender.dir())?;
        let from_pages = self.read(2 * number + 1, contender, bar)?;
        // One store at a time in memory.
        contender.close();

        let latency = |driven: &Driven| percentiles_us(&driven.recorder.trace.latency);
        let ([disk_p50, _, disk_p99, ..], [pages_p50, _, pages_p99, ..]) = (latency(&from_disk), latency(&from_pages));
        let read_bytes = |driven: &Driven| {
            driven.usage.read_bytes.map(|bytes| bytes as f64 / driven.recorder.trace.operations as f64)
        };
        let values = vec![
            Some(from_disk.per_second()),
            Some(from_pages.per_second()),
            disk_p50,
            disk_p99,
            pages_p50,
            pages_p99,
            read_bytes(&from_disk),
            read_bytes(&from_pages),
            from_pages.cpu_us_per_operation(),
            Some(opened.as_secs_f64()),
            Some(file_bytes as f64),
        ];
        let traces = vec![
            ("read, page cache empty at first", from_disk.recorder.trace),
            ("read, files in the page cache", from_pages.recorder.trace),
        ];
        Ok(Round { values, traces })
    }
}
