//! Small public documents: nothing secret goes out, and what comes back is trusted no further than its address.

use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use super::{http, json, settings};
use crate::error::{Error, ErrorKind, Result};

/// Sets of keys and metadata take a few kB.
const LONGEST: usize = 256 * 1024;
/// Somebody waits at a login for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fetches a public JSON document by `https`, or from this machine by `http`. No key is sent, no redirect followed.
pub async fn public_json(url: &str) -> Result<Value> {
    let act = || format!("fetching {url}");
    let parsed = Url::parse(url).map_err(|e| Error::new(ErrorKind::InvalidArgument, act(), e.to_string()))?;
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && settings::is_loopback(&parsed)) {
        return Err(Error::new(ErrorKind::InvalidArgument, act(), "it is no https address")
            .hint("what is fetched decides who is trusted: use https"));
    }
    let unavailable = |cause: String| Error::new(ErrorKind::Unavailable, act(), cause);
    let client = http::client(&parsed, PATIENCE)?;
    let body = tokio::time::timeout(PATIENCE, read(client.get(parsed)))
        .await
        .map_err(|_| unavailable(format!("no answer within {} s", PATIENCE.as_secs())))?
        .map_err(&unavailable)?;
    json::read(&body).map_err(|cause| Error::new(ErrorKind::UnexpectedAnswer, act(), cause))
}

async fn read(request: reqwest::RequestBuilder) -> Result<Vec<u8>, String> {
    let plain = |e: reqwest::Error| with_causes(&e.without_url());
    let mut response = request.send().await.map_err(plain)?.error_for_status().map_err(plain)?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(plain)? {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST {
            return Err(format!("the answer is longer than {LONGEST} bytes"));
        }
    }
    Ok(body)
}

/// An error and all that caused it: which of them says what to do is not known.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
