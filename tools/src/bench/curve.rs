//! `shingle bench curve`: the same workloads at several points of one dimension.

use super::keys::{KeySpace, STAMP_BYTES};
use super::report::{CurvePage, Report};
use crate::args::{
    Asked, BenchOptions, BlocksArgs, CurveArgs, Dimension, HistoryArgs, PaceArgs, ReadersArgs, ReadsArgs, Workload,
};
use crate::output::Output;
use crate::units;
use anyhow::Context;
use serde_json::json;

/// Threads that read.
const THREADS: u64 = 2;

/// How often every key is written again after the old height.
const OVERWRITES: u64 = 1;

/// Figures that a curve shows, of whichever workload has them.
const SHOWN: [&str; 9] = [
    "burst_updates_per_second",
    "settled_updates_per_second",
    "block_commit_p50_ms",
    "block_commit_p99_ms",
    "bytes_written_per_byte_committed",
    "present_reads_per_second",
    "absent_reads_per_second",
    "old_height_reads_per_second",
    "operations_per_second",
];

/// One point: what stands below it, and what is measured there.
struct Point {
    label: String,
    workloads: Vec<Workload>,
}

/// One figure at all points.
pub(super) struct Line {
    pub(super) figure: super::figure::Figure,
    /// Of each store by its name, the medians at the points.
    pub(super) stores: Vec<(String, Vec<Option<f64>>)>,
}

pub(super) fn run(args: &CurveArgs, out: &mut Output) -> anyhow::Result<()> {
    args.options.results.check()?;
    let scratch = super::Scratch::new(&args.options.scratch, args.options.keep)?;
    crate::interrupt::Interrupt::ends_at_once(scratch.remover())?;
    let (points, dimension) = (points(args), args.dimension.title());
    let mut measured = Vec::new();
    for (number, point) in points.iter().enumerate() {
        let mut reports = Vec::new();
        for (place, workload) in point.workloads.iter().enumerate() {
            let planned = super::plan(workload)?;
            let what = planned.plan.name();
            eprintln!("shingle: {dimension} {} ({} of {}): {what}", point.label, number + 1, points.len());
            let dir = scratch.path().join(format!("{number}-{place}"));
            reports.push(super::measure(&planned, &dir).with_context(|| point.label.clone())?);
            if !args.options.keep {
                std::fs::remove_dir_all(&dir)?;
            }
        }
        measured.push(reports);
    }
    let lines = lines(&measured);
    let labels: Vec<_> = points.iter().map(|point| point.label.clone()).collect();
    // Whatever becomes of the files, what was measured is shown.
    print(args, &labels, &lines, &measured, out)?;
    write(args, &labels, &lines, &measured)
}

impl Dimension {
    /// As it stands in the results.
    fn title(self) -> &'static str {
        match self {
            Dimension::Shards => "shards",
            Dimension::Keys => "keys",
            Dimension::Values => "value size",
            Dimension::History => "versions of every key",
        }
    }
}

fn points(args: &CurveArgs) -> Vec<Point> {
    let values: &[u64] = match args.dimension {
        _ if !args.points.is_empty() => &args.points,
        Dimension::Shards => &[1, 2, 4, 8, 16, 32],
        Dimension::Keys => &[1_000_000, 5_000_000, 20_000_000, 50_000_000],
        Dimension::Values => &[32, 100, 1024, 4096, 16_384, 65_536],
        Dimension::History => &[1, 3, 10, 30, 100],
    };
    values.iter().map(|value| point(args, *value)).collect()
}

