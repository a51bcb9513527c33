//! `shingle rebalance` and `shingle reshard`.

use super::shards::{measure, measure_on};
use super::simulation::{self, print_shortfalls};
use crate::args::{
    AbortArgs, MovingArgs, RebalanceAction, RebalanceArgs, RebalanceStatusArgs, ReshardArgs, ResumeArgs, StoreArgs,
    TokenArgs, WantedArgs,
};
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::remote::{Node, Others};
use crate::{progress, units};
use anyhow::{anyhow, bail};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shingle::admin::ResumeRequest;
use shingle::{
    Database, Error, RebalanceOptions, RebalanceOutcome, RebalancePhase, RebalanceRequest, RebalanceStatus,
    RebalanceWait, Rebalanced, ReshardRequest, Simulation,
};
use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often it is looked whether Ctrl-C was pressed.
const LOOK: Duration = Duration::from_millis(50);

/// What Ctrl-C leaves, where a node does it.
const NODE_GOES_ON: &str = "interrupted; the node goes on with it: `shingle rebalance status --url` says how far it is, \
                            `shingle rebalance abort --url` gives it up";

/// The bar's steps.
const STEPS: u64 = 1000;

pub(crate) fn run(args: &RebalanceArgs, out: &mut Output) -> anyhow::Result<()> {
    match &args.action {
        Some(RebalanceAction::Status(args)) => return status(args, out),
        Some(RebalanceAction::Resume(args)) => return resume(args, out),
        Some(RebalanceAction::Abort(args)) => return abort(args, out),
        None => {}
    }
    let mut request = args.wanted.request(&args.moving)?;
    match args.node.node()? {
        Some(node) => {
            measure_on(&node, args.wanted.measure, &args.token)?;
            // Another process takes a relative path for another place.
            request.shard_dirs = request.shard_dirs.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
            carry_out_on(&node, "rebalance", &request, &args.moving, &args.token, out)
        }
        None => {
            let db = args.store.open()?;
            measure(&db, args.wanted.measure)?;
            let simulation = db.plan_rebalance(&request)?;
            carry_out(db, &simulation, &args.moving, &args.store, out)
        }
    }
}

pub(crate) fn reshard(args: &ReshardArgs, out: &mut Output) -> anyhow::Result<()> {
    let request = ReshardRequest {
        from: args.from as usize,
        to: args.to as usize,
        slots: args.slots.clone(),
        rate_bytes_per_sec: args.moving.rate,
    };
    if let Some(node) = args.node.node()? {
        return carry_out_on(&node, "reshard", &request, &args.moving, &args.token, out);
    }
    let db = args.store.open()?;
    let simulation = db.plan_reshard(&request)?;
    carry_out(db, &simulation, &args.moving, &args.store, out)
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

fn carry_out(
    db: Database,
    simulation: &Simulation,
    moving: &MovingArgs,
    store: &StoreArgs,
    out: &mut Output,
) -> anyhow::Result<()> {
    if moving.simulate {
        db.close()?;
        return print_simulation(simulation, out);
    }
    let outcome = until_interrupted(&db, store, |tell| db.carry_out(simulation, finished(moving.rate), tell))??;
    db.close()?;
    report(&outcome, Committing::Nobody, out)
}

fn carry_out_on(
    node: &Node,
    action: &'static str,
    request: &impl Serialize,
    moving: &MovingArgs,
    token: &TokenArgs,
    out: &mut Output,
) -> anyhow::Result<()> {
    if moving.simulate {
        return print_simulation(&node.post(&format!("/{action}/plan"), request, token)?, out);
    }
    report(&act_with_bar(node, action, request, token, Others::Refused)?, Committing::Others, out)
}

fn print_simulation(simulation: &Simulation, out: &mut Output) -> anyhow::Result<()> {
    if out.json { out.document(simulation) } else { simulation::print(simulation, out) }
}

fn finished(bytes_per_sec: Option<u64>) -> RebalanceOptions {
    RebalanceOptions { bytes_per_sec, wait: RebalanceWait::Finished }
}

/// Who may have committed meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Committing {
    /// This process had the store to itself.
    Nobody,
    Others,
}

