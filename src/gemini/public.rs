//! Small public documents: nothing secret goes out, and what comes back is trusted no further than its address.

use std::time::{Duration, Instant};

use reqwest::Url;
use serde_json::Value;

use super::client::{body, client};
use super::failure::Failure;
use super::{json, settings};
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
    let client = client(&parsed, PATIENCE)?;
    let body = tokio::time::timeout(PATIENCE, read(client.get(parsed)))
        .await
        .map_err(|_| unavailable(format!("no answer within {} s", PATIENCE.as_secs())))?
        .map_err(|failure| unavailable(failure.cause()))?;
    json::read(&body).map_err(|cause| Error::new(ErrorKind::UnexpectedAnswer, act(), cause))
}

async fn read(request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failure> {
    let start = Instant::now();
    let response = request.send().await.map_err(|e| Failure::of_client(e, start.elapsed()))?;
    match response.status() {
        status if status.is_success() => body(response, LONGEST).await,
        status => Err(Failure::Unreadable(format!("the answer is HTTP {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn what_decides_who_is_trusted_comes_by_https_or_from_this_machine() {
        for (url, kind) in [
            ("http://keys.example/jwks", ErrorKind::InvalidArgument),
            ("ftp://127.0.0.1/jwks", ErrorKind::InvalidArgument),
            // Nobody listens there.
            ("https://127.0.0.1:1/jwks", ErrorKind::Unavailable),
            ("http://127.0.0.1:1/jwks", ErrorKind::Unavailable),
        ] {
            assert_eq!(public_json(url).await.unwrap_err().kind(), kind, "{url}");
        }
    }
}
