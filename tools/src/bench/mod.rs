//! `shingle bench`: workloads that run on every store alike, in one run, in turns.
//!
//! ```text
//! Plan (blocks, reads, ycsb-a …)  ×  Contender (shingle, rocksdb …)  →  Round: a value for each Figure, and traces  →  Report
//! ```

mod block_stream;
mod blocks;
mod checkpoint;
mod clients;
mod cold;
mod contender;
mod curve;
mod driven;
mod figure;
mod history;
mod keys;
mod machine;
mod measure;
mod mixgraph;
mod page_cache;
#[cfg(feature = "peers")]
mod peers;
mod reads;
mod rebalance;
mod recorder;
mod recovery;
mod report;
mod rocks;
mod scans;
mod scratch;
mod shingle;
mod store;
mod transfers;
mod workload;
mod ycsb;
mod zipf;

use crate::args::{BenchArgs, BenchOptions, Workload, YcsbArgs, YcsbWorkload};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress;
use anyhow::{Context, bail};
use contender::Contender;
use report::{Measured, Report};
use scratch::Scratch;
use std::path::Path;
use workload::Plan;

pub(crate) fn run(args: &BenchArgs, out: &mut Output) -> anyhow::Result<()> {
    args.no_store.check("--scratch says where they are made")?;
    if let Workload::Recovery(args) = &args.workload
        && let Some(child) = &args.child
    {
        return recovery::run_child(args, child);
    }
    if let Workload::Checkpoint(args) = &args.workload {
        return checkpoint::run(args, out);
    }
    if let Workload::Rebalance(args) = &args.workload {
        return rebalance::run(args, out);
    }
    if let Workload::Curve(args) = &args.workload {
        return curve::run(args, out);
    }
    let (plan, options) = plan(&args.workload)?;
    let scratch = Scratch::new(&options.scratch, options.keep)?;
    let remove = scratch.remover();
    Interrupt::ends_at_once(move || {
        recovery::end_child();
        remove();
    })?;
    measure(plan.as_ref(), options, scratch.path())?.print(out)
}

fn plan(workload: &Workload) -> anyhow::Result<(Box<dyn Plan + '_>, &BenchOptions)> {
    Ok(match workload {
        Workload::Blocks(args) => (Box::new(blocks::Blocks::new(args)), &args.options),
        Workload::Transfers(args) => (Box::new(transfers::Transfers::new(args)), &args.options),
        Workload::Reads(args) => (Box::new(reads::Reads::new(args)), &args.options),
        Workload::Checkpoint(_) | Workload::Rebalance(_) => bail!("it is measured by itself"),
        Workload::Curve(_) => bail!("a curve is made of other workloads"),
        Workload::Hot(args) => (Box::new(transfers::Transfers::hot(args)), &args.options),
        Workload::History(args) => (Box::new(history::History::new(args)), &args.options),
        Workload::Scan(args) => (Box::new(scans::Scans::new(args)), &args.options),
        Workload::Cold(args) => (Box::new(cold::Cold::new(args)), &args.options),
        Workload::Recovery(args) => (Box::new(recovery::Recovery::new(args)), &args.options),
        Workload::YcsbA(args) => ycsb(YcsbWorkload::A, args),
        Workload::YcsbB(args) => ycsb(YcsbWorkload::B, args),
        Workload::YcsbC(args) => ycsb(YcsbWorkload::C, args),
        Workload::YcsbD(args) => ycsb(YcsbWorkload::D, args),
        Workload::YcsbE(args) => ycsb(YcsbWorkload::E, args),
        Workload::YcsbF(args) => ycsb(YcsbWorkload::F, args),
        Workload::Mixgraph(args) => (Box::new(mixgraph::Mixgraph::new(args)), &args.options),
    })
}

fn ycsb(workload: YcsbWorkload, args: &YcsbArgs) -> (Box<dyn Plan + '_>, &BenchOptions) {
    (Box::new(ycsb::Ycsb::new(workload, args)), &args.options)
}

/// Runs every round of every store.
fn measure<'a>(plan: &dyn Plan, options: &'a BenchOptions, dir: &Path) -> anyhow::Result<Report<'a>> {
    let mut contenders = Contender::all(options, plan.opening(), dir);
    for contender in &mut contenders {
        let bar = progress::bar("loading", options.keys).with_message(contender.name().to_owned());
        let prepared = plan.prepare(contender, &bar);
        prepared.with_context(|| contender.name().to_owned())?;
        bar.finish_and_clear();
    }
    let mut rounds = vec![Vec::new(); contenders.len()];
    for number in 0..options.rounds {
        for (contender, rounds) in contenders.iter_mut().zip(&mut rounds) {
            let what = format!("{}, round {} of {}", contender.name(), number + 1, options.rounds);
            let bar = progress::bar("measuring", 1).with_message(what);
            let round = plan.round(number, contender, &bar);
            rounds.push(round.with_context(|| contender.name().to_owned())?);
            bar.finish_and_clear();
        }
    }
    let mut stores = Vec::new();
    for (contender, rounds) in contenders.iter_mut().zip(rounds) {
        let configuration = contender.store()?.configuration();
        stores.push(Measured { name: contender.name().to_owned(), shards: contender.shards(), configuration, rounds });
    }
    let arguments = plan.arguments()?;
    Ok(Report { workload: plan.name(), arguments, settings: plan.settings(), figures: plan.figures(), stores, options })
}