fn point(args: &CurveArgs, value: u64) -> Point {
    let mut options = args.options.clone();
    options.results = crate::args::ResultsArgs::default();
    let (mut versions, mut label) = (1, units::count(value));
    match args.dimension {
        Dimension::Shards => options.shards = vec![value],
        Dimension::Keys => options.keys = value.max(2),
        Dimension::Values => {
            options.value_bytes = value.clamp(STAMP_BYTES as u64, 65_536);
            label = units::bytes(options.value_bytes);
        }
        Dimension::History => versions = value,
    }
    let update_bytes = options.key_bytes + options.value_bytes;
    let versions_kept = if args.dimension == Dimension::History { versions } else { 1 };
    let fitting = (args.data_max / (update_bytes * versions_kept)).max(2);
    if options.keys > fitting {
        options.keys = fitting;
        label = format!("{label} ({} keys)", units::count(fitting));
    }
    let pace = PaceArgs { seconds: args.seconds, rate: None };
    let workloads = match args.dimension {
        Dimension::Shards | Dimension::Keys | Dimension::Values => {
            let updates = KeySpace::new(&options).keys_per_block();
            let blocks = BlocksArgs { blocks: args.blocks, updates, rate: None, _seconds: None };
            let readers = ReadersArgs { threads: THREADS, pace };
            let reads = ReadsArgs { old_threads: 1, overwrites: OVERWRITES, readers };
            vec![
                Workload::Blocks(Asked { options: options.clone(), own: blocks }),
                Workload::Reads(Asked { options, own: reads }),
            ]
        }
        Dimension::History => {
            let own = HistoryArgs { versions, readers: ReadersArgs { threads: 1, pace } };
            vec![Workload::History(Asked { options, own })]
        }
    };
    Point { label, workloads }
}

fn lines(measured: &[Vec<Report<'_>>]) -> Vec<Line> {
    let Some(first) = measured.first() else { return Vec::new() };
    let mut lines = Vec::new();
    for (place, report) in first.iter().enumerate() {
        for (number, figure) in report.figures.iter().enumerate().filter(|(_, figure)| SHOWN.contains(&figure.id)) {
            let stores = report.stores.iter().enumerate().map(|(store, of)| {
                let medians = measured.iter().map(|reports| reports[place].stores[store].median(number));
                (of.name.clone(), medians.collect::<Vec<_>>())
            });
            let stores: Vec<_> = stores.filter(|(_, medians)| medians.iter().any(Option::is_some)).collect();
            if !stores.is_empty() {
                lines.push(Line { figure: *figure, stores });
            }
        }
    }
    lines
}

fn write(args: &CurveArgs, labels: &[String], lines: &[Line], measured: &[Vec<Report<'_>>]) -> anyhow::Result<()> {
    let BenchOptions { results, rounds, .. } = &args.options;
    let dimension = args.dimension.title();
    if let Some(path) = &results.csv {
        let mut rows = format!("figure,store,{dimension},value\n");
        for line in lines {
            for (store, medians) in &line.stores {
                for (label, median) in labels.iter().zip(medians) {
                    let value = median.map(|median| median.to_string()).unwrap_or_default();
                    rows.push_str(&format!("{},{store},{label},{value}\n", line.figure.id));
                }
            }
        }
        std::fs::write(path, rows).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &results.html {
        let page = CurvePage { dimension, labels, lines, measured, rounds: *rounds }.html();
        std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn print(
    args: &CurveArgs,
    labels: &[String],
    lines: &[Line],
    measured: &[Vec<Report<'_>>],
    out: &mut Output,
) -> anyhow::Result<()> {
    let dimension = args.dimension.title();
    if out.json {
        let points = labels.iter().zip(measured).map(|(label, reports)| {
            json!({ "point": label, "reports": reports.iter().map(Report::document).collect::<Vec<_>>() })
        });
        return out.document(&json!({ "curve": dimension, "points": points.collect::<Vec<_>>() }));
    }
    for line in lines {
        let mut header = vec![dimension];
        header.extend(line.stores.iter().map(|(store, _)| store.as_str()));
        let rows = labels.iter().enumerate().map(|(point, label)| {
            let shown = line
                .stores
                .iter()
                .map(|(_, medians)| medians[point].map_or_else(|| "–".to_owned(), |median| line.figure.show(median)));
            std::iter::once(label.clone()).chain(shown).collect()
        });
        out.line(line.figure.title)?;
        out.table(&header, rows.collect::<Vec<Vec<String>>>())?;
        out.line("")?;
    }
    Ok(())
}
