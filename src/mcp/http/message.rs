//! The body of a request, read whole within limits, and what it asks for as far as that matters here.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// Values in a message. Each takes some hundred bytes of memory while it is read, so that many short ones in a message of
/// the largest size would take a gigabyte. Whoever has more rows than this puts them in a file.
const MOST_VALUES: usize = 500_000;
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
    /// What a client that says hello can do.
    pub(super) capabilities: Option<Value>,
}

/// Reads the body before anything else is done; what it says goes along as an [`Arc`] of [`Spoken`].
pub(super) async fn whole(request: Request, next: Next) -> Response {
    match read(request, PATIENCE).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => *refusal,
    }
}

/// Says in the words of the protocol what the SDK takes for another type of content: a body that is no message.
pub(super) async fn told_in_words(request: Request, next: Next) -> Response {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let spoken = request.extensions().get::<Arc<Spoken>>().cloned();
    let answer = next.run(request).await;
    if answer.status() != StatusCode::UNSUPPORTED_MEDIA_TYPE || !is_json {
        return answer;
    }
    let (code, words) = match spoken {
        Some(_) => (-32600, "this is no JSON-RPC message"),
        None => (-32700, "this is no JSON, or no single object with each field once"),
    };
    let id = spoken.and_then(|spoken| spoken.id.clone());
    let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": words}});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// The head and the body of a request, if that arrives whole in time and is no longer than it may be.
pub(super) async fn arrived(request: Request, patience: Duration) -> Result<(Parts, Bytes), Box<Response>> {
    let (head, body) = request.into_parts();
    let read = Bytes::from_request(Request::from_parts(head.clone(), body), &());
    let late = |_| (StatusCode::REQUEST_TIMEOUT, "the message took too long to arrive\n").into_response();
    let read = tokio::time::timeout(patience, read).await.map_err(late)?;
    Ok((head, read.map_err(IntoResponse::into_response)?))
}

async fn read(request: Request, patience: Duration) -> Result<Request, Box<Response>> {
    let (head, body) = arrived(request, patience).await?;
    if values(&body) > MOST_VALUES {
        return Err(
            (StatusCode::PAYLOAD_TOO_LARGE, "too many values in one message: put the data in a file\n").into_response()
        )?;
    }
    let spoken: Option<Spoken> = serde_json::from_slice(&body).ok();
    let mut request = Request::from_parts(head, Body::from(body));
    if let Some(spoken) = spoken {
        request.extensions_mut().insert(Arc::new(spoken));
    }
    Ok(request)
}

/// About how many values a JSON text has: each but the first stands behind one of these, outside of texts.
fn values(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut bytes) = (1, false, json.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => drop(bytes.next()),
            b',' | b':' | b'[' | b'{' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn spoken(body: &'static str) -> Option<Arc<Spoken>> {
        let request = read(Request::new(Body::from(body)), PATIENCE).await.unwrap();
        let spoken = request.extensions().get::<Arc<Spoken>>().cloned();
        assert_eq!(axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap(), body);
        spoken
    }

    #[tokio::test]
    async fn a_message_is_read_and_handed_on_whole() {
        let known =
            spoken(r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"b","x":[1]}}"#).await.unwrap();
        assert_eq!(known.id, Some("a".into()));
        assert_eq!(known.method.as_deref(), Some("tools/call"));
        assert_eq!(known.params.as_ref().unwrap().name.as_deref(), Some("b"));
    }

    #[tokio::test]
    async fn of_a_message_with_a_field_twice_nothing_is_known() {
        for body in [r#"{"method":"a","method":"b"}"#, r#"{"params":{"name":"a","name":"b"}}"#, "[]", "", "{"] {
            assert!(spoken(body).await.is_none(), "{body}");
        }
    }

    #[test]
    fn values_are_counted_outside_of_texts() {
        for (json, count) in [
            ("1", 1),
            (r#"{"a": 1, "b": [2, 3]}"#, 7),
            (r#""a, b: [c]""#, 1),
            (r#"["\",[{:"]"#, 2),
            (r#"["\\",1]"#, 3),
            ("", 1),
        ] {
            assert_eq!(values(json.as_bytes()), count, "{json}");
        }
    }

    #[tokio::test]
    async fn a_message_of_very_many_values_is_refused_unread() {
        let body = format!("[1{}]", ",1".repeat(MOST_VALUES));
        let refusal = read(Request::new(Body::from(body)), PATIENCE).await.unwrap_err();
        assert_eq!(refusal.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_message_that_never_ends_is_not_waited_for() {
        let start = stream::once(std::future::ready(Ok::<_, std::convert::Infallible>(Bytes::from("{"))));
        let request = Request::new(Body::from_stream(futures_util::StreamExt::chain(start, stream::pending())));
        let refusal = read(request, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(refusal.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
