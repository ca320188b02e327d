//! What clients before 2026-07-28 expect of a call, also without a session: it goes on when their connection breaks, and
//! ends when they say so.
//!
//! The SDK, without sessions, ends a call with its connection, as the newer revision wants it, and has no way to tell
//! which call a notice of cancellation means, as ids of different clients are alike. A client that had a session
//! (`sessions`) goes on sending its name, and that tells them apart.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::message::Spoken;
use super::sessions::SESSION;
use crate::ops::Ending;

/// The first revision whose calls end with their connection.
const MODERN: &str = "2026-07-28";
/// Calls that go on without their client. One more ends with its connection.
const MOST_ALONE: usize = 64;

/// The calls of legacy clients without a session.
#[derive(Clone)]
pub(super) struct LegacyCalls {
    in_flight: Arc<Mutex<HashMap<CallName, CancellationToken>>>,
    alone: Arc<Semaphore>,
    ending: Ending,
}

/// A client's name and the id it gave the call, as JSON.
type CallName = (String, String);

impl LegacyCalls {
    /// Calls that are work to be waited for.
    pub(super) fn new(ending: &Ending) -> Self {
        Self { in_flight: Arc::default(), alone: Arc::new(Semaphore::new(MOST_ALONE)), ending: ending.clone() }
    }

    /// Ends a call, if it is in flight.
    fn cancel(&self, call: &CallName) {
        if let Some(token) = self.lock().remove(call) {
            token.cancel();
        }
    }

    fn begin(&self, call: Option<CallName>) -> InFlight {
        let token = CancellationToken::new();
        if let Some(call) = &call {
            self.lock().insert(call.clone(), token.clone());
        }
        InFlight { calls: self.clone(), call, token }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CallName, CancellationToken>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call, known as long as it lasts.
struct InFlight {
    calls: LegacyCalls,
    call: Option<CallName>,
    token: CancellationToken,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            self.calls.lock().remove(call);
        }
    }
}

/// Serves a call of a legacy client the way it expects; others as they are.
pub(super) async fn as_legacy_expects(State(calls): State<LegacyCalls>, request: Request, next: Next) -> Response {
    if is_modern(request.headers()) {
        return next.run(request).await;
    }
    let spoken = request.extensions().get::<Arc<Spoken>>().cloned().unwrap_or_default();
    let client = request.headers().get(SESSION).and_then(|name| name.to_str().ok()).map(str::to_owned);
    match spoken.method.as_deref() {
        Some("notifications/cancelled") => {
            let id = spoken.params.as_ref().and_then(|params| params.request_id.as_ref());
            if let (Some(client), Some(id)) = (client, id) {
                calls.cancel(&(client, id.to_string()));
            }
            next.run(request).await
        }
        _ => {
            let call = client.zip(spoken.id.as_ref().map(ToString::to_string));
            let call = calls.begin(call);
            next.run(request).await.map(|body| going_on(body, call))
        }
    }
}

/// Revisions are dates: later ones are greater texts.
pub(super) fn is_modern(headers: &HeaderMap) -> bool {
    headers
        .get("mcp-protocol-version")
        .and_then(|version| version.to_str().ok())
        .is_some_and(|version| version >= MODERN)
}

/// The same body, read to its end even if nobody takes it, unless the call is cancelled.
fn going_on(body: Body, call: InFlight) -> Body {
    let (to_client, taken) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    call.calls.ending.clone().spawn(async move {
        let mut body = body.into_data_stream();
        tokio::select! {
            () = hand_over(&mut body, &to_client, &call) => {}
            () = call.token.cancelled() => {}
        }
    });
    Body::from_stream(ReceiverStream::new(taken))
}

async fn hand_over(body: &mut BodyDataStream, to_client: &mpsc::Sender<Result<Bytes, Infallible>>, call: &InFlight) {
    while let Some(Ok(piece)) = body.next().await {
        if to_client.send(Ok(piece)).await.is_err() {
            let Ok(_place) = call.calls.alone.try_acquire() else { return };
            while body.next().await.is_some() {}
            return;
        }
    }
}
