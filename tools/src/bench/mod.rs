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
mod prune;
mod reading;
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

use crate::args::{Asked, BenchArgs, BenchOptions, Peer, Workload, YcsbArgs, YcsbWorkload};
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress;
use anyhow::{Context, bail};
use contender::Contender;
use report::{Measured, Report};
use scratch::Scratch;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use workload::Plan;

pub(crate) fn run(args: &BenchArgs, out: &mut Output) -> anyhow::Result<()> {
    args.no_store.check("--scratch says where they are made")?;
    if let Workload::Recovery(asked) = &args.workload
        && let Some(child) = &asked.own.child
    {
        return recovery::run_child(asked, child);
    }
    if let Workload::Checkpoint(args) = &args.workload {
        return checkpoint::run(args, out);
    }
    if let Workload::Rebalance(args) = &args.workload {
        return rebalance::run(args, out);
    }
    if let Workload::Prune(asked) = &args.workload {
        asked.options.results.check()?;
        return prune::run(asked, out);
    }
    if let Workload::Curve(args) = &args.workload {
        return curve::run(args, out);
    }
    let planned = plan(&args.workload)?;
    planned.options.results.check()?;
    let scratch = Scratch::new(&planned.options.scratch, planned.options.keep)?;
    let remove = scratch.remover();
    Interrupt::ends_at_once(move || {
        recovery::end_child();
        remove();
    })?;
    measure(&planned, scratch.path())?.print(out)
}

/// A workload, ready to run.
struct Planned<'a> {
    plan: Box<dyn Plan + 'a>,
    options: &'a BenchOptions,
    /// For scripts.
    arguments: Value,
}

fn plan(workload: &Workload) -> anyhow::Result<Planned<'_>> {
    match workload {
        Workload::Blocks(asked) => planned(asked, blocks::Blocks::new),
        Workload::Transfers(asked) => planned(asked, transfers::Transfers::new),
        Workload::Reads(asked) => planned(asked, reads::Reads::new),
        Workload::Checkpoint(_) | Workload::Prune(_) | Workload::Rebalance(_) => bail!("it is measured by itself"),
        Workload::Curve(_) => bail!("a curve is made of other workloads"),
        Workload::Hot(asked) => planned(asked, transfers::Transfers::hot),
        Workload::History(asked) => {
            refuse_without_versions(&asked.options.against)?;
            planned(asked, history::History::new)
        }
        Workload::Scan(asked) => planned(asked, scans::Scans::new),
        Workload::Cold(asked) => planned(asked, cold::Cold::new),
        Workload::Recovery(asked) => planned(asked, recovery::Recovery::new),
        Workload::YcsbA(asked) => ycsb(YcsbWorkload::A, asked),
        Workload::YcsbB(asked) => ycsb(YcsbWorkload::B, asked),
        Workload::YcsbC(asked) => ycsb(YcsbWorkload::C, asked),
        Workload::YcsbD(asked) => ycsb(YcsbWorkload::D, asked),
        Workload::YcsbE(asked) => ycsb(YcsbWorkload::E, asked),
        Workload::YcsbF(asked) => ycsb(YcsbWorkload::F, asked),
        Workload::Mixgraph(asked) => planned(asked, mixgraph::Mixgraph::new),
    }
}

fn planned<'a, W: clap::Args + Serialize, P: Plan + 'a>(
    asked: &'a Asked<W>,
    plan: impl FnOnce(&'a W, &'a BenchOptions) -> P,
) -> anyhow::Result<Planned<'a>> {
    let Asked { options, own } = asked;
    Ok(Planned { plan: Box::new(plan(own, options)), options, arguments: serde_json::to_value(asked)? })
}

fn ycsb(workload: YcsbWorkload, asked: &Asked<YcsbArgs>) -> anyhow::Result<Planned<'_>> {
    planned(asked, |own, options| ycsb::Ycsb::new(workload, own, options))
}

/// A history is read at old heights.
fn refuse_without_versions(against: &[Peer]) -> anyhow::Result<()> {
    match against.iter().find(|peer| !peer.keeps_versions()) {
        None => Ok(()),
        Some(peer) => Err(Usage(format!(
            "{} keeps no older versions, and a history is read at old heights; rocksdb-versioned keeps them",
            peer.name()
        ))
        .into()),
    }
}

/// Runs every round of every store.
fn measure<'a>(planned: &Planned<'a>, dir: &Path) -> anyhow::Result<Report<'a>> {
    let Planned { plan, options, arguments } = planned;
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
    Ok(Report {
        workload: plan.name(),
        arguments: arguments.clone(),
        settings: plan.settings(),
        figures: plan.figures(),
        stores,
        options,
    })
}
