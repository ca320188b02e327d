//! The body of a request, read whole within limits, and what it asks for as far as that matters here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// How long a client may take to send a message. The largest one takes some seconds on a slow line.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a message asks for. Nothing is known of one that is no single object with each field once.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Spoken {
    pub(super) id: Option<Value>,
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: Option<Params>,
}

/// The parameters that matter here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params {
    /// Which tool is called.
    pub(super) name: Option<String>,
    /// Which request is cancelled.
    pub(super) request_id: Option<Value>,
}

/// Reads the body before anything else is done; what it says goes along as an [`Arc`] of [`Spoken`].
pub(super) async fn whole(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let read = Bytes::from_request(Request::from_parts(head.clone(), body), &());
    let body = match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return refused.into_response(),
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, "the message took too long to arrive\n").into_response(),
    };
    let spoken: Option<Spoken> = serde_json::from_slice(&body).ok();
    let mut request = Request::from_parts(head, Body::from(body));
    if let Some(spoken) = spoken {
        request.extensions_mut().insert(Arc::new(spoken));
    }
    next.run(request).await
}