fn report(outcome: &RebalanceOutcome, committing: Committing, out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.document(outcome);
    }
    let done = outcome.done;
    if done.slots == 0 {
        out.line("no slot was moved")?;
    } else {
        let pause = units::duration(Duration::from_micros(done.barrier_micros_max));
        out.line(format_args!(
            "{} moved, {} and {} copied in {}{}",
            units::counted(done.slots, "slot"),
            units::counted(done.rows, "row"),
            units::bytes(done.bytes),
            units::duration(Duration::from_micros(done.micros)),
            match committing {
                Committing::Nobody => String::new(),
                Committing::Others => format!("; no commit waited longer than {pause} for it"),
            },
        ))?;
    }
    out.line(format_args!("the store has {}", units::counted(done.shards as u64, "shard")))?;
    print_shortfalls(&outcome.shortfalls, out)
}

fn status(args: &RebalanceStatusArgs, out: &mut Output) -> anyhow::Result<()> {
    let status: Option<RebalanceStatus> = match args.node.node()? {
        Some(node) => node.get("/rebalance/status")?,
        None => {
            let db = args.store.open()?;
            // Opening it has let it go on: what it does from here to the closing is done.
            let status = db.rebalance_status();
            db.close()?;
            status
        }
    };
    if out.json {
        return out.document(&status);
    }
    let Some(status) = status else { return out.line("no rebalancing is under way") };
    out.properties(&properties(&status))?;
    match &status.failure {
        Some(failure) => out.line(format_args!("stopped: {failure}; resume it, or abort it")),
        None => Ok(()),
    }
}

/// Each phase has its own: of what is done or given up, only what came of it.
fn properties(status: &RebalanceStatus) -> Vec<(&'static str, String)> {
    let mut properties = vec![("state", doing(status))];
    // Of one that was given up, or is at its end, none are on their way.
    if status.slots > 0 {
        properties.push(("slots", format!("{} of {}", units::count(status.slots_done), units::count(status.slots))));
    }
    properties.push(("shards in the end", status.shards_after.to_string()));
    let copied = || format!("{} in {}", units::bytes(status.bytes_copied), units::counted(status.rows_copied, "row"));
    match status.phase {
        RebalancePhase::Copying => {
            let (rate, left) = (units::bytes(status.bytes_per_sec), status.remaining_ms.map(Duration::from_millis));
            let most = status.bytes_per_sec_max.map(|most| format!(" (at most {}/s)", units::bytes(most)));
            properties.extend([
                ("progress", format!("{:.0} %", 100.0 * status.fraction)),
                ("copied", copied()),
                ("rate", format!("{rate}/s{}", most.unwrap_or_default())),
                ("time left", left.map_or("unknown".to_owned(), units::duration)),
            ]);
        }
        RebalancePhase::WaitingForReaders => {
            properties.push(("readers of the old map", units::count(status.older_readers)));
        }
        RebalancePhase::HandingOver | RebalancePhase::Cleaning | RebalancePhase::Removing => {}
    }
    if status.phase != RebalancePhase::Copying && status.rows_copied > 0 {
        properties.push(("copied", copied()));
    }
    if status.barrier_micros_max > 0 {
        properties.push(("longest pause", units::duration(Duration::from_micros(status.barrier_micros_max))));
    }
    properties
}

fn resume(args: &ResumeArgs, out: &mut Output) -> anyhow::Result<()> {
    let rate = args.rate.and_then(|limit| limit.bytes_per_sec);
    if let Some(node) = args.node.node()? {
        let request = ResumeRequest { rate_bytes_per_sec: rate };
        // Whom somebody else has resumed, and waits for, goes at this rate as well.
        let set_rate = || match args.rate {
            Some(_) => node.act("rebalance/rate", &request, &args.token).map(|_: Value| ()),
            None => Ok(()),
        };
        if rate.is_none() {
            // A resuming that gives no rate keeps the one there is.
            set_rate()?;
        }
        let others = Others::Joined(&set_rate);
        let outcome = act_with_bar(&node, "rebalance/resume", &request, &args.token, others)?;
        return report(&outcome, Committing::Others, out);
    }
    let db = args.store.open()?;
    let was_there = db.rebalance_status().is_some();
    if args.rate.is_some() {
        db.set_rebalance_rate(rate)?;
    }
    let done = match until_interrupted(&db, &args.store, |tell| db.resume_rebalance(finished(rate), tell))? {
        // Opening the store has let it go on, and it was at its end already.
        Err(Error::NoRebalance) if was_there => None,
        done => Some(done?),
    };
    let shards = db.shards();
    db.close()?;
    match done {
        None if !out.json => out.line(format_args!(
            "little was left to do, and is done: the store has {}",
            units::counted(shards as u64, "shard")
        )),
        done => {
            let done = done.unwrap_or(Rebalanced { shards, ..Rebalanced::default() });
            report(&RebalanceOutcome { done, shortfalls: Vec::new() }, Committing::Nobody, out)
        }
    }
}

