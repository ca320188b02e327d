//! What clients from 2026-07-28 on expect of a call that takes long: that it is seen to be alive.
//!
//! The SDK sends nothing of the answer to such a call, not even its head, before the first message, from which it tells
//! the status. A proxy takes that for a server that is dead, hangs up, and with its connection the call ends. So when
//! nothing has come after a while the answer begins as a stream, with a sign of life now and then. Dropping it drops the
//! call, as without this.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::legacy::is_modern;
use super::message::Spoken;
use super::{KEEP_ALIVE, UNBUFFERED};

/// How long an answer may take to tell its status.
const PATIENCE: Duration = Duration::from_secs(2);
const EVENTS: &str = "text/event-stream";
/// A comment: it is no event.
const SIGN_OF_LIFE: Bytes = Bytes::from_static(b":\n\n");

/// Serves a call of a modern client so that it is seen to be alive; others as they are.
pub(super) async fn as_modern_expects(request: Request, next: Next) -> Response {
    if !is_modern(request.headers()) || !takes_events(request.headers()) {
        return next.run(request).await;
    }
    let id = request.extensions().get::<Arc<Spoken>>().and_then(|spoken| spoken.id.clone());
    let mut answer: BoxFuture<'static, Response> = Box::pin(next.run(request));
    tokio::select! {
        answer = &mut answer => answer,
        () = tokio::time::sleep(PATIENCE) => {
            let head = [
                (CONTENT_TYPE, HeaderValue::from_static(EVENTS)),
                (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                UNBUFFERED,
            ];
            (head, alive(answer, id)).into_response()
        }
    }
}

fn takes_events(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).into_iter().filter_map(|accepted| accepted.to_str().ok());
    accepted.any(|accepted| accepted.contains(EVENTS))
}

/// How far an answer is that has begun.
enum Coming {
    Awaited(BoxFuture<'static, Response>, Option<Value>),
    Begun(BodyDataStream),
}

/// A first sign of life, more of them until the answer is there, and the answer.
fn alive(answer: BoxFuture<'static, Response>, id: Option<Value>) -> Body {
    let rest = stream::unfold(Coming::Awaited(answer, id), async |coming| match coming {
        Coming::Awaited(mut answer, id) => tokio::select! {
            answer = &mut answer => next(as_events(answer, id).await.into_data_stream()).await,
            () = tokio::time::sleep(KEEP_ALIVE) => Some((Ok(SIGN_OF_LIFE), Coming::Awaited(answer, id))),
        },
        Coming::Begun(body) => next(body).await,
    });
    Body::from_stream(stream::once(std::future::ready(Ok(SIGN_OF_LIFE))).chain(rest))
}

async fn next(mut body: BodyDataStream) -> Option<(Result<Bytes, axum::Error>, Coming)> {
    let piece = body.next().await?;
    Some((piece, Coming::Begun(body)))
}

/// The answer as it goes on a stream: its status is told already, so whatever is no message is told as a failure.
async fn as_events(answer: Response, id: Option<Value>) -> Body {
    let (head, body) = answer.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    if kind.starts_with(EVENTS.as_bytes()) {
        return body;
    }
    let body = axum::body::to_bytes(body, super::BODY_LIMIT).await.unwrap_or_default();
    let message = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object).unwrap_or_else(|| {
        let words = format!("{}: {}", head.status, String::from_utf8_lossy(&body));
        json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32603, "message": words}})
    });
    Body::from(format!("data: {message}\n\n"))
}
