//! A token that has run out ends what its bearer listens to: who has a new one connects again. Calls are answered, however
//! long they take: what they do was allowed when they were made.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use futures_util::StreamExt;

/// The header in which newer clients say what they ask for.
const METHOD: &str = "mcp-method";
const LISTEN: &str = "subscriptions/listen";

/// Whether the answer is a stream that would go on for as long as it is listened to.
pub(super) fn is_listening(request: &Request) -> bool {
    let asked = request.headers().get(METHOD);
    request.method() == Method::GET || asked.is_some_and(|method| method == LISTEN)
}

/// The answer, which ends with the token at the latest.
pub(super) fn ending(answer: Response, token: SystemTime) -> Response {
    let left = token.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    answer.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(tokio::time::sleep(left)))))
}
