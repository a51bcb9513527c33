//! `shingle replay`.

use crate::args::ReplayArgs;
use crate::failure::Negative;
use crate::output::Output;
use crate::{progress, units};
use shingle_replay::{Counts, Options, Report};
use std::num::NonZero;
use std::time::Duration;

pub(crate) fn run(args: &ReplayArgs, out: &mut Output) -> anyhow::Result<()> {
    args.no_store.check("--keep says where they are made and left")?;
    let positive = |number: Option<u64>| number.and_then(|number| NonZero::new(number as usize));
    let options = Options {
        shards: args.shards as usize,
        dir: args.keep.clone(),
        flush_every: positive(args.flush_every),
        rebalance: args.rebalance,
        ..Options::default()
    };
    let options = Options { threads: positive(args.threads).unwrap_or(options.threads), ..options };
    let bar = progress::bar("replaying", 0);
    let report = shingle_replay::run(&args.paths, &options, &mut |progress| {
        bar.set_length(progress.cases_total as u64);
        bar.set_position(progress.cases_done as u64);
        let totals = progress.totals;
        bar.set_message(format!(
            "{} blocks, {} failures, {}",
            units::count(totals.counts.blocks),
            totals.failures,
            progress.case
        ));
    });
    bar.finish_and_clear();
    let report = report?;
    if out.json {
        out.document(&report)?;
    } else {
        print_page(&report, out)?;
    }
    if report.is_success() { Ok(()) } else { Err(Negative.into()) }
}

fn print_page(report: &Report, out: &mut Output) -> anyhow::Result<()> {
    let files =
        report.files.iter().map(|file| row(file.path.display().to_string(), file.counts, file.failures.len() as u64));
    let total = row(
        format!("total, {}", units::counted(report.totals.files, "file")),
        report.totals.counts,
        report.totals.failures,
    );
    let header = ["file", "cases", "blocks", "executed", "refused", "reorganisations", "state roots", "failures"];
    out.table(&header, files.chain([total]))?;
    out.line(format_args!(
        "\n{} state roots verified on {} shards in {}",
        units::count(report.totals.counts.state_roots_verified),
        report.shards,
        units::duration(Duration::from_millis(report.elapsed_ms.max(1)))
    ))?;
    if report.totals.counts.slots_moved > 0 {
        out.line(format_args!("{} moved meanwhile", units::counted(report.totals.counts.slots_moved, "slot")))?;
    }
    for (file, failure) in report.failures() {
        out.line(format_args!("FAILED {}: {failure}", file.path.display()))?;
    }
    Ok(())
}

fn row(name: String, counts: Counts, failures: u64) -> Vec<String> {
    let Counts { cases, blocks, blocks_executed, blocks_refused, reorganisations, state_roots_verified, .. } = counts;
    let numbers = [cases, blocks, blocks_executed, blocks_refused, reorganisations, state_roots_verified, failures];
    std::iter::once(name).chain(numbers.map(units::count)).collect()
}
