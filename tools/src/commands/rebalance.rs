//! `shingle rebalance` and `shingle reshard`.

use super::shards::statistics;
use super::simulation::{self, print_shortfalls};
use crate::args::{
    MovingArgs, RebalanceAction, RebalanceArgs, RebalanceStatusArgs, ReshardArgs, ResumeArgs, WantedArgs,
};
use crate::failure::Usage;
use crate::output::Output;
use crate::{progress, units};
use indicatif::ProgressBar;
use serde::Serialize;
use shingle::{
    Database, Error, RebalanceOptions, RebalancePhase, RebalanceRequest, RebalanceStatus, RebalanceWait, Rebalanced,
    ReshardRequest, Shortfall, Simulation,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// The bar's steps.
const STEPS: u64 = 1000;

pub(crate) fn run(args: &RebalanceArgs, out: &mut Output) -> anyhow::Result<()> {
    match &args.action {
        Some(RebalanceAction::Status(args)) => return status(args, out),
        Some(RebalanceAction::Resume(args)) => return resume(args, out),
        Some(RebalanceAction::Abort(args)) => return abort(args, out),
        None => {}
    }
    let request = args.wanted.request(&args.moving)?;
    let db = args.store.open()?;
    if args.wanted.measure {
        statistics(&db, true)?;
    }
    let simulation = db.plan_rebalance(&request)?;
    carry_out(db, &simulation, &args.moving, out)
}

pub(crate) fn reshard(args: &ReshardArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let request = ReshardRequest {
        from: args.from as usize,
        to: args.to as usize,
        slots: args.slots.clone(),
        rate_bytes_per_sec: args.moving.rate,
    };
    let simulation = db.plan_reshard(&request)?;
    carry_out(db, &simulation, &args.moving, out)
}

impl WantedArgs {
    fn request(&self, moving: &MovingArgs) -> anyhow::Result<RebalanceRequest> {
        let mut weights = BTreeMap::new();
        for &(shard, weight) in &self.weights {
            if weights.insert(shard, weight).is_some() {
                return Err(Usage(format!("--weight is given twice for shard {shard}")).into());
            }
        }
        Ok(RebalanceRequest {
            to_shards: self.to_shards.map(|shards| shards as usize),
            by: self.by.into(),
            threshold_percent: self.threshold,
            weights,
            shard_dirs: self.shard_dirs.clone(),
            rate_bytes_per_sec: moving.rate,
        })
    }
}

/// What a rebalancing did, and what it could not do.
#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    done: Rebalanced,
    shortfalls: &'a [Shortfall],
}

fn carry_out(db: Database, simulation: &Simulation, moving: &MovingArgs, out: &mut Output) -> anyhow::Result<()> {
    if moving.simulate {
        db.close()?;
        return if out.json { out.document(simulation) } else { simulation::print(simulation, out) };
    }
    let done = if simulation.is_empty() {
        Rebalanced { shards: simulation.shards_before, ..Rebalanced::default() }
    } else {
        with_bar(|tell| db.rebalance(&simulation.plan, finished(moving.rate), tell))?
    };
    db.close()?;
    report(done, &simulation.shortfalls, out)
}

fn finished(bytes_per_sec: Option<u64>) -> RebalanceOptions {
    RebalanceOptions { bytes_per_sec, wait: RebalanceWait::Finished }
}

fn report(done: Rebalanced, shortfalls: &[Shortfall], out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.document(&Outcome { done, shortfalls });
    }
    if done.slots == 0 {
        out.line("no slot was moved")?;
    } else {
        out.line(format_args!(
            "{} moved, {} and {} copied in {}; no commit waited longer than {} for it",
            units::counted(done.slots, "slot"),
            units::counted(done.rows, "row"),
            units::bytes(done.bytes),
            units::duration(Duration::from_micros(done.micros)),
            units::duration(Duration::from_micros(done.barrier_micros_max)),
        ))?;
    }
    out.line(format_args!("the store has {}", units::counted(done.shards as u64, "shard")))?;
    print_shortfalls(shortfalls, out)
}

fn status(args: &RebalanceStatusArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    // Opening it has let it go on: what it does from here to the closing is done.
    let status = db.rebalance_status();
    db.close()?;
    if out.json {
        return out.document(&status);
    }
    let Some(status) = status else { return out.line("no rebalancing is under way") };
    let rate = match status.bytes_per_sec_max {
        Some(most) => format!("{}/s (at most {}/s)", units::bytes(status.bytes_per_sec), units::bytes(most)),
        None => format!("{}/s", units::bytes(status.bytes_per_sec)),
    };
    out.properties(&[
        ("state", phase(status.phase).to_owned()),
        ("slots", format!("{} of {}", units::count(status.slots_done), units::count(status.slots))),
        ("shards in the end", status.shards_after.to_string()),
        ("copied", format!("{} in {}", units::bytes(status.bytes_copied), units::counted(status.rows_copied, "row"))),
        ("rate", rate),
        (
            "time left",
            status.remaining_ms.map_or("unknown".to_owned(), |ms| units::duration(Duration::from_millis(ms))),
        ),
        ("readers of the old map", units::count(status.older_readers)),
    ])?;
    match &status.failure {
        Some(failure) => out.line(format_args!("stopped: {failure}; resume it, or abort it")),
        None => Ok(()),
    }
}

fn resume(args: &ResumeArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let was_there = db.rebalance_status().is_some();
    let done = match with_bar(|tell| db.resume_rebalance(finished(args.rate), tell)) {
        // Opening the store has let it go on, and it was at its end already.
        Err(Error::NoRebalance) if was_there => None,
        done => Some(done?),
    };
    let shards = db.shards();
    db.close()?;
    match done {
        Some(done) => report(done, &[], out),
        None if out.json => {
            out.document(&Outcome { done: Rebalanced { shards, ..Rebalanced::default() }, shortfalls: &[] })
        }
        None => out.line(format_args!(
            "little was left to do, and is done: the store has {}",
            units::counted(shards as u64, "shard")
        )),
    }
}

fn abort(args: &RebalanceStatusArgs, out: &mut Output) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Aborted {
        aborted: bool,
        shards: usize,
    }
    let db = args.store.open()?;
    db.abort_rebalance()?;
    let shards = db.shards();
    db.close()?;
    if out.json {
        return out.document(&Aborted { aborted: true, shards });
    }
    out.line("the rebalancing is given up: every slot is where it was")
}

/// Shows how far it is while it runs.
fn with_bar<T>(work: impl FnOnce(&dyn Fn(&RebalanceStatus)) -> T) -> T {
    let bar = progress::bar("moving", STEPS);
    let done = work(&|status| show(&bar, status));
    bar.finish_and_clear();
    done
}

fn show(bar: &ProgressBar, status: &RebalanceStatus) {
    bar.set_position((status.fraction * STEPS as f64) as u64);
    let left = status
        .remaining_ms
        .map(|ms| format!(", {} left", units::duration(Duration::from_millis(ms))))
        .unwrap_or_default();
    bar.set_message(if status.phase == RebalancePhase::Copying {
        format!("{} copied, {}/s{left}", units::bytes(status.bytes_copied), units::bytes(status.bytes_per_sec))
    } else {
        phase(status.phase).to_owned()
    });
}

fn phase(phase: RebalancePhase) -> &'static str {
    match phase {
        RebalancePhase::Copying => "copying",
        RebalancePhase::HandingOver => "handing over",
        RebalancePhase::WaitingForReaders => "waiting for snapshots of the old map",
        RebalancePhase::Cleaning => "cleaning",
        RebalancePhase::Removing => "removing emptied shards",
    }
}
