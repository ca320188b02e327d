//! Whether the server runs, and whether it can work: for whoever watches over it.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::ops::{App, ready};

/// `/healthz` and `/readyz`. They tell nothing that a stranger may not know.
pub(super) fn router(app: App) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(readiness)).with_state(app)
}

async fn readiness(State(app): State<App>) -> (StatusCode, &'static str) {
    // Opening the ledger may wait for another process.
    let checked = tokio::task::spawn_blocking(move || ready::ready(&app)).await;
    match checked {
        Ok(Ok(())) => (StatusCode::OK, "ready\n"),
        Ok(Err(error)) => {
            tracing::warn!("not ready: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be used; the log says why\n")
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "a bug; the log says where\n"),
    }
}
