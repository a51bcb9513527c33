//! What a rebalancing would come to: asked for as the action is, answered at once, and nothing is changed.

use super::actions::{read_body, wrong_settings};
use super::routes::read;
use super::settings::Settings;
use super::state::App;
use crate::{Database, ErrorKind, RebalanceRequest, ReshardRequest, Result, Simulation};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Moves that can be asked for.
pub(super) trait Planned: Settings + Send + 'static {
    /// The action that carries them out.
    const ACTION: &str;

    /// What they come to.
    fn plan(&self, db: &Database) -> Result<Simulation>;

    /// The most bytes that are copied in a second.
    fn rate(&self) -> Option<u64>;
}

impl Planned for RebalanceRequest {
    const ACTION: &str = "rebalance";

    fn plan(&self, db: &Database) -> Result<Simulation> {
        db.plan_rebalance(self)
    }

    fn rate(&self) -> Option<u64> {
        self.rate_bytes_per_sec
    }
}

impl Planned for ReshardRequest {
    const ACTION: &str = "reshard";

    fn plan(&self, db: &Database) -> Result<Simulation> {
        db.plan_reshard(self)
    }

    fn rate(&self) -> Option<u64> {
        self.rate_bytes_per_sec
    }
}

/// Answers what the action would do.
pub(super) async fn simulate<T: Planned>(State(app): State<Arc<App>>, body: Body) -> Response {
    let told = match read_body(body).await {
        Ok(body) => T::read(&body),
        Err(refused) => return refused,
    };
    let told = match told {
        Ok(told) => told,
        Err(wrong) => return wrong_settings(T::ACTION, &wrong),
    };
    match read(&app, move |app| told.plan(&app.db)).await {
        Ok(Ok(simulation)) => Json(simulation).into_response(),
        Ok(Err(error)) => {
            let ours = error.kind() != ErrorKind::InvalidArgument;
            let status = if ours { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
            (status, format!("{error}\n")).into_response()
        }
        Err(failed) => failed,
    }
}
