//! Whether the server runs, and whether it can work: for whoever watches over it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::Mutex;

use crate::ops::{App, ready};

/// For so long it is known that it was ready. Anybody may ask, and nobody is to keep the disk busy by asking.
const FRESH: Duration = Duration::from_secs(1);

/// When it was ready last. Who asks meanwhile waits for what whoever asked first finds.
#[derive(Clone)]
struct Readiness {
    app: App,
    last: Arc<Mutex<Option<Instant>>>,
}

/// `/healthz` and `/readyz`. They tell nothing that a stranger may not know.
pub(super) fn router(app: App) -> Router {
    let readiness = Readiness { app, last: Arc::default() };
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready_or_not)).with_state(readiness)
}

async fn ready_or_not(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    const READY: (StatusCode, &str) = (StatusCode::OK, "ready\n");
    let mut last = readiness.last.lock().await;
    if last.is_some_and(|at| at.elapsed() < FRESH) {
        return READY;
    }
    // The ledger may have to be waited for.
    let app = readiness.app;
    let checked = tokio::task::spawn_blocking(move || ready::ready(&app)).await;
    *last = matches!(checked, Ok(Ok(()))).then(Instant::now);
    match checked {
        Ok(Ok(())) => READY,
        Ok(Err(error)) => {
            tracing::warn!("not ready: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be used; the log says why\n")
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "a bug; the log says where\n"),
    }
}
