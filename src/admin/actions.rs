//! What can be asked of a running store: each action is a name, what it can be told, and what it does.

use super::guard::BODY_BYTES_MAX;
use super::moves;
use super::operations::{Progress, Reporter};
use super::settings::{CheckpointRequest, NoSettings, PruneRequest, Settings};
use super::state::App;
use crate::{CheckpointProgress, Database, RebalanceRequest, ReshardRequest, Result};
use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How often the progress of work that does not tell it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A pruning's progress is told in parts of the whole.
const PARTS: u64 = 1000;

/// An action: its path is its name.
pub(super) struct Action {
    pub(super) name: &'static str,
    /// Reads a request's body, and says what is to be done.
    prepare: fn(&[u8]) -> std::result::Result<Prepared, String>,
}

type Work = Box<dyn FnOnce(&Database, &Reporter) -> Result<Value> + Send>;

/// What is to be done, and the settings that it was told.
struct Prepared {
    settings: Value,
    run: Work,
}

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "flush", prepare: |body| prepare(body, flush) },
    Action { name: "verify", prepare: |body| prepare(body, verify) },
    Action { name: "prune", prepare: |body| prepare(body, prune) },
    Action { name: "checkpoint", prepare: |body| prepare(body, checkpoint) },
    Action { name: "checkpoint/verify", prepare: |body| prepare(body, verify_checkpoint) },
    Action { name: "checkpoint/delete", prepare: |body| prepare(body, delete_checkpoint) },
    Action { name: "rebalance", prepare: |body| prepare(body, moves::carry_out::<RebalanceRequest>) },
    Action { name: "rebalance/rate", prepare: |body| prepare(body, moves::rate) },
    Action { name: "rebalance/resume", prepare: |body| prepare(body, moves::resume) },
    Action { name: "rebalance/abort", prepare: |body| prepare(body, moves::abort) },
    Action { name: "reshard", prepare: |body| prepare(body, moves::carry_out::<ReshardRequest>) },
    Action { name: "slots/measure", prepare: |body| prepare(body, moves::measure) },
];

fn prepare<T: Settings + Send + 'static>(
    body: &[u8],
    run: fn(T, &Database, &Reporter) -> Result<Value>,
) -> std::result::Result<Prepared, String> {
    let told = T::read(body)?;
    let settings = serde_json::to_value(&told).map_err(|error| error.to_string())?;
    Ok(Prepared { settings, run: Box::new(move |db, reporter| run(told, db, reporter)) })
}

/// The route of an action. It answers at once; the work goes on, and `/operations/ID` tells how far it is.
pub(super) fn route(action: &'static Action) -> MethodRouter<Arc<App>> {
    post(move |State(app): State<Arc<App>>, body: Body| async move {
        let body = match read_body(body).await {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        match (action.prepare)(&body) {
            Ok(prepared) => begin(app, action.name, prepared),
            Err(wrong) => wrong_settings(action.name, &wrong),
        }
    })
}

pub(super) async fn read_body(body: Body) -> std::result::Result<Bytes, Response> {
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
        let said = format!("a body has at most {BODY_BYTES_MAX} bytes\n");
        (StatusCode::PAYLOAD_TOO_LARGE, said).into_response()
    })
}

pub(super) fn wrong_settings(action: &str, wrong: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{action} does not take these settings: {wrong}\n")).into_response()
}

fn begin(app: Arc<App>, name: &'static str, Prepared { settings, run }: Prepared) -> Response {
    let (operation, reporter) = match app.operations.begin(name, settings) {
        Ok(begun) => begun,
        Err(running) => return (StatusCode::CONFLICT, Json(running)).into_response(),
    };
    let id = operation.id;
    tokio::task::spawn_blocking(move || {
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| run(&app.db, &reporter)));
        let outcome = outcome
            .map_or_else(|_| Err(format!("{name} has panicked")), |outcome| outcome.map_err(|error| error.to_string()));
        app.operations.end(id, outcome);
    });
    (StatusCode::ACCEPTED, Json(operation)).into_response()
}

/// In bytes of memtables.
fn flush(NoSettings {}: NoSettings, db: &Database, reporter: &Reporter) -> Result<Value> {
    let total = db.memory().unflushed_bytes;
    reporter.report(Progress { done: 0, total });
    let flushed = std::thread::scope(|scope| {
        let flushing = scope.spawn(|| db.flush());
        while !flushing.is_finished() {
            // Commits go on, and add to what is not flushed: of what there was, at least this much is done.
            reporter.report(Progress { done: total.saturating_sub(db.memory().unflushed_bytes), total });
            std::thread::park_timeout(LOOK);
        }
        flushing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    reporter.report(Progress { done: total, total });
    Ok(json!(flushed))
}

/// In rows.
fn verify(NoSettings {}: NoSettings, db: &Database, reporter: &Reporter) -> Result<Value> {
    let report = db.verify(&|progress| {
        reporter.report(Progress { done: progress.rows, total: progress.rows_estimate.max(progress.rows) });
    })?;
    Ok(json!(report))
}

fn prune(asked: PruneRequest, db: &Database, reporter: &Reporter) -> Result<Value> {
    reporter.report(Progress { done: 0, total: PARTS });
    let pruned = db.prune_with(&asked.retention(), asked.options(), &|progress| {
        reporter.report(Progress { done: (progress.fraction * PARTS as f64) as u64, total: PARTS });
    })?;
    reporter.report(Progress { done: PARTS, total: PARTS });
    Ok(json!(pruned))
}

fn in_bytes(reporter: &Reporter) -> impl Fn(CheckpointProgress) + Sync {
    |progress| reporter.report(Progress { done: progress.bytes, total: progress.bytes_total })
}

fn checkpoint(asked: CheckpointRequest, db: &Database, reporter: &Reporter) -> Result<Value> {
    Ok(json!(db.checkpoint_with(&asked.name, &in_bytes(reporter))?))
}

fn verify_checkpoint(asked: CheckpointRequest, db: &Database, reporter: &Reporter) -> Result<Value> {
    let path = checkpoint_of(db, &asked.name)?;
    Ok(json!(Database::verify_checkpoint(path, &in_bytes(reporter))?))
}

fn delete_checkpoint(asked: CheckpointRequest, db: &Database, _: &Reporter) -> Result<Value> {
    db.delete_checkpoint(&asked.name)?;
    Ok(json!({ "deleted": asked.name }))
}

/// Where a store has its checkpoint. A store in memory has none.
fn checkpoint_of(db: &Database, name: &str) -> Result<std::path::PathBuf> {
    let dir = db.path().ok_or(crate::Error::InMemory { what: "verify a checkpoint of" })?;
    Database::checkpoint_path(dir, name)
}
