//! `shingle bench`: workloads that run on every store alike, in one run, in turns.
//!
//! ```text
//! Plan (blocks, transfers, reads)  ×  Store (shingle, rocksdb)  →  Round, a value for each Figure  →  Report: medians and ratios
//! ```

mod blocks;
mod checkpoint;
mod figure;
mod keys;
mod machine;
mod measure;
mod reads;
mod report;
mod rocks;
mod scratch;
mod shingle;
mod store;
mod transfers;
mod workload;

use crate::args::{BenchArgs, BenchOptions, Peer, Workload};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress;
use anyhow::{Context, bail};
use report::{Measured, Report};
use scratch::Scratch;
use std::path::Path;
use store::Store;
use workload::Plan;

pub(crate) fn run(args: &BenchArgs, out: &mut Output) -> anyhow::Result<()> {
    args.no_store.check("--scratch says where they are made")?;
    if let Workload::Checkpoint(args) = &args.workload {
        return checkpoint::run(args, out);
    }
    let (plan, options): (Box<dyn Plan + '_>, _) = match &args.workload {
        Workload::Blocks(args) => (Box::new(blocks::Blocks::new(args)), &args.options),
        Workload::Transfers(args) => (Box::new(transfers::Transfers::new(args)), &args.options),
        Workload::Reads(args) => (Box::new(reads::Reads::new(args)), &args.options),
        Workload::Checkpoint(_) => bail!("it is measured by itself"),
    };
    let scratch = Scratch::new(&options.scratch, options.keep)?;
    Interrupt::ends_at_once(scratch.remover())?;

    let transactions = matches!(args.workload, Workload::Transfers(_));
    let stores = open(options, transactions, scratch.path())?;
    for store in &stores {
        let bar = progress::bar("loading", options.keys).with_message(store.name());
        plan.prepare(store.as_ref(), &bar).with_context(|| store.name())?;
        bar.finish_and_clear();
    }
    let mut rounds = vec![Vec::new(); stores.len()];
    for number in 0..options.rounds {
        for (store, rounds) in stores.iter().zip(&mut rounds) {
            let bar = progress::bar("measuring", 1).with_message(format!(
                "{}, round {} of {}",
                store.name(),
                number + 1,
                options.rounds
            ));
            rounds.push(plan.round(number, store.as_ref(), &bar).with_context(|| store.name())?);
            bar.finish_and_clear();
        }
    }
    let measured = stores.iter().zip(rounds).map(|(store, rounds)| Measured {
        name: store.name(),
        configuration: store.configuration(),
        rounds,
    });
    let stores = measured.collect();
    let report = Report {
        workload: plan.name(),
        arguments: plan.arguments()?,
        settings: plan.settings(),
        figures: plan.figures(),
        stores,
        options,
    };
    report.print(out)
}

/// Shingle first, then the others, each in a directory of its own.
fn open(options: &BenchOptions, transactions: bool, dir: &Path) -> anyhow::Result<Vec<Box<dyn Store>>> {
    let mut stores: Vec<Box<dyn Store>> = vec![Box::new(shingle::Shingle::open(options, &dir.join("shingle"))?)];
    for peer in &options.against {
        stores.push(match (peer, transactions) {
            (Peer::Rocksdb, false) => Box::new(rocks::Rocks::plain(options, &dir.join("rocksdb"))?),
            (Peer::Rocksdb, true) => Box::new(rocks::Rocks::transactional(options, &dir.join("rocksdb"))?),
        });
    }
    Ok(stores)
}