fn abort(args: &AbortArgs, out: &mut Output) -> anyhow::Result<()> {
    #[derive(Serialize, Deserialize)]
    struct Aborted {
        aborted: bool,
        shards: usize,
    }
    let done = match args.node.node()? {
        Some(node) => node.act("rebalance/abort", &json!({}), &args.token)?,
        None => {
            let db = args.store.open()?;
            db.abort_rebalance()?;
            let shards = db.shards();
            db.close()?;
            Aborted { aborted: true, shards }
        }
    };
    if out.json {
        return out.document(&done);
    }
    out.line("the rebalancing is given up: every slot is where it was")
}

/// Shows how far a node is with it while it runs.
fn act_with_bar(
    node: &Node,
    action: &'static str,
    request: &impl Serialize,
    token: &TokenArgs,
    others: Others<'_>,
) -> anyhow::Result<RebalanceOutcome> {
    Interrupt::ends_saying(NODE_GOES_ON)?;
    with_bar(|tell| {
        node.act_showing(action, request, token, others, &|_| {
            // What cannot be shown now is shown the next time.
            if let Ok(Some(status)) = node.get("/rebalance/status") {
                tell(&status);
            }
        })
    })
}

/// Shows how far it is while it runs. Ctrl-C closes the store beneath it: that ends it between two slices, and what the
/// next opening goes on with is as durable as after any closing. Once the work has ended, Ctrl-C closes nothing.
fn until_interrupted<T>(
    db: &Database,
    store: &StoreArgs,
    work: impl FnOnce(&dyn Fn(&RebalanceStatus)) -> shingle::Result<T>,
) -> anyhow::Result<shingle::Result<T>> {
    let interrupt = &Interrupt::listen()?;
    let (done, closed) = thread::scope(|scope| {
        // Dropped when the work ends, however it ends.
        let (working, ended) = mpsc::channel::<()>();
        let closing = scope.spawn(move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if interrupt.asked() {
                    return Some(db.clone().close());
                }
            }
            None
        });
        let done = with_bar(work);
        drop(working);
        (done, closing.join())
    });
    let closed = closed.map_err(|_| anyhow!("the store could not be closed"))?;
    if !matches!(done, Err(Error::Closed)) {
        return Ok(done);
    }
    // By Ctrl-C: nobody else has it.
    closed.transpose()?;
    let Some(status) = db.rebalance_status() else { bail!("interrupted; nothing was begun") };
    let dir = store.dir.display();
    let goes_on = format!(
        "interrupted; the rebalancing is not finished and goes on whenever the store is opened: \
         `shingle rebalance resume --dir {dir}` waits for it"
    );
    if status.phase == RebalancePhase::Copying && !status.aborted {
        bail!("{goes_on}, `shingle rebalance abort --dir {dir}` gives it up");
    }
    bail!("{goes_on}")
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
        .map(|ms| format!(", {} left", units::whole_seconds(Duration::from_millis(ms))))
        .unwrap_or_default();
    bar.set_message(match status.phase {
        RebalancePhase::Copying if status.waits_for_compaction => {
            format!("{} copied, waiting for compaction", units::bytes(status.bytes_copied))
        }
        RebalancePhase::Copying => {
            format!("{} copied, {}/s{left}", units::bytes(status.bytes_copied), units::bytes(status.bytes_per_sec))
        }
        RebalancePhase::HandingOver
        | RebalancePhase::WaitingForReaders
        | RebalancePhase::Cleaning
        | RebalancePhase::Removing => doing(status),
    });
}

/// In a few words.
pub(super) fn doing(status: &RebalanceStatus) -> String {
    let phase = match (status.aborted, status.phase) {
        (true, RebalancePhase::Copying | RebalancePhase::HandingOver) => "given up",
        (true, RebalancePhase::WaitingForReaders) => "given up, waiting for snapshots of the old map",
        (true, RebalancePhase::Cleaning) => "given up: what was copied is removed",
        (true, RebalancePhase::Removing) => "given up: new shards are removed",
        (false, RebalancePhase::Copying) => "copying",
        (false, RebalancePhase::HandingOver) => "handing over",
        (false, RebalancePhase::WaitingForReaders) => "waiting for snapshots of the old map",
        (false, RebalancePhase::Cleaning) => "cleaning: what was moved is removed from where it was",
        (false, RebalancePhase::Removing) => "removing shards that are not used",
    };
    if status.waits_for_compaction { format!("{phase}, waiting for compaction") } else { phase.to_owned() }
}
