//! What each path answers.

use super::actions::{self, ACTIONS};
use super::guard;
use super::history::INTERVAL;
use super::page;
use super::plan;
use super::state::App;
use crate::{RebalanceRequest, ReshardRequest, SlotMap};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use prometheus::{TEXT_FORMAT, TextEncoder};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

pub(super) fn router(app: &Arc<App>) -> Router {
    let acting = ACTIONS
        .iter()
        .fold(Router::new(), |router, action| router.route(&format!("/{}", action.name), actions::route(action)))
        .route("/rebalance/plan", post(plan::simulate::<RebalanceRequest>))
        .route("/reshard/plan", post(plan::simulate::<ReshardRequest>));
    let acting = acting.route_layer(from_fn_with_state(Arc::clone(app), guard::authorized));
    Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/shards", get(shards))
        .route("/slots", get(slots))
        .route("/slot-map", get(slot_map))
        .route("/rebalance/status", get(rebalance_status))
        .route("/checkpoints", get(checkpoints))
        .route("/history", get(history))
        .route("/operations", get(operations))
        .route("/operations/{id}", get(operation))
        .merge(acting)
        .fallback(nothing)
        .layer(from_fn_with_state(Arc::clone(app), guard::local))
        .layer(from_fn_with_state(Arc::clone(app), guard::bound))
        .layer(map_response(plain))
        .with_state(Arc::clone(app))
}

async fn nothing() -> Response {
    let said = "nothing is here; there are /, /healthz, /readyz, /metrics, /status, /shards, /slots, /slot-map, \
                /rebalance/status, /checkpoints, /history and /operations, which names the actions too\n";
    (StatusCode::NOT_FOUND, said).into_response()
}

/// Figures are of the moment, and text is no page.
async fn plain(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, axum::http::HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, axum::http::HeaderValue::from_static("nosniff"));
    response
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.is_closing() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: the server is closing\n").into_response();
    }
    let condition = read(&app, |app| app.db.condition()).await;
    match condition {
        Ok(condition) if condition.writable => "ready\n".into_response(),
        Ok(condition) => {
            let reason = condition.reason.unwrap_or_default();
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response()
        }
        Err(failed) => failed,
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = read(&app, |app| TextEncoder::new().encode_to_string(&app.registry.gather())).await;
    match text {
        Ok(Ok(text)) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(failed) => failed,
    }
}

async fn status(State(app): State<Arc<App>>) -> Response {
    match read(&app, |app| app.db.status()).await {
        Ok(status) => Json(status).into_response(),
        Err(failed) => failed,
    }
}

async fn shards(State(app): State<Arc<App>>) -> Response {
    match read(&app, |app| app.db.shard_stats()).await {
        Ok(shards) => Json(shards).into_response(),
        Err(failed) => failed,
    }
}

async fn slots(State(app): State<Arc<App>>) -> Response {
    match read(&app, |app| app.db.slot_stats()).await {
        Ok(slots) => Json(slots).into_response(),
        Err(failed) => failed,
    }
}

#[derive(Serialize)]
struct Slots {
    #[serde(flatten)]
    now: SlotMap,
    /// Where slots are going to.
    next: Option<SlotMap>,
}

async fn slot_map(State(app): State<Arc<App>>) -> Response {
    Json(Slots { now: app.db.slot_map(), next: app.db.next_slot_map() }).into_response()
}

async fn rebalance_status(State(app): State<Arc<App>>) -> Response {
    Json(app.db.rebalance_status()).into_response()
}

async fn checkpoints(State(app): State<Arc<App>>) -> Response {
    match read(&app, |app| app.db.checkpoints()).await {
        Ok(Ok(checkpoints)) => Json(checkpoints).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(failed) => failed,
    }
}

#[derive(Deserialize)]
struct Since {
    /// Milliseconds since the beginning of 1970.
    #[serde(default)]
    since: u64,
}

async fn history(State(app): State<Arc<App>>, Query(Since { since }): Query<Since>) -> Response {
    let interval_ms = INTERVAL.as_millis() as u64;
    Json(json!({ "interval_ms": interval_ms, "samples": app.history.since(since) })).into_response()
}

#[derive(Serialize)]
struct OperationList {
    operations: Vec<super::Operation>,
    actions: Vec<&'static str>,
}

async fn operations(State(app): State<Arc<App>>) -> Response {
    let actions = ACTIONS.iter().map(|action| action.name).collect();
    Json(OperationList { operations: app.operations.all(), actions }).into_response()
}

async fn operation(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Response {
    match app.operations.get(id) {
        Some(operation) => Json(operation).into_response(),
        None => (StatusCode::NOT_FOUND, format!("there is no operation {id}\n")).into_response(),
    }
}

/// Asks the store on a thread that may wait for a lock. A bounded number at a time: one whose client has gone still counts.
pub(super) async fn read<T: Send + 'static>(
    app: &Arc<App>,
    ask: impl FnOnce(&App) -> T + Send + 'static,
) -> Result<T, Response> {
    let place = Arc::clone(&app.reads).acquire_owned().await;
    let app = Arc::clone(app);
    let asked = tokio::task::spawn_blocking(move || {
        let _place = place;
        ask(&app)
    });
    asked.await.map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "the store has panicked\n").into_response())
}
