//! Actions that move slots, and the one that measures them.

use super::operations::{Progress, Reporter};
use super::plan::Planned;
use super::settings::{NoSettings, ResumeRequest};
use crate::{Database, RebalanceOptions, RebalanceOutcome, RebalanceStatus, RebalanceWait, Result};
use serde_json::{Value, json};

/// The progress of a move is told in parts of the whole.
const PARTS: u64 = 1000;

/// As the command does, it waits until everything is done.
fn finished(bytes_per_sec: Option<u64>) -> RebalanceOptions {
    RebalanceOptions { bytes_per_sec, wait: RebalanceWait::Finished }
}

fn in_parts(reporter: &Reporter) -> impl Fn(&RebalanceStatus) {
    |status| reporter.report(Progress { done: (status.fraction * PARTS as f64) as u64, total: PARTS })
}

/// Plans by what is known of the slots now, and does that.
pub(super) fn carry_out<T: Planned>(asked: T, db: &Database, reporter: &Reporter) -> Result<Value> {
    let simulation = asked.plan(db)?;
    let outcome = db.carry_out(&simulation, finished(asked.rate()), &in_parts(reporter))?;
    reporter.report(Progress { done: PARTS, total: PARTS });
    Ok(json!(outcome))
}

pub(super) fn rate(asked: ResumeRequest, db: &Database, _: &Reporter) -> Result<Value> {
    db.set_rebalance_rate(asked.rate_bytes_per_sec)?;
    Ok(json!(asked))
}

pub(super) fn resume(asked: ResumeRequest, db: &Database, reporter: &Reporter) -> Result<Value> {
    let done = db.resume_rebalance(finished(asked.rate_bytes_per_sec), &in_parts(reporter))?;
    reporter.report(Progress { done: PARTS, total: PARTS });
    Ok(json!(RebalanceOutcome { done, shortfalls: Vec::new() }))
}

pub(super) fn abort(NoSettings {}: NoSettings, db: &Database, _: &Reporter) -> Result<Value> {
    db.abort_rebalance()?;
    Ok(json!({ "aborted": true, "shards": db.shards() }))
}

/// In keys. What is then known is read from `/slots` and `/shards`.
pub(super) fn measure(NoSettings {}: NoSettings, db: &Database, reporter: &Reporter) -> Result<Value> {
    let measured = db.measure_slots(&|progress| {
        reporter.report(Progress { done: progress.keys, total: progress.rows_estimate.max(progress.keys) });
    })?;
    Ok(json!({ "measured_at": measured.measured_at }))
}
