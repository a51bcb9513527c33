//! What can be asked of a running store: each action is a name, and what it does.

use super::operations::{Progress, Reporter};
use super::state::App;
use crate::{Database, Result};
use axum::Json;
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

/// An action: its path is its name.
pub(super) struct Action {
    pub(super) name: &'static str,
    run: fn(&Database, &Reporter) -> Result<Value>,
}

pub(super) const ACTIONS: &[Action] = &[Action { name: "flush", run: flush }, Action { name: "verify", run: verify }];

/// The route of an action. It answers at once; the work goes on, and `/operations/ID` tells how far it is.
pub(super) fn route(action: &'static Action) -> MethodRouter<Arc<App>> {
    post(move |State(app): State<Arc<App>>| async move { begin(app, action) })
}

fn begin(app: Arc<App>, action: &'static Action) -> Response {
    let (operation, reporter) = match app.operations.begin(action.name) {
        Ok(begun) => begun,
        Err(running) => return (StatusCode::CONFLICT, Json(running)).into_response(),
    };
    let id = operation.id;
    tokio::task::spawn_blocking(move || {
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| (action.run)(&app.db, &reporter)));
        let outcome = outcome.map_or_else(
            |_| Err(format!("{} has panicked", action.name)),
            |outcome| outcome.map_err(|error| error.to_string()),
        );
        app.operations.end(id, outcome);
    });
    (StatusCode::ACCEPTED, Json(operation)).into_response()
}

/// In bytes of memtables.
fn flush(db: &Database, reporter: &Reporter) -> Result<Value> {
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
fn verify(db: &Database, reporter: &Reporter) -> Result<Value> {
    let report = db.verify(&|progress| {
        reporter.report(Progress { done: progress.rows, total: progress.rows_estimate.max(progress.rows) });
    })?;
    Ok(json!(report))
}
